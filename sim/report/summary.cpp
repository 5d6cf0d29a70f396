#include "sim/report/summary.hpp"

#include <algorithm>

#include "sim/base/check.hpp"
#include "sim/report/bottleneck.hpp"
#include "sim/report/distribution_json.hpp"

namespace kvsim {

namespace {

Json number_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

std::optional<double> ratio(double numerator, double denominator) {
  if (!(denominator > 0)) return std::nullopt;
  return numerator / denominator;
}

double real(std::int64_t count) { return static_cast<double>(count); }

Json latencies(const LatencySet& set, const Sketch& gaps) {
  return {{"ttft", distribution_json(set.ttft)},
          {"itl", distribution_json(gaps)},
          {"tpot", distribution_json(set.tpot)},
          {"e2e", distribution_json(set.e2e)},
          {"queue", distribution_json(set.queue)}};
}

Json latency_errors(const LatencySet& set) {
  return {{"ttft", set.ttft.relative_error()},
          {"itl", Sketch::kRelativeError},
          {"tpot", set.tpot.relative_error()},
          {"e2e", set.e2e.relative_error()},
          {"queue", set.queue.relative_error()}};
}

LatencySet with_timeouts(const Recorder& recorder) {
  LatencySet set = recorder.completed();
  set.ttft.merge(recorder.timed_out().ttft);
  set.tpot.merge(recorder.timed_out().tpot);
  set.e2e.merge(recorder.timed_out().e2e);
  set.queue.merge(recorder.timed_out().queue);
  return set;
}

void add_latencies(const Recorder& recorder, Json& out) {
  const LatencySet& set = recorder.completed();
  Json errors = {{"latency_s", latency_errors(set)}};
  out["latency_s"] = latencies(set, recorder.gaps());
  {
    const LatencySet both = with_timeouts(recorder);
    out["latency_with_timeouts_s"] = latencies(both, recorder.gaps());
    errors["latency_with_timeouts_s"] = latency_errors(both);
  }
  const IntendedSet& intended = recorder.intended();
  out["latency_intended_s"] = {{"ttft", distribution_json(intended.ttft)},
                               {"itl", distribution_json(recorder.gaps())},
                               {"tpot", distribution_json(set.tpot)},
                               {"e2e", distribution_json(intended.e2e)},
                               {"queue", distribution_json(intended.queue)}};
  errors["latency_intended_s"] = {{"ttft", Sketch::kRelativeError},
                                  {"itl", Sketch::kRelativeError},
                                  {"tpot", set.tpot.relative_error()},
                                  {"e2e", Sketch::kRelativeError},
                                  {"queue", Sketch::kRelativeError}};
  out["percentiles"] = {{"method", "linear interpolation between neighbouring ranks"},
                        {"relative_error", std::move(errors)}};
}

Json requests(const RequestCounts& counts) {
  return {{"arrived", counts.arrived},         {"completed", counts.completed},
          {"refused", counts.refused},         {"failed", counts.failed},
          {"unfinished", counts.unfinished()}, {"preempted", counts.preempted},
          {"timed_out", counts.timed_out},     {"preemptions", counts.preemptions}};
}

Json window(const Recorder& recorder, Seconds length) {
  const MeasureWindow& window = recorder.window();
  const bool by_arrival = window.by == MeasureWindow::By::kArrived;
  return {{"warmup_s", window.warmup.count()},
          {"duration_s", length.count()},
          {"count", by_arrival ? "arrived" : "completed"},
          {"requests", recorder.measured().requests}};
}

Json throughput(const Recorder& recorder, const RunFacts& facts, double length_s) {
  const MeasuredTotals& measured = recorder.measured();
  const double gpu_seconds = length_s * facts.gpus;
  return {
      {"requests_per_s", number_or_null(ratio(real(measured.completed), length_s))},
      {"output_tokens_per_s", number_or_null(ratio(real(measured.output_tokens), length_s))},
      {"input_tokens_per_s", number_or_null(ratio(real(measured.input_tokens), length_s))},
      {"requests_per_s_per_gpu", number_or_null(ratio(real(measured.completed), gpu_seconds))},
      {"output_tokens_per_s_per_user", number_or_null(ratio(1, recorder.completed().tpot.mean()))}};
}

Json cache(const MeasuredTotals& measured, const RunFacts& facts) {
  Json hits = Json::object();
  Json evicted = Json::object();
  Json stored = Json::object();
  std::int64_t hit = 0;
  KV_CHECK(facts.tiers.size() <= measured.hit_tokens.size(), "{} tiers", facts.tiers.size());
  for (std::size_t i = 0; i < facts.tiers.size(); ++i) {
    const TierFacts& tier = facts.tiers[i];
    hits[tier.name] = measured.hit_tokens[i];
    evicted[tier.name] = tier.evicted.count();
    stored[tier.name] = tier.stored.count();
    hit += measured.hit_tokens[i];
  }
  return {{"prompt_tokens", measured.prompt_tokens},
          {"recomputed_tokens", facts.recomputed.count()},
          {"hit_rate", number_or_null(ratio(real(hit), real(measured.prompt_tokens)))},
          {"hit_tokens", std::move(hits)},
          {"evicted_tokens", std::move(evicted)},
          {"stored_bytes", std::move(stored)},
          {"write_amplification", number_or_null(facts.write_amplification)}};
}

Json breakdown(const MeasuredTotals& measured, const RunFacts& facts) {
  const auto mean = [&](Seconds sum) {
    return number_or_null(ratio(sum.count(), real(measured.completed)));
  };
  Json fetch = Json::object();
  for (std::size_t i = 0; i < facts.fetch_stages.size(); ++i)
    fetch[facts.fetch_stages[i]] = mean(measured.fetch_stages[i]);
  return {{"queue", mean(measured.queue)},
          {"lookup", mean(measured.lookup)},
          {"fetch", std::move(fetch)},
          {"prefill", mean(measured.prefill)},
          {"other", mean(measured.other)}};
}

// What the lower tiers failed to do, by tier; only those that failed at something.
Json tier_troubles(const std::vector<TierFacts>& tiers) {
  Json out = Json::object();
  for (const TierFacts& tier : tiers) {
    if (tier.dropped == Tokens(0) && tier.failed_loads == 0 && tier.bypassed == 0) continue;
    out[tier.name] = {{"dropped_tokens", tier.dropped.count()},
                      {"failed_loads", tier.failed_loads},
                      {"bypassed", tier.bypassed}};
  }
  return out;
}

Json stores(const std::vector<StoreFacts>& list) {
  Json out = Json::array();
  for (const StoreFacts& store : list) {
    const bool disk = store.write_amplification > 0;
    out.push_back({{"name", store.name},
                   {"live_bytes", store.live.count()},
                   {"stored_bytes", store.stored.count()},
                   {"evicted_bytes", store.evicted.count()},
                   {"refused_bytes", store.refused.count()},
                   {"gets", store.gets},
                   {"hits", store.hits},
                   {"puts", store.puts},
                   {"write_amplification", disk ? Json(store.write_amplification) : Json()}});
  }
  return out;
}

Json disks(const std::vector<DiskFacts>& list) {
  Json out = Json::array();
  for (const DiskFacts& disk : list) {
    const double rated = disk.rated_drive_writes_per_day;
    out.push_back({{"name", disk.name},
                   {"read_bytes", disk.read.count()},
                   {"written_bytes", disk.written.count()},
                   {"written_flash_bytes", disk.written_flash.count()},
                   {"capacity_bytes", disk.capacity.count()},
                   {"used_bytes", disk.used.count()},
                   {"drive_writes_per_day", disk.drive_writes_per_day},
                   {"rated_drive_writes_per_day", rated > 0 ? Json(rated) : Json()},
                   {"years_of_life", disk.years_of_life > 0 ? Json(disk.years_of_life) : Json()}});
  }
  return out;
}

Json resources(const std::vector<ResourceFacts>& list) {
  Json out = Json::array();
  for (const ResourceFacts& resource : list) {
    out.push_back({{"name", resource.name},
                   {"kind", resource.kind},
                   {"utilisation", resource.utilisation},
                   {"bytes", resource.bytes.count()},
                   {"busy_s", resource.busy.count()}});
  }
  return out;
}

Json cost(const RunFacts& facts, const MeasuredTotals& measured, double length_s) {
  if (!facts.cost) return nullptr;
  const HourlyCost hourly = hourly_cost(*facts.cost);
  const double output = ratio(real(measured.output_tokens), length_s).value_or(0);
  const double input = ratio(real(measured.input_tokens), length_s).value_or(0);
  return {
      {"usd_per_hour", hourly.total()},
      {"usd_per_million_output_tokens", number_or_null(usd_per_million(hourly.total(), output))},
      {"usd_per_million_tokens", number_or_null(usd_per_million(hourly.total(), input + output))},
      {"by_part",
       {{"gpu", hourly.gpu},
        {"dram", hourly.dram},
        {"nvme", hourly.nvme},
        {"store", hourly.store},
        {"network", hourly.network},
        {"power", hourly.power}}}};
}

Json slo(const Recorder& recorder, double length_s) {
  const Slo& bounds = recorder.slo();
  Json out = {{"ttft_s", bounds.ttft ? Json(bounds.ttft->count()) : Json()},
              {"tpot_s", bounds.tpot ? Json(bounds.tpot->count()) : Json()},
              {"attainment", nullptr},
              {"goodput_requests_per_s", nullptr}};
  if (!bounds.ttft && !bounds.tpot) return out;
  const MeasuredTotals& measured = recorder.measured();
  out["attainment"] = number_or_null(ratio(real(measured.good), real(measured.judged)));
  out["goodput_requests_per_s"] = number_or_null(ratio(real(measured.good), length_s));
  return out;
}

Json provenance(const RunProvenance& facts) {
  return {{"version", facts.version},           {"config_sha256", facts.config_sha256},
          {"trace_sha256", facts.trace_sha256}, {"seed", facts.seed},
          {"profiles", facts.profiles},         {"assumed_profiles", facts.assumed_profiles}};
}

}  // namespace

Json summarise(const Recorder& recorder, const RunFacts& facts) {
  const Seconds length = recorder.window().length(facts.simulated);
  const MeasuredTotals& measured = recorder.measured();
  Json out = {{"schema", kSummarySchema}, {"name", facts.name}};
  if (facts.incomplete) out["incomplete"] = true;
  out["warnings"] = facts.warnings;
  out["requests"] = requests(recorder.counts());
  out["duration_s"] = length.count();
  out["simulated_s"] = facts.simulated.count();
  out["window"] = window(recorder, length);
  out["concurrency"] = {{"max", recorder.counts().most_in_flight}};
  out["throughput"] = throughput(recorder, facts, length.count());
  add_latencies(recorder, out);
  out["cache"] = cache(measured, facts);
  out["ttft_breakdown_s"] = breakdown(measured, facts);
  if (!facts.fetch_stages.empty()) out["step_waits_s"] = step_waits_json(facts);
  if (const Json troubles = tier_troubles(facts.tiers); !troubles.empty())
    out["tier_troubles"] = troubles;
  if (!facts.stores.empty()) out["stores"] = stores(facts.stores);
  if (!facts.disks.empty()) out["disks"] = disks(facts.disks);
  out["resources"] = resources(facts.resources);
  out["bottleneck"] = find_bottleneck(facts, out["ttft_breakdown_s"]);
  out["cost"] = cost(facts, measured, length.count());
  out["slo"] = slo(recorder, length.count());
  out["provenance"] = provenance(facts.provenance);
  return out;
}

}  // namespace kvsim
