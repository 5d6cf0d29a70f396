// Where a block of numbers comes from and how far to trust it. Every model file states one for each
// block it holds.
#pragma once

#include <string>

#include "sim/base/fields.hpp"

namespace kvsim {

struct Provenance {
  std::string source;
  // measured: on the part itself; fitted: to such measurements; datasheet: the maker's figure;
  // paper: published shapes or text; assumed: inherited from a relative or estimated.
  std::string kind;

  template <class F>
  void fields(F& f) {
    f.required("source", source, "Document, table or reasoning behind the numbers.");
    f.choice("kind", kind, {"measured", "fitted", "datasheet", "paper", "assumed"},
             "How the numbers were obtained.");
  }
};

// A file or block without provenance is the author's mistake: ConfigError.
void require_provenance(const ConfigNode& node, const Provenance& provenance);

}  // namespace kvsim
