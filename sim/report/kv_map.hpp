// The map of the KV cache in figures: what each tier holds, in how many copies, how often used.
//
//   kvmap.csv         a row for each sample and tier; the last sample is the end of the run
//   kvmap_blocks.csv  at the end, the entries with the most copies
//   summary, kv_map   the same in shares: at the end, and on the average over the samples
//
// An entry is a block of HBM, or what a lower tier keeps under one key; its name is the chain hash
// of its last block, so a chunk of many blocks has the name of one of them. Counts are of names
// unless they say otherwise. What docs/kvmap.md says of each column is not repeated here.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/base/units.hpp"
#include "sim/report/output_file.hpp"

namespace kvsim {

// A tier at one instant.
struct KvMapCounts {
  std::int64_t holders = 0;  // caches or stores that tell, full or empty
  std::int64_t entries = 0;  // in all holders; what one holds twice counts twice
  Bytes bytes{0};            // of those
  std::int64_t held = 0;     // names, added up over holders
  std::int64_t distinct = 0;
  Bytes distinct_bytes{0};
  Tokens distinct_tokens{0};
  // Held by 1, 2, 3 to 4, 5 or more holders; adds up to distinct.
  std::array<std::int64_t, 4> held_by{};
  std::int64_t hot = 0;         // used within the window
  std::int64_t warm = 0;        // used before it
  std::int64_t dead = 0;        // never used since stored
  Tokens elsewhere{0};          // that lie in another tier too
  std::vector<Tokens> also_in;  // the same for each tier

  void add(const KvMapCounts& other);
};

struct KvMapBlock {
  std::uint64_t name = 0;
  std::int64_t tokens = 0;
  std::vector<std::int64_t> copies;  // holders, by tier
  std::int64_t hits = 0;
  Seconds stored{0};  // the earliest of the copies that are there
  Seconds used{0};    // negative: never
};

class KvMapFiles {
 public:
  // Opens both in `folder`.
  KvMapFiles(const std::string& folder, std::vector<std::string> tiers);
  void sample(Seconds now, const std::vector<KvMapCounts>& tiers);
  void close(const std::vector<KvMapBlock>& blocks);

 private:
  std::vector<std::string> tiers_;
  OutputFile samples_;
  OutputFile blocks_;
};

struct KvMapFacts {
  std::vector<std::string> tiers;
  Seconds period{0};
  Seconds window{0};
  std::int64_t samples = 0;
  std::vector<KvMapCounts> sum;  // over the samples
  std::vector<KvMapCounts> end;
};
[[nodiscard]] Json kv_map_json(const KvMapFacts& facts);
// A few lines for a terminal, of kv_map_json().
[[nodiscard]] std::string kv_map_table(const Json& map);

}  // namespace kvsim
