#include "tests/law/cluster_world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/base/rng.hpp"
#include "tests/law/random_tiers.hpp"

namespace kvsim {

namespace {

bool flip(Rng& rng) { return rng.below(2) == 0; }

std::int64_t between(Rng& rng, std::int64_t least, std::int64_t most) {
  return least + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(most - least + 1)));
}

// --- pools ---

// Alike in all pools: blocks of prefill and decode replicas fit together.
Json engine(Rng& rng) {
  const std::int64_t longest = 600;
  const std::int64_t block = pick<std::int64_t>(rng, {8, 16, 16, 32});
  const std::int64_t fewest = longest / block + 2;
  Json out = {{"block_size", block},
              {"num_gpu_blocks_override", fewest + between(rng, 0, 6 * fewest)},
              {"max_num_batched_tokens", pick<std::int64_t>(rng, {64, 256, 1024, 2048})},
              {"max_num_seqs", pick<std::int64_t>(rng, {2, 7, 64})},
              {"async_scheduling", flip(rng)},
              {"reserve_full_isl", flip(rng)},
              {"enable_prefix_caching", rng.below(5) != 0},
              {"request_overhead", rng.below(3) != 0},
              {"scheduling_policy", pick<const char*>(rng, {"fcfs", "fcfs", "priority"})},
              {"answers_end_by", pick<const char*>(rng, {"length", "stop"})}};
  if (flip(rng))
    out["step_time"] = {{"kind", "constant"},
                        {"fixed_s", 0.004},
                        {"prefill_s_per_token", 2e-5},
                        {"decode_s_per_sequence", 1e-4}};
  return out;
}

Json pool_of(Rng& rng, const char* role) {
  Json out = {
      {"name", role},
      {"role", role},
      {"replicas", between(rng, 1, 3)},
      {"llm", "llama-3.1-8b"},
      {"gpu", pick<const char*>(rng, {"h100-sxm", "a100-80-sxm", "l4"})},
      {"engine", engine(rng)},
      {"startup", {{"pod_s", rng.uniform(0.05, 1)}, {"load_bytes_per_s", 0}, {"warm", flip(rng)}}}};
  if (rng.below(3) == 0)
    out["max_replicas"] = out["replicas"].get<std::int64_t>() + between(rng, 0, 2);
  return out;
}

// Of prefill and decode replicas.
Json disaggregation(Rng& rng) {
  Json out = {{"first_token", pick<const char*>(rng, {"decode", "prefill"})},
              {"together", flip(rng)},
              {"handover_s", pick<double>(rng, {0, 0.5e-3, 0.05})},
              {"decider", pick<const char*>(rng, {"always", "always", "never", "conditional",
                                                  "isl-bounding", "isl-or-load", "prefill-load",
                                                  "prefix-based-pd-decider", "always-disagg"})},
              {"transfer",
               {{"protocol", pick<const char*>(rng, {"", "tcp", "rdma"})},
                {"granularity", pick<const char*>(rng, {"layer", "block"})},
                {"staged", rng.below(4) == 0},
                {"hold_timeout_s", pick<double>(rng, {0.05, 2, 480})}}}};
  const std::string decider = out["decider"];
  if (decider == "prefill-load" || decider == "isl-or-load")
    out["decider"] = {{"kind", decider}, {"prefill_busy_threshold", rng.uniform(0, 2)}};
  if (decider == "conditional")
    out["decider"] = {{"kind", decider},
                      {"max_local_prefill_length", between(rng, 0, 100)},
                      {"max_prefill_queue_size", between(rng, 1, 5)}};
  if (decider == "prefix-based-pd-decider")
    out["decider"] = {{"kind", decider}, {"non_cached_tokens", between(rng, 0, 100)}};
  return out;
}

