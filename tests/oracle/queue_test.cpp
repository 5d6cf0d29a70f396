// A replica that serves one request at a time, each in one step of constant length, is an M/D/1
// queue: the mean wait is rho S / (2 (1 - rho)) (Pollaczek and Khinchine).
#include <gtest/gtest.h>

#include "tests/law/small_world.hpp"

namespace kvsim {
namespace {

TEST(Oracle, OneServerWithConstantServiceWaitsAsMd1) {
  constexpr double kService = 0.05;
  for (const double load : {0.3, 0.6, 0.8}) {
    const Json experiment = {
        {"schema", "kvsim.experiment/1"},
        {"workload",
         {{"kind", "generate"},
          {"requests", 200000},
          {"input", {{"kind", "constant"}, {"value", 32}}},
          {"output", {{"kind", "constant"}, {"value", 1}}}}},
        {"load", {{"kind", "poisson"}, {"rate_per_s", load / kService}}},
        {"pools",
         {{{"llm", "llama-3.1-8b"},
           {"gpu", "h100-sxm"},
           {"engine",
            {{"max_num_seqs", 1},
             {"async_scheduling", false},
             {"request_overhead", false},
             {"enable_prefix_caching", false},
             {"step_time",
              {{"kind", "constant"}, {"fixed_s", kService}, {"prefill_s_per_token", 0}}}}}}}}};
    const Json summary = Json::parse(summary_of_child(experiment));
    const double wait = summary["latency_s"]["queue"]["mean"].get<double>();
    const double expected = load * kService / (2 * (1 - load));
    EXPECT_NEAR(wait / expected, 1.0, 0.03) << "load " << load;
  }
}

}  // namespace
}  // namespace kvsim
