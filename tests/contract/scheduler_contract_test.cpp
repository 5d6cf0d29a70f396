// What every scheduler must keep, in random worlds with memory for two or three requests: every
// request comes to an end, blocks come back and coalescing changes nothing (run() demands these),
// tokens are counted right, and no step is larger than its budget.
#include <gtest/gtest.h>

#include <cstdlib>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "tests/unit/engine_harness.hpp"

namespace kvsim {
namespace {

// KVSIM_WORLDS and KVSIM_FIRST_WORLD widen or replay the search.
std::uint64_t from_environment(const char* name, std::uint64_t standard) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : standard;
}

// Options beside the defaults, by scheduler; a new one gets the defaults only.
Json random_options(const std::string& name, Rng& rng) {
  Json plugin = {{"kind", name}};
  if (name == "sglang") {
    const char* policies[] = {"fcfs", "lpm", "lof"};
    plugin["schedule_policy"] = policies[rng.below(3)];
    plugin["enable_mixed_chunk"] = rng.below(2) == 0;
    plugin["schedule_conservativeness"] = rng.uniform(0.1, 1.5);
    plugin["max_prefill_tokens"] = 32 << rng.below(6);
  }
  if (name == "tensorrt-llm") {
    const char* capacities[] = {"guaranteed_no_evict", "max_utilization", "static_batch"};
    plugin["capacity_policy"] = capacities[rng.below(3)];
    plugin["context_chunking_policy"] =
        rng.below(2) == 0 ? "equal_progress" : "first_come_first_served";
  }
  return plugin;
}

Offload random_offload(Rng& rng) {
  Offload offload;
  offload.plugin = {{"kind", "native"},
                    {"cpu_bytes", 1'000'000 * (1 + rng.below(60))},
                    {"blocks_per_chunk", 1 + rng.below(3)},
                    {"prompt_only", rng.below(2) == 0},
                    {"deferred_stores", rng.below(2) == 0},
                    {"ready_at_end", rng.below(2) == 0},
                    {"scans_to_evict", rng.below(2) == 0}};
  if (rng.below(3) == 0)
    offload.plugin = {{"kind", "hicache"}, {"size_bytes", 1'000'000 * (1 + rng.below(60))}};
  if (rng.below(3) == 0)
    offload.plugin = {{"kind", "trtllm-host"},
                      {"host_cache_bytes", 1'000'000 * (1 + rng.below(60))}};
  offload.up = 1e6 * rng.uniform(0.5, 20);
  offload.down = 1e6 * rng.uniform(0.5, 20);
  offload.up_together = offload.up;
  offload.down_together = offload.down;
  return offload;
}

void add_requests(Script& script, Rng& rng, int count) {
  double at = 0;
  for (int i = 0; i < count; ++i) {
    if (rng.below(3) != 0) at += rng.uniform(0, 12);
    const auto shared = static_cast<std::int64_t>(1 + rng.below(90));
    const auto own = static_cast<std::int64_t>(1 + rng.below(60));
    script.requests.push_back(
        {.arrival = at,
         .input = shared + own,
         .output = static_cast<std::int64_t>(1 + rng.below(80)),
         .prompt = {text(rng.below(4), shared), text(100 + static_cast<std::uint64_t>(i), own)},
         .priority = static_cast<std::int32_t>(rng.below(3))});
    if (rng.below(4) == 0) script.probes.push_back(at + 0.5);
  }
  // Long after the last store, and too short to cause another.
  script.requests.push_back({.arrival = at + 5000, .input = 1});
}

Script random_script(const std::string& name, std::uint64_t seed) {
  Rng rng = stream(seed, "contract/scheduler/" + name);
  Script script;
  EngineLimits& limits = script.engine.limits;
  script.engine.scheduler = random_options(name, rng);
  script.engine.async_scheduling = rng.below(2) == 0;
  if (rng.below(2) == 0) script.offload = random_offload(rng);
  // One token a block, four or sixteen.
  limits.block_tokens = std::int64_t{1} << (2 * (script.offload ? 1 + rng.below(2) : rng.below(3)));
  script.engine.kv_blocks =
      1 + (256 + static_cast<std::int64_t>(rng.below(300))) / limits.block_tokens;
  limits.max_batched_tokens = 32 << rng.below(4);
  limits.max_sequences = rng.below(3) == 0 ? 3 : 50;
  limits.chunked_prefill = limits.max_batched_tokens < 256 || rng.below(2) == 0;
  limits.prefix_caching = rng.below(4) != 0;
  limits.wasted_last_step = script.engine.async_scheduling && rng.below(2) == 0;
  limits.by_priority = rng.below(3) == 0;
  if (rng.below(4) == 0) script.client_timeout = rng.uniform(20, 120);
  script.step_cpu = 0.3;
  script.step_per_prefill_token = 0.003;
  add_requests(script, rng, 25);
  return script;
}

class SchedulerContract : public testing::TestWithParam<std::string> {
 protected:
  static std::uint64_t worlds() { return from_environment("KVSIM_WORLDS", 60); }
  template <class Check>
  void in_random_worlds(const Check& check) {
    const std::uint64_t first = from_environment("KVSIM_FIRST_WORLD", 1);
    for (std::uint64_t seed = first; seed < first + worlds(); ++seed) {
      SCOPED_TRACE("world " + std::to_string(seed));
      const Script script = random_script(GetParam(), seed);
      SCOPED_TRACE(script.engine.scheduler.dump());
      check(script, run(script));
      ASSERT_FALSE(HasFailure());
    }
  }
};

std::int64_t wanted(const Script& script, const RequestRecord& record) {
  return script.requests.at(static_cast<std::size_t>(record.id)).output;
}

TEST_P(SchedulerContract, EveryRequestEndsAndEveryTokenIsCountedOnce) {
  in_random_worlds([&](const Script& script, const Story& story) {
    ASSERT_EQ(story.requests.size(), script.requests.size());
    int preempted = 0;
    std::int64_t least = 0;
    std::int64_t sampled = 0;
    std::int64_t answers = 0;
    bool all_completed = true;
    for (const RequestRecord& record : story.requests) {
      preempted += record.preemptions;
      EXPECT_LE(record.hit_tokens[0] + record.hit_tokens[1], record.input_tokens);
      all_completed = all_completed && record.outcome == Outcome::kCompleted;
      if (record.outcome != Outcome::kCompleted) continue;
      EXPECT_EQ(record.output_tokens, wanted(script, record));
      EXPECT_LE(record.first_token.count(), record.ended.count());
      answers += record.output_tokens;
      least += record.input_tokens + record.output_tokens - 1;
      for (const std::int64_t hits : record.hit_tokens) least -= hits;
    }
    for (const StepShape& shape : story.steps) sampled += shape.sampled;
    if (script.engine.limits.wasted_last_step || !all_completed) return;
    EXPECT_EQ(sampled, answers);
    // Everything is computed once, and what preemption lost again: at most that, because a part of
    // it may be found in the cache.
    EXPECT_GE(story.counts.computed_tokens, least);
    if (story.counts.recomputed_tokens == 0 && !script.offload && preempted == 0) {
      EXPECT_EQ(story.counts.computed_tokens, least);
    }
  });
}

TEST_P(SchedulerContract, NoStepIsLargerThanItsBudget) {
  in_random_worlds([&](const Script& script, const Story& story) {
    const EngineLimits& limits = script.engine.limits;
    for (const StepShape& shape : story.steps) {
      EXPECT_LE(shape.decode_sequences + shape.prefill_sequences,
                (limits.wasted_last_step ? 2 : 1) * limits.max_sequences);
      if (limits.wasted_last_step) continue;
      // Plans count the tokens of a load that fell short when it falls short.
      if (script.offload) continue;
      // SGLang's decodes have no budget, and a prompt in progress always advances.
      const bool decodes_count = GetParam() != "sglang";
      const std::int64_t tokens =
          shape.prefill_tokens + (decodes_count ? shape.decode_sequences : 0);
      if (limits.chunked_prefill || decodes_count) {
        EXPECT_LE(tokens, limits.max_batched_tokens);
      }
    }
  });
}

TEST_P(SchedulerContract, EqualWorldsGiveEqualStories) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Script script = random_script(GetParam(), seed);
    const Story a = run(script);
    const Story b = run(script);
    ASSERT_EQ(a.requests.size(), b.requests.size());
    for (std::size_t i = 0; i < a.requests.size(); ++i) {
      EXPECT_EQ(a.requests[i].ended.count(), b.requests[i].ended.count());
      EXPECT_EQ(a.requests[i].first_token.count(), b.requests[i].first_token.count());
    }
    EXPECT_EQ(a.counts.steps, b.counts.steps);
    EXPECT_EQ(a.steps.size(), b.steps.size());
  }
}