void add_pools(Json& out, Rng& rng) {
  Json first = pool_of(rng, "aggregated");
  out["pools"] = Json::array({first});
  add_random_tiers(out, rng);
  first = out["pools"][0];
  const std::uint64_t kind = rng.below(4);
  if (kind == 1) {  // another kind of GPU
    Json other = first;
    other["name"] = "other";
    other["gpu"] = pick<const char*>(rng, {"h100-sxm", "l4"});
    if (flip(rng)) other.erase("connector");
    out["pools"].push_back(other);
  }
  if (kind < 2) return;
  out["disaggregation"] = disaggregation(rng);
  Json decode = first;
  decode["name"] = decode["role"] = "decode";
  decode["replicas"] = between(rng, 1, 3);
  decode.erase("max_replicas");
  if (flip(rng)) decode["engine"]["num_gpu_blocks_override"] = 1000;
  if (flip(rng)) decode.erase("connector");
  if (rng.below(3) == 0) decode["tensor_parallel"] = 2;
  first["name"] = first["role"] = "prefill";
  out["pools"] = Json::array({first, decode});
  if (!out.contains("nodes")) out["nodes"] = {{{"name", "node"}, {"gpus", 2 * between(rng, 1, 2)}}};
  if (!flip(rng)) return;
  out["nodes"].push_back({{"name", "far"}, {"gpus", 2}});
  out["pools"][1]["node"] = "far";
  if (out["nodes"][0].contains("disks")) out["nodes"].back()["disks"] = out["nodes"][0]["disks"];
}

// --- who chooses ---

Json router(Rng& rng) {
  const std::string kind = pick<const char*>(
      rng, {"device-aware-weighted", "dynamo-kv", "dynamo-kv", "least-loaded", "llm-d", "llm-d",
            "connection", "mooncake-conductor", "power-of-two", "prefix-aware", "random",
            "round-robin", "session-affinity", "sglang-cache-aware", "tier-aware"});
  Json out = {{"kind", kind}};
  if (kind == "dynamo-kv") {
    out["generation"] = pick<const char*>(rng, {"old", "mid", "new"});
    out["use_kv_events"] = flip(rng);
    out["router_temperature"] = pick<double>(rng, {0, 0.5});
  }
  return out;
}

