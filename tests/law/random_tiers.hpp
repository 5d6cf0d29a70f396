// Random tiers below HBM for small worlds: connectors with all their options, the stores that they
// use, disks below those, outages, capacities of a few chunks.
#pragma once

#include "sim/base/json.hpp"
#include "sim/base/rng.hpp"

namespace kvsim {

template <class T>
T pick(Rng& rng, std::initializer_list<T> choices) {
  return *(choices.begin() + rng.below(choices.size()));
}

// Gives the experiment's only pool a connector, or none; with it /nodes and /stores.
void add_random_tiers(Json& experiment, Rng& rng);

}  // namespace kvsim
