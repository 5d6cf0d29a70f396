#include "sim/workload/trace_stats.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/rng.hpp"

namespace kvsim {

TraceStats::TraceStats(const std::vector<std::int64_t>& block_tokens)
    : block_tokens_(block_tokens) {
  for (const std::int64_t tokens : block_tokens)
    curves_.emplace_back(HitRateCurve::Options{.block_tokens = tokens});
}

void TraceStats::add(const Request& request) {
  if (input_.empty()) first_ = request.arrival;
  last_ = request.arrival;
  input_.push_back(request.input.count());
  output_.push_back(request.output.count());
  input_tokens_ += request.input.count();
  output_tokens_ += request.output.count();
  sessions_ += request.session >= 0 && request.turn == 0 ? 1 : 0;
  count_repeats(request);
  for (HitRateCurve& curve : curves_) curve.add(request);
}

void TraceStats::count_repeats(const Request& request) {
  std::uint64_t before = 0;
  bool repeats = true;
  const auto walk = [&](const ContentRun& run, bool prompt) {
    const auto offset = static_cast<std::uint64_t>(run.offset);
    const std::uint64_t start = mix64(mix64(before + run.stream) + offset + 1);
    std::int64_t& known = known_[start];
    if (prompt && repeats) repeated_tokens_ += std::min(known, run.length);
    repeats = repeats && known >= run.length;
    known = std::max(known, run.length);
    before = mix64(start + static_cast<std::uint64_t>(run.length));
  };
  for (const ContentRun& run : request.prompt) walk(run, true);
  for (const ContentRun& run : request.answer) walk(run, false);
  if (request.answer.empty()) walk({request.answer_stream, 0, request.output.count()}, false);
}

double TraceStats::rate_per_s() const {
  if (requests() < 2 || duration() <= Seconds(0)) return 0;
  return static_cast<double>(requests() - 1) / duration().count();
}

LengthStats TraceStats::summarise(std::vector<std::int64_t> values) {
  LengthStats out;
  if (values.empty()) return out;
  std::sort(values.begin(), values.end());
  const auto quantile = [&](double q) {
    const double rank = q * static_cast<double>(values.size() - 1);
    const auto low = static_cast<std::size_t>(rank);
    const std::size_t high = std::min(low + 1, values.size() - 1);
    return std::lerp(static_cast<double>(values[low]), static_cast<double>(values[high]),
                     rank - static_cast<double>(low));
  };
  double sum = 0;
  for (const std::int64_t value : values) sum += static_cast<double>(value);
  out.mean = sum / static_cast<double>(values.size());
  out.p50 = quantile(0.5);
  out.p90 = quantile(0.9);
  out.p99 = quantile(0.99);
  out.max = values.back();
  return out;
}

std::vector<Sharing> TraceStats::sharing() const {
  std::vector<Sharing> out;
  for (std::size_t i = 0; i < curves_.size(); ++i)
    out.push_back({block_tokens_[i], static_cast<std::int64_t>(curves_[i].hit_tokens(-1)),
                   curves_[i].distinct_blocks()});
  return out;
}

}  // namespace kvsim
