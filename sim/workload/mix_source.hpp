// Several workloads as one: of different tenants, LLMs or priorities.
//
// By share, each next request comes from a part drawn from a stream of its own, so that the parts
// stay what they are alone; their own times are dropped. By time, parts are merged by their own
// arrivals. A part that has ended leaves the others. Sessions and content of different parts are
// never the same, literal tokens included: tenants do not share caches.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "sim/workload/request_source.hpp"

namespace kvsim {

struct MixPart {
  std::unique_ptr<RequestSource> source;
  double share = 0;  // > 0; by time it is not looked at
  std::int32_t llm = 0;
  std::int32_t tenant = 0;
  std::optional<std::int32_t> priority;  // instead of the part's own
};

struct MixOptions {
  bool by_time = false;
  std::int64_t requests = std::numeric_limits<std::int64_t>::max();  // most in all
};

inline constexpr std::size_t kMostMixParts = 100;

[[nodiscard]] std::unique_ptr<RequestSource> make_mix(std::vector<MixPart> parts,
                                                      const MixOptions& options,
                                                      std::uint64_t seed);

// The seed of a part's own streams: equal parts draw different requests.
[[nodiscard]] std::uint64_t mix_part_seed(std::uint64_t seed, std::size_t part);

}  // namespace kvsim
