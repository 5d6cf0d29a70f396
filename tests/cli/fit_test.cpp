#include <nlohmann/json.hpp>

#include "tests/cli/command.hpp"

namespace kvsim::cli_test {
namespace {

using Fit = CommandTest;

// Two coefficients of an all-reduce: 5 us and 100 GB/s.
std::string all_reduce_samples() {
  nlohmann::json samples = nlohmann::json::array();
  for (double bytes = 1024; bytes <= 64e6; bytes *= 4)
    samples.push_back({{"operation", "all-reduce"},
                       {"gpus", 2},
                       {"bytes", bytes},
                       {"p50_s", 5e-6 + bytes / 1e11}});
  samples.push_back({{"operation", "checksum"}, {"bytes", 1024}, {"p50_s", 1e-6}});
  return nlohmann::json{{"identity", {{"device", "test"}}}, {"samples", samples}}.dump();
}

TEST_F(Fit, WritesAProfileThatHasTheFittedBlockAndKeepsTheOthers) {
  write("samples.json", all_reduce_samples());
  const CommandResult result = kvsim({"fit", "samples.json", "--gpu", "h100-sxm", "--out",
                                      "mine.json", "--source", "own node, 2026-11-21"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("all_reduce of 2"), std::string::npos) << result.out;
  EXPECT_NE(result.err.find("checksum"), std::string::npos) << result.err;
  const auto profile = nlohmann::json::parse(read("mine.json"));
  EXPECT_EQ(profile["name"], "mine");
  EXPECT_NEAR(profile["all_reduce"]["groups"][0]["bytes_per_s"].get<double>(), 1e11, 1e8);
  EXPECT_EQ(profile["all_reduce"]["provenance"]["kind"], "fitted");
  const auto base = nlohmann::json::parse(content(source("models/gpu/h100-sxm.json")));
  EXPECT_EQ(profile["gemm_bf16"], base["gemm_bf16"]);
  EXPECT_EQ(kvsim({"size", "--model", "llama-3-8b", "--gpu", "./mine.json"}).exit_code, 0);
}

TEST_F(Fit, SaysWhatASampleLacks) {
  write("samples.json", R"({"samples": [{"operation": "gemm", "m": 1, "p50_s": 1e-5}]})");
  const CommandResult result = kvsim({"fit", "samples.json", "--gpu", "l4"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("samples.json: /samples/0: found no \"n\""), std::string::npos)
      << result.err;
}

TEST_F(Fit, AProfileWithoutSourceIsNotWritten) {
  write("samples.json", all_reduce_samples());
  const CommandResult result =
      kvsim({"fit", "samples.json", "--gpu", "h100-sxm", "--out", "mine.json"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("--source"), std::string::npos) << result.err;
}

TEST_F(Fit, AFolderWithoutTablesIsTheUsersMistake) {
  const CommandResult result = kvsim({"fit", "--rebuild", ".", "--check"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("ops/"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace kvsim::cli_test
