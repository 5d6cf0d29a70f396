// kvsim run --what-if: reruns with parts made free.
#include "tests/cli/experiments.hpp"

namespace kvsim::cli_test {
namespace {

using WhatIf = CommandTest;

TEST_F(WhatIf, EveryKindThatWasUsedIsTriedAndTold) {
  write("experiment.json", small_experiment().dump());
  const CommandResult result = kvsim({"run", "experiment.json", "-o", "out", "--what-if"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("what if free"), std::string::npos) << result.out;
  const Json list = Json::parse(read("out/summary.json"))["what_if"];
  std::vector<std::string> free;
  for (const Json& gain : list) {
    free.push_back(gain["free"]);
    EXPECT_TRUE(gain["throughput_gain"].is_number()) << gain;
  }
  EXPECT_EQ(free, (std::vector<std::string>{"pcie", "api"}));
  EXPECT_TRUE(exists("out/what-if/pcie/summary.json"));
}

TEST_F(WhatIf, OverridesHoldForTheRerunsToo) {
  write("experiment.json", small_experiment().dump());
  const CommandResult result = kvsim({"run", "experiment.json", "-q", "-o", "out", "--what-if",
                                      "--set", "/pools/0/engine/request_overhead=false"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(Json::parse(read("out/summary.json"))["what_if"].size(), 1u);
  const Json rerun = Json::parse(read("out/what-if/pcie/run.json"))["experiment"];
  EXPECT_EQ(rerun["pools"][0]["engine"]["request_overhead"], false);
  EXPECT_EQ(rerun["assume_free"], Json({"pcie"}));
}

TEST_F(WhatIf, WithoutItNothingIsRunAgain) {
  write("experiment.json", small_experiment().dump());
  ASSERT_EQ(kvsim({"run", "experiment.json", "-q", "-o", "out"}).exit_code, 0);
  const Json summary = Json::parse(read("out/summary.json"));
  EXPECT_FALSE(summary.contains("what_if"));
  EXPECT_TRUE(summary["bottleneck"]["share"].is_null());
}

}  // namespace
}  // namespace kvsim::cli_test
