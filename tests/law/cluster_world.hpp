// Random small clusters for law tests: several pools, prefill and decode apart, every router,
// admission, decider and autoscaler, tiers below HBM, and faults of every kind.
#pragma once

#include <cstdint>
#include <string>

#include "sim/base/json.hpp"
#include "tests/law/small_world.hpp"

namespace kvsim {

// The cluster number `seed`: the same for the same seed.
Json random_cluster(std::uint64_t seed);
// The same with a random schedule of faults, some of which never end, and with clients that may try
// again.
Json random_faults(std::uint64_t seed);

// Complaints by law, "law: what" a line; nothing when all hold. In this process.
std::string broken_laws(const Json& experiment, const WorldResult& result);
// One line a request, in order of ids: everything that a record holds, times to a picosecond.
std::string records_as_text(const WorldResult& result);

}  // namespace kvsim
