// `kvsim size --break-even`: runs the probes of sim/experiment/break_even.hpp in processes of their
// own and prints from which length on each way below HBM beats recomputing.
#pragma once

#include <string>
#include <vector>

#include "sim/base/json.hpp"

namespace kvsim {

struct BreakEvenFlags {
  std::string experiment;          // file; "" = of the pool below
  std::vector<std::string> tiers;  // plain ones: NAME=BYTES_PER_S[,LATENCY_S]
  Json pool;                       // an experiment's pool, without connector
  bool json = false;
};

void run_break_even(const BreakEvenFlags& flags);

}  // namespace kvsim
