// Attention and all-reduce: forms that are linear in their coefficients, save the floor of short
// decodes. Decode rows that the cache may have served are raised to what reading their KV from
// memory takes, KV bytes / (e W) with e from the rows too large for it: in a step, weights and
// other layers have flushed the cache since the blocks were last read.
#include <algorithm>
#include <cmath>
#include <set>

#include "sim/base/units.hpp"
#include "sim/calibrate/step_fit_forms.hpp"

namespace kvsim {

namespace {

constexpr double kCacheMargin = 2;
constexpr double kShortestContext = 128;
constexpr double kLargestMessage = 64.0 * 1024 * 1024;
constexpr double kShortestChunk = 256;  // over a cached context; shorter ones leave the GPU idle
constexpr double kShortestPrompt = 16;  // below, engines call the decode kernel

// Heads of 128 are what nearly all models have; smaller ones reach less of the peaks, and one set
// of coefficients cannot give both.
constexpr double kHeadDim = 128;

template <class Timing>
std::vector<Timing> usual_heads(const std::vector<Timing>& all) {
  std::vector<Timing> usual;
  for (const Timing& timing : all)
    if (timing.head_dim == kHeadDim) usual.push_back(timing);
  return usual.empty() ? all : usual;
}

std::int64_t heads_group(double head_dim, double heads, double kv_heads) {
  return static_cast<std::int64_t>((head_dim * 1e4 + heads) * 1e4 + kv_heads);
}

FitRows large_rows(const FitRows& rows) {
  FitRows large;
  for (const FitRow& row : rows)
    if (row.x[1] > 0) large.push_back(row);
  return large;
}

double efficiency(double inverse) { return inverse > 0 ? 1 / inverse : 1e9; }

}  // namespace

// row.x = {KV bytes / W, 1 for rows too large for the cache}
StepForm decode_form() {
  StepForm form;
  form.parameters = {{"decode_floor_s", 0, 1e-2, 1e-6},
                     {"decode_launch_s", 0, 1e-2, 1e-6},
                     {"decode_memory_efficiency", 0.01, 1.2, 0}};
  form.seconds = [](const Coefficients& c, const FitRow& row) {
    return std::max(c[0], c[1] + row.x[0] / c[2]);
  };
  form.starts = [](const FitRows& rows) {
    double shortest = rows.front().seconds;
    for (const FitRow& row : rows) shortest = std::min(shortest, row.seconds);
    const FitRows large = large_rows(rows);
    const Coefficients line = linear_relative_fit(large.size() < 3 ? rows : large, 1, true);
    const double share = std::min(1.2, efficiency(line[1]));
    // The loss has a kink where floor and line meet: from three sides of it.
    return std::vector<Coefficients>{{1.1 * shortest, line[0], share},
                                     {1.1 * shortest, 0.5 * shortest, share},
                                     {1.3 * shortest, 0, share}};
  };
  return form;
}

FitRows decode_rows(const OperatorTable& table, const std::string& dtype, const GpuPeaks& peaks,
                    std::string& rows_of) {
  const double element = dtype == "fp8" ? 1 : 2;
  const auto timings = usual_heads(newest(table.decode, [&](const DecodeTiming& t) {
    return t.dtype == dtype && t.kv_len >= kShortestContext;
  }));
  FitRows rows;
  for (const DecodeTiming& t : timings) {
    const double bytes = 2 * t.kv_heads * t.head_dim * element * t.batch * t.kv_len;
    const bool large = bytes >= kCacheMargin * peaks.l2.real();
    rows.push_back({{bytes / peaks.memory.count(), large ? 1.0 : 0.0},
                    t.seconds,
                    heads_group(t.head_dim, t.heads, t.kv_heads)});
  }
  if (!timings.empty()) rows_of = timings.front().origin.release;
  const FitRows large = large_rows(rows);
  if (large.size() < 3) return rows;
  const double share = std::min(1.2, efficiency(linear_relative_fit(large, 1, true)[1]));
  for (FitRow& row : rows) row.seconds = std::max(row.seconds, row.x[0] / share);
  return rows;
}

StepForm prefill_form() {
  StepForm form;
  form.parameters = {{"prefill_launch_s", 0, 1e-2, 1e-6},
                     {"prefill_compute_efficiency", 0.01, 1.2, 1},
                     {"prefill_transfer_efficiency", 0.01, 5, 1}};
  form.seconds = [](const Coefficients& c, const FitRow& row) {
    return c[0] + row.x[0] / c[1] + row.x[1] / c[2];
  };
  form.starts = [](const FitRows& rows) {
    const Coefficients line = linear_relative_fit(rows, 2, true);
    return std::vector<Coefficients>{
        {line[0], std::min(1.2, efficiency(line[1])), std::min(5.0, efficiency(line[2]))}};
  };
  return form;
}

FitRows prefill_rows(const OperatorTable& table, const std::string& dtype, const GpuPeaks& peaks,
                     std::string& rows_of) {
  const auto timings = usual_heads(newest(table.prefill, [&](const PrefillTiming& t) {
    return t.dtype == dtype && t.tokens >= (t.context > 0 ? kShortestChunk : kShortestPrompt);
  }));
  FitRows rows;
  for (const PrefillTiming& t : timings) {
    const double operations =
        4 * t.heads * t.head_dim * t.batch * t.tokens * (t.context + t.tokens / 2);
    const double bytes = 2 * t.batch * t.tokens * (2 * t.heads + 4 * t.kv_heads) * t.head_dim;
    rows.push_back({{operations / peaks.bf16_flops_per_s, bytes / peaks.memory.count()},
                    t.seconds,
                    heads_group(t.head_dim, t.heads, t.kv_heads)});
  }
  if (!timings.empty()) rows_of = timings.front().origin.release;
  return rows;
}

StepForm all_reduce_form(std::int64_t gpus) {
  StepForm form;
  if (gpus == 2) {  // both ways move the same bytes in one exchange
    form.parameters = {{"latency_s", 0, 1e-2, 1e-6}, {"bytes_per_s", 1e6, 1e13, 1e10}};
    form.seconds = [](const Coefficients& c, const FitRow& row) { return c[0] + row.x[0] / c[1]; };
    form.starts = [](const FitRows& rows) {
      const Coefficients line = linear_relative_fit(rows, 1, true);
      return std::vector<Coefficients>{{line[0], line[1] > 0 ? 1 / line[1] : 1e12}};
    };
    return form;
  }
  form.parameters = {{"latency_s", 0, 1e-2, 1e-6},
                     {"bytes_per_s", 1e6, 1e13, 1e10},
                     {"one_step_bytes_per_s", 1e6, 1e14, 1e10},
                     {"two_step_latency_s", 0, 1e-2, 1e-6}};
  form.seconds = [](const Coefficients& c, const FitRow& row) {
    return std::min(c[0] + row.x[1] / c[2], c[3] + row.x[0] / c[1]);
  };
  form.starts = [](const FitRows& rows) {
    const Coefficients line = linear_relative_fit(rows, 1, true);
    const double rate = line[1] > 0 ? 1 / line[1] : 1e12;
    std::vector<Coefficients> starts;
    for (const double faster : {1.0, 2.0})
      for (const double later : {1.0, 1.6})
        starts.push_back({line[0], rate, faster * rate, later * line[0]});
    return starts;
  };
  return form;
}

FitRows all_reduce_rows(const OperatorTable& table, std::int64_t gpus, std::string& rows_of) {
  const auto timings = newest(table.all_reduce, [&](const AllReduceTiming& timing) {
    return timing.gpus == static_cast<double>(gpus) && timing.bytes <= kLargestMessage;
  });
  FitRows rows;
  for (const AllReduceTiming& t : timings)
    rows.push_back({{t.bytes, t.bytes * static_cast<double>(gpus - 1)},
                    t.seconds,
                    static_cast<std::int64_t>(t.bytes)});
  if (!timings.empty()) rows_of = timings.front().origin.release;
  return rows;
}

}  // namespace kvsim
