// kvsim size --break-even: probes in processes of their own.
#include "tests/cli/experiments.hpp"

namespace kvsim::cli_test {
namespace {

class BreakEven : public CommandTest {
 protected:
  Json study(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"size", "--break-even", "--json"});
    const CommandResult result = kvsim(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? Json::parse(result.out) : Json();
  }
  static const Json& tier(const Json& study, const std::string& name) {
    for (const Json& tier : study["tiers"])
      if (tier["name"] == name) return tier;
    ADD_FAILURE() << name << " is not in " << study["tiers"];
    return study["tiers"].front();
  }
};

TEST_F(BreakEven, FasterWaysPayFromShorterPrefixesOn) {
  const Json json = study(
      {"--llm", "llama-3.1-8b", "--gpu", "h100-sxm", "--tier", "fast=1e15", "--tier", "slow=1e6"});
  EXPECT_EQ(json["kv_bytes_per_token"], 131072);
  EXPECT_EQ(json["prefixes"].size(), 8u);
  EXPECT_EQ(tier(json, "fast")["break_even_tokens"], 0);
  EXPECT_EQ(tier(json, "slow")["break_even_tokens"], Json());
  for (const char* name : {"dram", "redis", "resp", "nvme"}) {
    const Json& points = tier(json, name)["points"];
    ASSERT_EQ(points.size(), 8u) << name;
    // No way is faster than its wire: PCIe 5 with 64 GB/s.
    EXPECT_GT(points[7]["fetch_s"].get<double>(), 32768.0 * 131072 / 64e9) << name;
  }
  const auto longest = [&](const char* name) {
    return tier(json, name)["points"][7]["fetch_s"].get<double>();
  };
  EXPECT_LT(longest("dram"), longest("nvme"));
  EXPECT_LT(longest("nvme"), longest("redis"));
  EXPECT_LT(longest("resp"), longest("redis"));
}

TEST_F(BreakEven, TheBandwidthNeededIsKvBytesOverTheTimeToComputeThem) {
  const Json json = study({"--llm", "qwen3-0.6b", "--gpu", "l4"});
  for (const Json& prefix : json["prefixes"])
    EXPECT_NEAR(
        prefix["break_even_bytes_per_s"].get<double>() * prefix["recompute_s"].get<double>(),
        prefix["kv_bytes"].get<double>(), 1);
}

TEST_F(BreakEven, TakesTheConnectorOfAnExperiment) {
  write("experiment.json", small_experiment().dump());
  const Json json = study({"--experiment", "experiment.json"});
  ASSERT_EQ(json["tiers"].size(), 1u);
  EXPECT_EQ(json["tiers"][0]["name"], "own native");
  EXPECT_GE(json["tiers"][0]["points"].size(), 5u);  // 1 GB does not hold two longer ones
}

TEST_F(BreakEven, PrintsATable) {
  const CommandResult result =
      kvsim({"size", "--break-even", "--model", "qwen3-0.6b", "--gpu", "l4"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* text : {"GB/s needed", "recompute", "dram", "redis", "resp", "nvme", "32768",
                           "fetching takes less"})
    EXPECT_NE(result.out.find(text), std::string::npos) << text << "\n" << result.out;
}

TEST_F(BreakEven, NeedsAPool) {
  EXPECT_EQ(kvsim({"size", "--break-even"}).exit_code, 2);
  EXPECT_EQ(kvsim({"size", "--experiment", "x.json"}).exit_code, 2);
  EXPECT_EQ(kvsim({"size", "--break-even", "--model", "qwen3-0.6b", "--gpu", "l4", "--tier", "x"})
                .exit_code,
            2);
}

}  // namespace
}  // namespace kvsim::cli_test
