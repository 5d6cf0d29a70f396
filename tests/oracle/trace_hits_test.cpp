// A published trace of conversations: with an unlimited KV cache and slow replay, one replica hits
// what `kvsim trace stats` counts in the trace by itself.
#include <gtest/gtest.h>

#include <filesystem>

#include "sim/workload/open_trace.hpp"
#include "sim/workload/trace_stats.hpp"
#include "tests/law/small_world.hpp"

namespace kvsim {
namespace {

// Kept beside the checkout; not ours to distribute.
const std::string kTrace =
    std::string(KVSIM_SOURCE_DIR) + "/../shared/traces/mooncake_fast25_conversation_trace.jsonl";
constexpr std::int64_t kRequests = 12031;
constexpr std::int64_t kRepeatedBlockTokens = 54'097'440;  // at 16 tokens a block

Json replay(double speed, int replicas, Json engine) {
  engine["max_model_len"] = 200000;
  return {{"schema", "kvsim.experiment/1"},
          {"workload", {{"path", kTrace}}},
          {"load", {{"kind", "trace"}, {"speed", speed}}},
          {"pools",
           {{{"replicas", replicas},
             {"llm", "llama-3-8b"},
             {"gpu", "a100-80-sxm"},
             {"engine", std::move(engine)}}}},
          {"router", "prefix-aware"}};
}

class TraceHits : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kTrace))
      GTEST_SKIP() << "needs the Mooncake conversation trace at " << kTrace;
  }
};

TEST_F(TraceHits, TheTraceRepeatsAsManyTokensAsPublished) {
  TraceSpec spec;
  spec.path = kTrace;
  const auto source = open_trace(spec);
  TraceStats stats({16});
  for (Request request; source->next(request);) stats.add(request);
  EXPECT_EQ(stats.requests(), kRequests);
  EXPECT_EQ(stats.sharing().front().hit_tokens, kRepeatedBlockTokens);
}

TEST_F(TraceHits, OneReplicaWithRoomForAllHitsWhatTheTraceRepeats) {
  const Json experiment = replay(0.01, 1, {{"num_gpu_blocks_override", 7'000'000}});
  const Json summary = Json::parse(summary_of_child(experiment));
  EXPECT_EQ(summary["requests"]["completed"], kRequests);
  EXPECT_EQ(summary["cache"]["hit_tokens"]["hbm"], kRepeatedBlockTokens);
  EXPECT_EQ(summary["cache"]["evicted_tokens"]["hbm"], 0);
}

TEST_F(TraceHits, EightReplicasAccountForEveryRequest) {
  const Json summary = Json::parse(summary_of_child(replay(1, 8, Json::object())));
  const Json& counts = summary["requests"];
  EXPECT_EQ(counts["arrived"], kRequests);
  EXPECT_EQ(counts["completed"], kRequests);
  EXPECT_GT(summary["cache"]["hit_tokens"]["hbm"], 0);
  EXPECT_LT(summary["cache"]["hit_tokens"]["hbm"], kRepeatedBlockTokens);
}

}  // namespace
}  // namespace kvsim