TEST_P(SchedulerContract, ALoneRequestTakesAStepATokenAfterItsPrompt) {
  Script script;
  script.engine.scheduler = GetParam();
  script.requests = {{.input = 100, .output = 5}};
  const Story story = run(script);
  EXPECT_EQ(story.prefill_tokens(), (std::vector<std::int64_t>{100, 0, 0, 0, 0}));
  EXPECT_DOUBLE_EQ(story.first_token(0), 1);
  EXPECT_DOUBLE_EQ(story.ended(0), 5);
}

TEST_P(SchedulerContract, ARequestThatExactlyFillsTheMemoryRuns) {
  Script script;
  script.engine.scheduler = GetParam();
  script.engine.kv_blocks = 1 + 10;
  script.requests = {{.input = 100, .output = 60}, {.input = 100, .output = 60}};
  const Story story = run(script);
  EXPECT_EQ(story.outcome(0), Outcome::kCompleted);
  EXPECT_EQ(story.outcome(1), Outcome::kCompleted);
}

TEST_P(SchedulerContract, APromptLongerThanAStepIsRefusedOnlyWithoutChunks) {
  Script script;
  script.engine.scheduler = GetParam();
  script.engine.limits.max_batched_tokens = 64;
  script.requests = {{.input = 100, .output = 2}};
  EXPECT_EQ(run(script).outcome(0), Outcome::kCompleted);
  script.engine.limits.chunked_prefill = false;
  // SGLang computes one longer prompt alone.
  const bool runs = GetParam() == "sglang";
  EXPECT_EQ(run(script).outcome(0) == Outcome::kCompleted, runs);
}

INSTANTIATE_TEST_SUITE_P(All, SchedulerContract,
                         testing::ValuesIn(Registry<Scheduler>::instance().names()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace kvsim