Json admission(Rng& rng) {
  switch (rng.below(6)) {
    case 0:
      return {{"kind", "dynamo-queue"},
              {"router_queue_threshold", pick<double>(rng, {0.05, 0.5, 2})},
              {"router_queue_policy", pick<const char*>(rng, {"fcfs", "lcfs", "wspt"})}};
    case 1:
      return {{"kind", "llm-d-flow-control"},
              {"ordering", pick<const char*>(rng, {"fcfs", "edf", "slo-deadline"})},
              {"band_capacity_bytes", pick<std::int64_t>(rng, {2000, 1'000'000'000})},
              {"ttl_s", pick<double>(rng, {0, 0.3})},
              {"sweep_s", 0.1}};
    case 2:
      return "llm-d-saturation";
    default:
      return "none";
  }
}

void add_router(Json& out, Rng& rng) {
  Json& made = out["router"] = router(rng);
  if (rng.below(3) == 0) made["prefill"] = router(rng);
  made["view_refresh_s"] = pick<double>(rng, {0.0, 0.05, 0.5});
  made["detection_s"] = pick<double>(rng, {0, 0.05, 0.5});
  made["admission"] = admission(rng);
  if (rng.below(3) == 0)
    made["gateway"] = {{"cpu_per_request_s", rng.uniform(0, 0.01)},
                       {"cpu_per_input_token_s", 1e-6},
                       {"latency_s", pick<double>(rng, {0, 1e-3})},
                       {"processes", between(rng, 1, 3)}};
  if (rng.below(3) == 0)
    made["events"] = {{"publish_s", 0.001}, {"loss", pick<double>(rng, {0, 0.3})}};
}

Json autoscaler(Rng& rng) {
  switch (rng.below(8)) {
    case 0:
      return {{"kind", "hpa"},
              {"metric", pick<const char*>(rng, {"waiting", "in-flight"})},
              {"target", rng.uniform(0.5, 4)},
              {"sync_period_s", 0.3},
              {"scale_down_stabilisation_s", 0.5}};
    case 1:
      return {{"kind", "dynamo-planner"}, {"load_adjustment_interval_s", 0.3}};
    case 2:
      return {{"kind", "wva"}, {"period_s", 0.4}, {"ttft_s", 0.2}, {"itl_s", 0.02}};
    default:
      return "static";
  }
}

// --- clients ---

Json workload(Rng& rng) {
  Json out = {{"kind", "generate"},
              {"requests", between(rng, 20, 80)},
              {"input", {{"kind", "uniform"}, {"min", 1}, {"max", 200}}},
              {"output", {{"kind", "uniform"}, {"min", 1}, {"max", 120}}}};
  if (flip(rng)) {
    out["sessions"] = {{"turns", {{"kind", "uniform"}, {"min", 1}, {"max", 4}}},
                       {"think", {{"kind", "exponential"}, {"mean_s", 0.3}}}};
    out["input"]["max"] = out["output"]["max"] = 60;
  }
  if (flip(rng))
    out["prefix"] = {{"groups", 3}, {"length", {{"kind", "constant"}, {"value", 100}}}};
  return out;
}

// Another LLM with a pool of its own, which a part of the requests ask for.
void add_llm(Json& out, Rng& rng) {
  Json pool = out["pools"].back();
  pool["name"] = "second";
  pool["role"] = "aggregated";
  pool["llm"] = pick<const char*>(rng, {"qwen3-0.6b", "gpt-oss-20b"});
  pool["replicas"] = between(rng, 1, 2);
  pool.erase("max_replicas");
  pool["engine"]["num_gpu_blocks_override"] = 300;
  out["pools"].push_back(pool);
  Json parts = Json::array();
  for (const Json& which : out["pools"]) {
    if (parts.size() == 1 && which["name"] != "second") continue;
    parts.push_back({{"share", rng.uniform(0.2, 1)},
                     {"llm", which["llm"]},
                     {"tenant", which["name"]},
                     {"workload", workload(rng)}});
    if (parts.size() == 2) break;
  }
  out["workload"] = {{"kind", "mix"}, {"parts", parts}};
}

Json load(Rng& rng) {
  Json out;
  if (rng.below(3) == 0) {
    out = {{"kind", "closed_loop"}, {"clients", between(rng, 1, 20)}};
  } else {
    out = {{"kind", "poisson"}, {"rate_per_s", rng.uniform(5, 60)}};
  }
  if (rng.below(4) == 0) out["client_timeout_s"] = rng.uniform(0.2, 3);
  return out;
}

// --- faults ---

Json fault(Rng& rng, const Json& out) {
  const bool machines = out.contains("disaggregation") || out["pools"][0].contains("connector");
  const bool stores = out.contains("stores") && out["pools"][0].contains("connector");
  std::vector<const char*> kinds = {"replica-crash", "replica-crash", "node-loss"};
  if (machines) kinds.insert(kinds.end(), {"link-degradation", "network-partition"});
  if (stores) kinds.insert(kinds.end(), {"store-restart", "slow-disk"});
  const std::string kind = kinds[rng.below(kinds.size())];
  Json made = {{"kind", kind}};
  if (rng.below(3) == 0) {
    made["rate"] = {{"mean_between_s", rng.uniform(0.3, 3)}};
  } else {
    made["at_s"] = rng.uniform(0, 3);
  }
  if (made.contains("rate") || rng.below(5) != 0)
    made["duration_s"] = pick<double>(rng, {0, 0.01, 0.2, 1, 3}) * rng.uniform(0.5, 1.5);
  if (kind == "link-degradation" || kind == "slow-disk")
    made["factor"] = pick<double>(rng, {1e-6, 0.01, 0.1, 0.7});
  if (kind == "store-restart") made["cache"] = pick<const char*>(rng, {"cold", "warm"});
  return made;
}

}  // namespace

Json random_cluster(std::uint64_t seed) {
  Rng rng = stream(seed, "law/cluster");
  Json out;
  out["schema"] = "kvsim.experiment/1";
  out["name"] = "cluster " + std::to_string(seed);
  out["seed"] = static_cast<std::int64_t>(seed);
  out["workload"] = workload(rng);
  out["load"] = load(rng);
  add_pools(out, rng);
  Rng llms = stream(seed, "law/llms");
  if (llms.below(4) == 0) add_llm(out, llms);
  add_router(out, rng);
  out["autoscaler"] = autoscaler(rng);
  if (rng.below(8) == 0)
    out["measure"] = {{"warmup_s", rng.uniform(0, 0.5)}, {"duration_s", rng.uniform(0.3, 2)}};
  return out;
}

Json random_faults(std::uint64_t seed) {
  Json out = random_cluster(seed);
  Rng rng = stream(seed, "law/faults");
  for (std::int64_t i = between(rng, 1, 4); i > 0; --i) out["faults"].push_back(fault(rng, out));
  if (flip(rng))
    out["retry"] = {{"attempts", between(rng, 2, 6)},
                    {"backoff_s", pick<double>(rng, {0.01, 0.2, 1})}};
  return out;
}

std::string records_as_text(const WorldResult& result) {
  std::vector<RequestRecord> records = result.records;
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  std::string text;
  for (const RequestRecord& r : records)
    text += fmt::format(
        "{} {} {} out {} hit {} {} pre {} sent {:.9f} first {:.9f} end {:.9f} "
        "q {:.9f} l {:.9f} f {:.9f} p {:.9f}\n",
        r.id, r.replica, static_cast<int>(r.outcome), r.output_tokens, r.hit_tokens[0],
        r.hit_tokens[1], r.preemptions, r.sent.count(), r.first_token.count(), r.ended.count(),
        r.queue.count(), r.lookup.count(), r.fetch.count(), r.prefill.count());
  return text;
}

namespace {

constexpr double kNanosecond = 1e-9;

std::string times_complaints(const RequestRecord& r) {
  std::string out;
  if (r.sent < r.intended - Seconds(kNanosecond) || r.ended < r.sent)
    out += fmt::format("causality: request {} goes back in time\n", r.id);
  if (r.first_token < Seconds(0)) {
    if (r.outcome == Outcome::kCompleted)
      out += fmt::format("causality: request {} completed without a token\n", r.id);
    return out;
  }
  if (r.first_token < r.sent || r.ended < r.first_token)
    out += fmt::format("causality: request {} ({}): sent {} first token {} ended {}\n", r.id,
                       static_cast<int>(r.outcome), r.sent.count(), r.first_token.count(),
                       r.ended.count());
  const Seconds parts = r.queue + r.lookup + r.fetch + r.prefill + r.other;
  const Seconds whole = r.first_token - r.sent;
  if (std::abs((parts - whole).count()) > kNanosecond)
    out += fmt::format("parts: request {}: {} of {}\n", r.id, parts.count(), whole.count());
  for (const Seconds part : {r.queue, r.lookup, r.fetch, r.prefill, r.other})
    if (part < Seconds(-kNanosecond))
      out += fmt::format("parts: request {}: q {} l {} f {} p {} o {} of {}\n", r.id,
                         r.queue.count(), r.lookup.count(), r.fetch.count(), r.prefill.count(),
                         r.other.count(), whole.count());
  Seconds stages{0};
  for (const Seconds stage : r.fetch_stages) stages += stage;
  if (std::abs((stages - r.fetch).count()) > kNanosecond)
    out += fmt::format("parts: request {}: stages {} of fetch {}\n", r.id, stages.count(),
                       r.fetch.count());
  return out;
}

std::string tokens_complaints(const RequestRecord& r, std::int64_t longest) {
  std::string out;
  if (r.output_tokens < 0 || r.output_tokens > longest)
    out += fmt::format("tokens: request {} gave {}\n", r.id, r.output_tokens);
  if (r.outcome != Outcome::kCompleted) return out;
  if (r.output_tokens < 1) out += fmt::format("tokens: request {} said nothing\n", r.id);
  std::int64_t hits = 0;
  for (const std::int64_t tokens : r.hit_tokens) {
    hits += tokens;
    if (tokens < 0) out += fmt::format("tokens: request {} hit {}\n", r.id, tokens);
  }
  // A preempted one looks up its answer so far as well.
  if (r.preemptions == 0 && hits > r.input_tokens)
    out += fmt::format("tokens: request {} hit {} of {}\n", r.id, hits, r.input_tokens);
  return out;
}

}  // namespace

std::string broken_laws(const Json& experiment, const WorldResult& result) {
  std::string out;
  if (const std::string lost = requests_lost(experiment, result); !lost.empty())
    out += "counts: " + lost;
  const std::int64_t longest = 120;  // answer of any workload here
  const bool cut = experiment.contains("measure");
  for (const RequestRecord& record : result.records) {
    if (record.outcome == Outcome::kUnfinished && cut) continue;
    out += times_complaints(record);
    out += tokens_complaints(record, longest);
  }
  for (const Json& resource : result.summary["resources"])
    // A disk counts a call's time when it begins: a slowed one may be busy beyond the end.
    if ((resource["kind"] != "disk" || !experiment.contains("faults")) &&
        resource["utilisation"].get<double>() > 1.0 + 1e-9)
      out += "capacity: " + resource.dump() + "\n";
  return out;
}

}  // namespace kvsim
