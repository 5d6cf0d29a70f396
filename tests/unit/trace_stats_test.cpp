#include "sim/workload/trace_stats.hpp"

#include "tests/unit/traces.hpp"

namespace kvsim {
namespace {

TraceStats stats_of(const std::vector<Request>& requests, std::vector<std::int64_t> blocks) {
  TraceStats stats(blocks);
  for (const Request& request : requests) stats.add(request);
  return stats;
}

TEST(TraceStats, LengthsAndRateOfASmallTrace) {
  std::string text = "arrived_at,num_prefill_tokens,num_decode_tokens\n";
  for (int i = 0; i <= 100; ++i) text += fmt::format("{},{},{}\n", 0.5 * i, 100 + i, 7);
  const TraceStats stats = stats_of(read_text(text).requests, {});
  EXPECT_EQ(stats.requests(), 101);
  EXPECT_DOUBLE_EQ(stats.input().mean, 150);
  EXPECT_DOUBLE_EQ(stats.input().p50, 150);
  EXPECT_DOUBLE_EQ(stats.input().p99, 199);
  EXPECT_EQ(stats.input().max, 200);
  EXPECT_DOUBLE_EQ(stats.output().mean, 7);
  EXPECT_DOUBLE_EQ(stats.duration().count(), 50);
  EXPECT_DOUBLE_EQ(stats.rate_per_s(), 2);
}

TEST(TraceStats, RepeatedTokensNeedNoBlocksButHitsDo) {
  Request request;
  request.prompt = {{1, 0, 64}};
  request.input = Tokens(64);
  request.output = Tokens(1);
  request.answer_stream = 50;
  Request shorter = request;
  shorter.prompt = {{1, 0, 40}, {2, 0, 9}};
  shorter.input = Tokens(49);
  const TraceStats stats = stats_of({request, request, shorter}, {16});
  EXPECT_EQ(stats.repeated_tokens(), 64 + 40);
  // Of the repeated prompt the last block is computed again, of the shorter one 8 tokens are cut.
  EXPECT_EQ(stats.sharing()[0].hit_tokens, 48 + 32);
}

TEST(TraceStats, TheConversationTraceRepeatsAsItsPublishersSay) {
  const std::filesystem::path file = std::filesystem::path(KVSIM_SOURCE_DIR) / "../shared/traces" /
                                     "mooncake_fast25_conversation_trace.jsonl";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is not here";
  TraceSpec spec;
  spec.path = file.string();
  const TraceStats stats = stats_of(read_file(spec).requests, {512, 16});
  EXPECT_EQ(stats.requests(), 12031);
  const auto share = [&](std::int64_t tokens) {
    return static_cast<double>(tokens) / static_cast<double>(stats.input_tokens());
  };
  EXPECT_NEAR(share(stats.repeated_tokens()), 0.3736, 5e-5);
  EXPECT_LT(share(stats.sharing()[0].hit_tokens), 0.3736);
  EXPECT_NEAR(share(stats.sharing()[1].hit_tokens), 0.3736, 2e-4);
}

}  // namespace
}  // namespace kvsim
