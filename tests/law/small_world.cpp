#include "tests/law/small_world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "sim/base/rng.hpp"
#include "sim/experiment/simulation.hpp"
#include "tests/child.hpp"
#include "tests/law/random_tiers.hpp"

namespace kvsim {

namespace {

class Collector : public RequestSink {
 public:
  void finished(const RequestRecord& record) override { records.push_back(record); }
  void close(const Json&) override {}
  std::vector<RequestRecord> records;
};

Json engine(Rng& rng) {
  const std::int64_t longest = 600;  // tokens of the longest request below
  const std::int64_t block = pick<std::int64_t>(rng, {8, 16, 16, 32});
  const std::int64_t fewest = longest / block + 2;
  Json out;
  out["block_size"] = block;
  out["num_gpu_blocks_override"] = fewest + static_cast<std::int64_t>(rng.below(4 * fewest));
  out["max_num_batched_tokens"] = pick<std::int64_t>(rng, {64, 256, 1024, 2048});
  out["max_num_seqs"] = pick<std::int64_t>(rng, {2, 7, 64});
  out["async_scheduling"] = rng.below(2) == 0;
  out["reserve_full_isl"] = rng.below(2) == 0;
  out["enable_prefix_caching"] = rng.below(5) != 0;
  out["request_overhead"] = rng.below(3) != 0;
  out["scheduling_policy"] = pick<const char*>(rng, {"fcfs", "fcfs", "priority"});
  out["answers_end_by"] = pick<const char*>(rng, {"length", "stop"});
  if (rng.below(3) == 0) out["long_prefill_token_threshold"] = 48;
  if (rng.below(4) == 0) out["watermark"] = 0.05;
  out["version"] = pick<const char*>(rng, {"0.11", "0.15"});
  if (rng.below(2) == 0)
    out["step_time"] = {{"kind", "constant"},
                        {"fixed_s", 0.004},
                        {"prefill_s_per_token", 2e-5},
                        {"decode_s_per_sequence", 1e-4}};
  return out;
}

Json workload(Rng& rng) {
  Json out = {{"kind", "generate"},
              {"input", {{"kind", "uniform"}, {"min", 1}, {"max", 200}}},
              {"output", {{"kind", "uniform"}, {"min", 1}, {"max", 120}}}};
  const auto requests = static_cast<std::int64_t>(20 + rng.below(60));
  if (rng.below(2) == 0) {
    out["sessions"] = {{"turns", {{"kind", "uniform"}, {"min", 1}, {"max", 4}}},
                       {"think", {{"kind", "exponential"}, {"mean_s", 0.3}}}};
    out["input"]["max"] = 60;
    out["output"]["max"] = 60;
    out["requests"] = requests;
  } else {
    out["requests"] = requests;
  }
  if (rng.below(2) == 0)
    out["prefix"] = {{"groups", 3}, {"length", {{"kind", "constant"}, {"value", 100}}}};
  return out;
}

Json load(Rng& rng) {
  Json out;
  switch (rng.below(4)) {
    case 0:
      out = {{"kind", "closed_loop"}, {"clients", 1 + static_cast<std::int64_t>(rng.below(20))}};
      break;
    case 1:
      out = {{"kind", "constant"}, {"rate_per_s", rng.uniform(1, 60)}};
      break;
    case 2:
      out = {{"kind", "gamma"}, {"rate_per_s", rng.uniform(1, 60)}, {"burstiness", 0.3}};
      break;
    default:
      out = {{"kind", "poisson"}, {"rate_per_s", rng.uniform(1, 60)}};
  }
  if (rng.below(4) == 0) out["client_timeout_s"] = rng.uniform(0.2, 3);
  return out;
}

}  // namespace

namespace {

// Numbers to nine digits: sums over replicas depend on the order of their parts in the last ones.
std::string rounded(const Json& json) {
  std::string text;
  const Json flat = json.flatten();
  for (const auto& [key, value] : flat.items())
    text += value.is_number_float() ? fmt::format("{} {:.9g}\n", key, value.get<double>())
                                    : fmt::format("{} {}\n", key, value.dump());
  return text;
}

}  // namespace

Json random_experiment(std::uint64_t seed) {
  Rng rng = stream(seed, "law/small-world");
  Json pool = {{"replicas", 1 + static_cast<std::int64_t>(rng.below(3))},
               {"llm", pick<const char*>(rng, {"llama-3.1-8b", "llama-3.1-8b", "gpt-oss-20b"})},
               {"gpu", pick<const char*>(rng, {"h100-sxm", "a100-80-sxm", "l4"})},
               {"engine", engine(rng)}};
  Json out;
  out["schema"] = "kvsim.experiment/1";
  out["name"] = "small world " + std::to_string(seed);
  out["seed"] = static_cast<std::int64_t>(seed);
  out["workload"] = workload(rng);
  out["load"] = load(rng);
  out["pools"] = Json::array({pool});
  Rng tiers = stream(seed, "law/tiers");
  add_random_tiers(out, tiers);
  if (rng.below(4) == 0)
    out["measure"] = {{"warmup_s", rng.uniform(0, 0.5)}, {"duration_s", rng.uniform(0.3, 2)}};
  out["router"] = {
      {"kind", pick<const char*>(rng, {"round-robin", "random", "power-of-two", "least-loaded",
                                       "session-affinity", "prefix-aware", "prefix-aware"})},
      {"view_refresh_s", pick<double>(rng, {0.0, 0.05, 0.5})}};
  return out;
}

WorldResult run_here(const Json& experiment) {
  Simulation simulation(ConfigNode(experiment, "small-world.json"));
  Collector collector;
  simulation.add_sink(collector);
  simulation.run();
  return {simulation.summary(), std::move(collector.records)};
}

std::string run_to_text(const Json& experiment, bool with_summary) {
  return text_of_child([&] {
    WorldResult result = run_here(experiment);
    std::sort(result.records.begin(), result.records.end(),
              [](const auto& a, const auto& b) { return a.id < b.id; });
    std::string text;
    for (const RequestRecord& r : result.records)
      text += fmt::format(
          "{} {} {} out {} hit {} {} pre {} sent {:.9f} first {:.9f} end {:.9f} q {:.9f} f "
          "{:.9f}\n",
          r.id, r.replica, static_cast<int>(r.outcome), r.output_tokens, r.hit_tokens[0],
          r.hit_tokens[1], r.preemptions, r.sent.count(), r.first_token.count(), r.ended.count(),
          r.queue.count(), r.fetch.count());
    if (!with_summary) return text;
    for (const char* part : {"latency_s", "throughput", "resources", "cache"})
      text += rounded(result.summary[part]);
    return text;
  });
}

std::string summary_of_child(const Json& experiment) {
  return text_of_child([&] { return run_here(experiment).summary.dump(); });
}

std::string requests_lost(const Json& experiment, const WorldResult& result) {
  std::set<std::int64_t> ids;
  for (const RequestRecord& record : result.records)
    if (!ids.insert(record.id).second) return fmt::format("request {} ended twice\n", record.id);
  const Json& counts = result.summary["requests"];
  const auto of = [&](const char* key) { return counts[key].get<std::int64_t>(); };
  const std::int64_t sum =
      of("completed") + of("refused") + of("failed") + of("timed_out") + of("unfinished");
  if (sum != of("arrived") || of("arrived") != static_cast<std::int64_t>(ids.size()))
    return "counts do not add up: " + counts.dump() + "\n";
  if (!experiment.contains("measure") && of("unfinished") != 0)
    return "unfinished requests in a complete run\n";
  return "";
}

std::string times_that_do_not_add_up(const WorldResult& result) {
  std::string complaints;
  for (const RequestRecord& r : result.records) {
    if (r.sent < r.intended || r.ended < r.sent)
      complaints += fmt::format("request {} goes back in time\n", r.id);
    if (r.first_token < Seconds(0)) continue;
    if (r.outcome == Outcome::kCompleted && r.ended < r.first_token)
      complaints += fmt::format("request {} ends before its first token\n", r.id);
    const Seconds parts = r.queue + r.lookup + r.fetch + r.prefill + r.other;
    if (std::abs((parts - (r.first_token - r.sent)).count()) > 1e-9)
      complaints += fmt::format("request {}: parts {} of {}\n", r.id, parts.count(),
                                (r.first_token - r.sent).count());
    for (const Seconds part : {r.queue, r.lookup, r.fetch, r.prefill, r.other})
      if (part < Seconds(-1e-12))
        complaints += fmt::format("request {}: a part < 0: {}\n", r.id, part.count());
  }
  return complaints;
}

}  // namespace kvsim
