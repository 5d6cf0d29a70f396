#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/cli/command.hpp"

namespace kvsim::cli_test {
namespace {

using Trace = CommandTest;

constexpr const char* kConversations = R"({
  "schema": "kvsim.experiment/1",
  "workload": {"kind": "generate", "sessions": {"count": 20}},
  "load": {"kind": "poisson", "rate_per_s": 2}
})";

nlohmann::json parsed(const CommandResult& result) {
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return nlohmann::json::parse(result.out, nullptr, false);
}

TEST_F(Trace, StatsSaysHowMuchAndHowMuchRepeats) {
  const CommandResult result = kvsim({"trace", "stats", source("traces/mooncake.jsonl")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* part : {"requests                45", "52.82 %", "blocks of 16", "sha256"})
    EXPECT_NE(result.out.find(part), std::string::npos) << part << "\n" << result.out;
}

TEST_F(Trace, StatsCountsSharingForEachBlockSizeAskedFor) {
  const auto stats = parsed(kvsim(
      {"trace", "stats", source("traces/mooncake.jsonl"), "--json", "--block-tokens", "16,512"}));
  ASSERT_EQ(stats["sharing"].size(), 2U);
  EXPECT_EQ(stats["sharing"][1]["block_tokens"], 512);
  EXPECT_LE(stats["sharing"][1]["hit_tokens_max"], stats["sharing"][0]["hit_tokens_max"]);
  EXPECT_LE(stats["sharing"][0]["hit_tokens_max"], stats["repeated_tokens"]);
}

TEST_F(Trace, AConvertedTraceHasTheSameDigest) {
  for (const char* name : {"azure.csv", "burstgpt.csv", "llmservingsim.jsonl.gz", "mooncake.jsonl",
                           "mooncake-sessions.jsonl", "vidur.csv"}) {
    const std::string original = source(std::string("traces/") + name);
    const CommandResult convert = kvsim({"trace", "convert", original, "-o", "converted.kvt"});
    EXPECT_EQ(convert.exit_code, 0) << convert.err;
    const auto before = parsed(kvsim({"trace", "stats", original, "--json"}));
    const auto after = parsed(kvsim({"trace", "stats", "converted.kvt", "--json"}));
    EXPECT_EQ(before, after) << name;
  }
}

TEST_F(Trace, GeneratedTracesAreTheExperimentsOwnWorkload) {
  write("experiment.json", kConversations);
  EXPECT_EQ(kvsim({"trace", "generate", "experiment.json", "-o", "out/made.kvt"}).exit_code, 0);
  const auto made = parsed(kvsim({"trace", "stats", "out/made.kvt", "--json"}));
  const auto own = parsed(kvsim({"trace", "stats", "experiment.json", "--json"}));
  EXPECT_EQ(made, own);
  EXPECT_EQ(made["sessions"], 20);
}

TEST_F(Trace, AnotherSeedIsAnotherWorkload) {
  write("experiment.json", kConversations);
  const auto one = parsed(kvsim({"trace", "stats", "experiment.json", "--json"}));
  const auto two = parsed(kvsim({"trace", "stats", "experiment.json", "--json", "--seed", "2"}));
  EXPECT_NE(one["sha256"], two["sha256"]);
}

TEST_F(Trace, GeneratedMooncakeLinesKeepSessionsForOtherTools) {
  write("experiment.json", kConversations);
  EXPECT_EQ(kvsim({"trace", "generate", "experiment.json", "-o", "made.jsonl"}).exit_code, 0);
  const auto stats = parsed(kvsim({"trace", "stats", "made.jsonl", "--json"}));
  EXPECT_EQ(stats["sessions"], 20);
  EXPECT_GT(stats["repeated_share"], 0.2);
}

TEST_F(Trace, HeadPrintsTheFirstRequests) {
  const CommandResult table = kvsim({"trace", "head", source("traces/mooncake.jsonl"), "-n", "3"});
  EXPECT_EQ(std::count(table.out.begin(), table.out.end(), '\n'), 4) << table.out;
  const auto line =
      parsed(kvsim({"trace", "head", source("traces/mooncake.jsonl"), "-n", "1", "--json"}));
  EXPECT_EQ(line["id"], 0);
  EXPECT_TRUE(line["prompt"][0].is_array());
}

TEST_F(Trace, OptionsOfAFormatAreNamed) {
  const CommandResult smooth = kvsim({"trace", "stats", source("traces/mooncake.jsonl"), "--json",
                                      "--option", "smooth_batches_s=3"});
  const auto plain = parsed(kvsim({"trace", "stats", source("traces/mooncake.jsonl"), "--json"}));
  EXPECT_GT(parsed(smooth)["duration_s"], plain["duration_s"]);
}

TEST_F(Trace, HitRatesRiseWithCapacityToTheGreatestPossible) {
  const auto curve = parsed(kvsim({"trace", "mrc", source("traces/conversations.kvt"), "--json"}));
  double before = 0;
  for (const auto& point : curve["points"]) {
    EXPECT_GE(point["hit_rate"].get<double>(), before);
    before = point["hit_rate"].get<double>();
  }
  const auto stats =
      parsed(kvsim({"trace", "stats", source("traces/conversations.kvt"), "--json"}));
  EXPECT_DOUBLE_EQ(before, stats["sharing"][0]["hit_rate_max"].get<double>());
}

TEST_F(Trace, CapacitiesCanBeAskedForAndPricedInBytes) {
  const CommandResult result =
      kvsim({"trace", "mrc", source("traces/conversations.kvt"), "--block-tokens", "256",
             "--capacity-tokens", "4096,1048576", "--kv-bytes-per-token", "131072"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("137.44"), std::string::npos) << result.out;
}

TEST_F(Trace, ABadTraceIsOneLineAndLeavesNoFile) {
  write("bad.jsonl",
        "{\"timestamp\": 5, \"input_length\": 9, \"output_length\": 1, \"hash_ids\": [1]}\n"
        "{\"timestamp\": 4, \"input_length\": 9, \"output_length\": 1, \"hash_ids\": [1]}\n");
  const CommandResult result = kvsim({"trace", "convert", "bad.jsonl", "-o", "out.kvt"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err,
            "kvsim: bad.jsonl:2: found an arrival at 0.004 s after one at 0.005 s; allowed: "
            "arrivals that never decrease (1 requests were used before it)\n");
  EXPECT_FALSE(exists("out.kvt"));
  EXPECT_FALSE(exists("out.kvt.partial"));
}

TEST_F(Trace, WrongFlagsAreUserErrors) {
  const std::string trace = source("traces/mooncake.jsonl");
  for (const std::vector<std::string>& flags : std::vector<std::vector<std::string>>{
           {"trace"},
           {"trace", "stats"},
           {"trace", "stats", "absent.jsonl"},
           {"trace", "stats", trace, "--format", "pcap"},
           {"trace", "stats", trace, "--option", "smooth"},
           {"trace", "stats", trace, "--option", "smooth=3"},
           {"trace", "stats", trace, "--seed", "3"},
           {"trace", "convert", trace, "-o", "out.xyz"},
           {"trace", "mrc", trace, "--sample", "2"},
           {"trace", "mrc", trace, "--block-tokens", "0"},
       }) {
    const CommandResult result = kvsim(flags);
    EXPECT_EQ(result.exit_code, 2) << flags.back();
    EXPECT_FALSE(result.err.empty()) << flags.back();
  }
}

}  // namespace
}  // namespace kvsim::cli_test
