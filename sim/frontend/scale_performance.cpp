#include "sim/frontend/scale_performance.hpp"

#include <algorithm>
#include <cmath>

namespace kvsim {

namespace {

// A pass that takes no time would be infinitely fast: the real one's floor.
constexpr double kLeastPass = 1e-6;
// Points of each kind that are profiled: halvings of the largest.
constexpr int kPoints = 8;
// Sequences when neither KV nor the engine's limit is stated: the real one's.
constexpr std::int64_t kManySequences = 1024;

std::int64_t whole(double tokens) { return std::max<std::int64_t>(1, std::llround(tokens)); }

}  // namespace

EnginePerformance::EnginePerformance(const Autoscaler::Context::Profile& profile,
                                     const PoolMetrics& pool, double input, double output)
    : input_(input),
      output_(std::max(1.0, output)),
      context_(input + output / 2),
      budget_(pool.max_batched_tokens > 0 ? static_cast<double>(pool.max_batched_tokens) : input),
      kv_tokens_(static_cast<double>(pool.kv_tokens)),
      max_num_seqs_(pool.max_num_seqs) {
  std::vector<FitPoint> samples;
  if (pool.role != Role::kDecode) {
    double tokens = budget_;
    for (int i = 0; i < kPoints && tokens >= 1; ++i, tokens /= 2) {
      const std::int64_t count = whole(tokens);
      samples.push_back({static_cast<double>(count), 0, profile.prefill(count).count()});
    }
  }
  if (pool.role != Role::kPrefill) {
    std::int64_t sequences = most_sequences();
    for (int i = 0; i < kPoints && sequences >= 1; ++i, sequences /= 2) {
      const double tokens = static_cast<double>(sequences) * context_;
      samples.push_back({0, tokens, profile.decode(sequences, whole(tokens)).count()});
    }
  }
  plane_ = fit_plane(samples);
}

Seconds EnginePerformance::pass(double prompt_tokens, double decode_tokens) const {
  return Seconds(std::max(kLeastPass, plane_.at(prompt_tokens, decode_tokens)));
}

Seconds EnginePerformance::passes(double prompt_tokens, double decode_tokens) const {
  if (prompt_tokens <= 0) return Seconds(0);
  const double full = std::ceil(prompt_tokens / budget_) - 1;
  return pass(budget_, decode_tokens) * full + pass(prompt_tokens - full * budget_, decode_tokens);
}

Seconds EnginePerformance::ttft(double queued_tokens, double decode_tokens) const {
  return passes(queued_tokens + input_, decode_tokens);
}

Seconds EnginePerformance::itl(double decode_tokens) const {
  return pass(0, decode_tokens + context_);
}

std::int64_t EnginePerformance::most_sequences() const {
  const auto by_kv =
      kv_tokens_ > 0 ? static_cast<std::int64_t>(kv_tokens_ / context_) : kManySequences;
  const std::int64_t by_engine = max_num_seqs_ > 0 ? max_num_seqs_ : by_kv;
  return std::max<std::int64_t>(1, std::min(by_kv, by_engine));
}

EnginePerformance::Rate EnginePerformance::prefill_rate() const {
  const Seconds time = passes(input_, 0);
  return {.requests_per_s = 1 / time.count(), .ttft = time};
}

EnginePerformance::Rate EnginePerformance::decode_rate(Seconds most_itl) const {
  std::int64_t best = 1;
  std::int64_t low = 2;
  std::int64_t high = most_sequences();
  while (low <= high) {
    const std::int64_t middle = (low + high) / 2;
    if (pass(0, static_cast<double>(middle) * context_) <= most_itl) {
      best = middle;
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  const Seconds step = pass(0, static_cast<double>(best) * context_);
  return {.requests_per_s = static_cast<double>(best) / (output_ * step.count()), .itl = step};
}

EnginePerformance::Rate EnginePerformance::aggregated_rate(Seconds most_ttft,
                                                           Seconds most_itl) const {
  // Beyond this many the tokens of a pass cannot let in as many prompts as end.
  const double balance = output_ * budget_ / (input_ + output_);
  const std::int64_t most =
      std::max<std::int64_t>(1, std::min(most_sequences(), static_cast<std::int64_t>(balance)));
  Rate best;
  for (std::int64_t batch = 1; batch <= most; ++batch) {
    const auto sequences = static_cast<double>(batch);
    const double decode_tokens = sequences * context_;
    const double prompt_tokens = std::min(sequences * input_ / output_, budget_);
    const Seconds step = pass(prompt_tokens, decode_tokens);
    const Rate rate{.requests_per_s = sequences / (output_ * step.count()),
                    .ttft = ttft(prompt_tokens, decode_tokens),
                    .itl = step};
    const bool keeps = rate.ttft <= most_ttft && rate.itl <= most_itl;
    if (keeps || batch == 1) best = rate;
    if (!keeps) break;
  }
  return best;
}

}  // namespace kvsim
