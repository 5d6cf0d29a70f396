// summary.json: what a run comes down to. Schema "kvsim.summary/1"; keys are added, never renamed.
//
//   schema, name, incomplete (only when true), warnings
//   requests {arrived, completed, refused, failed, unfinished, preempted, timed_out, preemptions}
//   duration_s (measuring window)    simulated_s (whole run)
//   window {warmup_s, duration_s, count, requests}
//   concurrency {max}
//   throughput {requests_per_s, output_tokens_per_s, input_tokens_per_s, requests_per_s_per_gpu,
//     output_tokens_per_s_per_user}
//   latency_s {ttft, itl, tpot, e2e, queue: {mean, p50, p90, p95, p99, max}}: completed requests,
//     from sending; latency_with_timeouts_s: with those whose client gave up;
//     latency_intended_s: from the intended arrival
//   percentiles {method, relative_error {<latency key>: {<metric>: bound}}}
//   cache, ttft_breakdown_s, resources, bottleneck (bottleneck.hpp), cost, slo, provenance
//   step_waits_s {loads, load_stages {...}, stores, lookups}: of all engines, with lower tiers only
//   stages [...] (stage_recorder.hpp): with stages only
//   kv_map (kv_map.hpp): with --outputs kvmap only
//   what_if [{free, throughput_gain, ttft_gain, tokens_per_user_gain}]: with --what-if
//   (what_if.hpp)
//
// `requests` covers the whole run; throughput, latencies, hits and slo cover the measured requests;
// resources and evictions the whole run. What cannot be said is null.
#pragma once

#include "sim/base/json.hpp"
#include "sim/report/recorder.hpp"
#include "sim/report/run_facts.hpp"

namespace kvsim {

inline constexpr const char* kSummarySchema = "kvsim.summary/1";

[[nodiscard]] Json summarise(const Recorder& recorder, const RunFacts& facts);

}  // namespace kvsim
