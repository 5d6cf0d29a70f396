// Random scripts with every mechanism on: memory for two or three requests, copies about as slow as
// steps, clients that give up. run() demands that coalescing changes nothing, that no request gets
// stuck and that all blocks come back.
#include <gtest/gtest.h>

#include <cstdlib>

#include "sim/base/rng.hpp"
#include "tests/unit/engine_harness.hpp"

namespace kvsim {
namespace {

// KVSIM_WORLDS and KVSIM_FIRST_WORLD widen or replay the search.
std::uint64_t from_environment(const char* name, std::uint64_t standard) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : standard;
}

Offload random_offload(Rng& rng) {
  Offload offload;
  offload.plugin = {{"kind", "native"},
                    {"cpu_bytes", 1'000'000 * (1 + rng.below(60))},
                    {"blocks_per_chunk", 1 + rng.below(3)},
                    {"eviction", rng.below(2) == 0 ? "lru" : "arc"},
                    {"prompt_only", rng.below(2) == 0},
                    {"deferred_stores", rng.below(2) == 0},
                    {"ready_at_end", rng.below(2) == 0},
                    {"scans_to_evict", rng.below(2) == 0}};
  const Json redis = {{"kind", "redis"}, {"maxmemory_bytes", 1'000'000 * (1 + rng.below(200))}};
  switch (rng.below(6)) {
    case 0:
      offload.plugin = {{"kind", "kvbm"},
                        {"cpu_bytes", 1'000'000 * (1 + rng.below(60))},
                        {"disk", "ssd"},
                        {"disk_bytes", 1'000'000 * (1 + rng.below(60))},
                        {"disk_filter", rng.below(2) == 0},
                        {"gpu_direct", rng.below(2) == 0},
                        {"transfer_blocks", 1 + rng.below(16)}};
      break;
    case 1: {
      const char* writes[] = {"write_through", "write_through_selective", "write_back"};
      const char* prefetches[] = {"timeout", "best_effort", "wait_complete"};
      offload.plugin = {{"kind", "hicache"},
                        {"size_bytes", 1'000'000 * (1 + rng.below(60))},
                        {"storage", "kv"},
                        {"write_policy", writes[rng.below(3)]},
                        {"prefetch_policy", prefetches[rng.below(3)]},
                        {"prefetch_tokens", 16},
                        {"prefetch_timeout_base_s", rng.uniform(0, 3)},
                        {"client", {{"command_s", rng.uniform(0, 0.3)}}}};
      offload.stores["kv"] = redis;
      offload.layers = 4;
      break;
    }
    case 2:
      offload.plugin = {{"kind", "trtllm-host"},
                        {"host_cache_bytes", 1'000'000 * (1 + rng.below(60))},
                        {"decode_priority", rng.below(2) == 0 ? 35 : 50}};
      break;
    default:
      break;
  }
  offload.up = 1e6 * rng.uniform(0.5, 20);
  offload.down = 1e6 * rng.uniform(0.5, 20);
  offload.up_together = offload.up * rng.uniform(0.5, 1);
  offload.down_together = offload.down * rng.uniform(0.5, 1);
  return offload;
}

void randomise(Engine::Options& engine, Rng& rng) {
  EngineLimits& limits = engine.limits;
  engine.async_scheduling = rng.below(2) == 0;
  engine.unhashed_to_front = rng.below(2) == 0;
  engine.kv_blocks = 16 + static_cast<std::int64_t>(rng.below(20));
  limits.max_batched_tokens = 32 << rng.below(4);
  limits.max_sequences = rng.below(3) == 0 ? 3 : 50;
  limits.long_prefill_threshold = rng.below(3) == 0 ? 24 : 0;
  limits.prefix_caching = rng.below(4) != 0;
  limits.reserve_whole_prompt = rng.below(2) == 0;
  limits.watermark = rng.below(3) == 0 ? 0.1 : 0;
  limits.by_priority = rng.below(2) == 0;
}

Script random_script(std::uint64_t seed) {
  Rng rng = stream(seed, "unit/engine-random");
  Script script;
  randomise(script.engine, rng);
  if (rng.below(3) != 0) script.offload = random_offload(rng);
  if (rng.below(3) == 0) script.client_timeout = rng.uniform(5, 60);
  script.step_cpu = 0.3;
  script.step_per_prefill_token = 0.003;
  double at = 0;
  for (int i = 0; i < 30; ++i) {
    at += rng.uniform(0, 8);
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
  script.requests.push_back({.arrival = at + 5000, .input = 15});
  return script;
}

TEST(EngineRandom, CoalescingChangesNothingAndEverythingComesToAnEnd) {
  const std::uint64_t first = from_environment("KVSIM_FIRST_WORLD", 1);
  const std::uint64_t scripts = from_environment("KVSIM_WORLDS", 200);
  int preempted = 0;
  int loaded = 0;
  for (std::uint64_t seed = first; seed < first + scripts; ++seed) {
    SCOPED_TRACE("script " + std::to_string(seed));
    const Story story = run(random_script(seed));
    ASSERT_FALSE(HasFailure());
    for (const RequestRecord& record : story.requests) {
      preempted += record.preemptions;
      loaded += record.hit_tokens[1] > 0 ? 1 : 0;
      ASSERT_LE(record.hit_tokens[0] + record.hit_tokens[1], record.input_tokens);
    }
  }
  EXPECT_GT(preempted, static_cast<int>(scripts) / 4);
  EXPECT_GT(loaded, static_cast<int>(scripts) / 4);
}

}  // namespace
}  // namespace kvsim
