// Variants of an experiment: the same file with a few values set otherwise, to be compared.
//
//   "variants": [{"name": "random", "set": {"/router": "random"}}, ...]
//   "variants_of": [[{"name": "one node", "set": {}}, ...], [{"name": "no cache", ...}, ...]]
//
// variants_of is a product: one variant for each choice out of every list, named "one node + no
// cache"; its sets are applied in the order of the lists. Both keys may stand in a file: first the
// list, then the product, the last list's choices changing fastest.
#pragma once

#include <string>
#include <vector>

#include "sim/base/config_node.hpp"

namespace kvsim {

struct Variant {
  std::string name;
  Json set = Json::object();  // from JSON pointers into the experiment to values

  // Its name where only letters, digits and ._- may stand.
  [[nodiscard]] std::string folder() const;
};

// In their order; none for an experiment without the two keys. Throws ConfigError, also for two
// variants with the same name or folder.
[[nodiscard]] std::vector<Variant> read_variants(const ConfigNode& experiment);

// The two keys in a schema of experiments.
void add_variants_schema(Json& properties);

}  // namespace kvsim
