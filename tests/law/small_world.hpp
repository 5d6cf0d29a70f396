// Random small experiments for law tests: little memory, few replicas, every mechanism on, so that
// preemption, head-of-line stops, offload and time-outs happen within a few dozen requests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/report/request_record.hpp"

namespace kvsim {

struct WorldResult {
  Json summary;
  std::vector<RequestRecord> records;  // in the order of ending
};

// The experiment number `seed`: the same for the same seed.
Json random_experiment(std::uint64_t seed);

// Runs it in this process: call it in a child (tests/child.hpp).
WorldResult run_here(const Json& experiment);
// Runs it in a child; one line of text per request with times rounded to a nanosecond.
// With the summary's latencies, throughput, resources and cache when asked.
std::string run_to_text(const Json& experiment, bool with_summary = false);
std::string summary_of_child(const Json& experiment);

// Complaints, one a line: every request ends once and is counted; times are causal and the parts of
// the time to first token add up.
std::string requests_lost(const Json& experiment, const WorldResult& result);
std::string times_that_do_not_add_up(const WorldResult& result);

}  // namespace kvsim
