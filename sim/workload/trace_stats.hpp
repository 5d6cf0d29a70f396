// What a workload looks like: how much, how fast, how long, and how much of its prompts repeats.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "sim/workload/hit_rate_curve.hpp"

namespace kvsim {

// Of whole numbers; quantiles interpolated linearly between neighbours, as numpy does.
struct LengthStats {
  double mean = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  std::int64_t max = 0;
};

// The most that prefix caches of unlimited size could hit, with every answer complete before the
// next prompt: an upper bound of what any cache gets.
struct Sharing {
  std::int64_t block_tokens = 0;
  std::int64_t hit_tokens = 0;  // whole blocks, and never the prompt's last token
  double distinct_blocks = 0;
};

class TraceStats {
 public:
  // Sharing is counted for each of `block_tokens`.
  explicit TraceStats(const std::vector<std::int64_t>& block_tokens);
  // Keeps 16 bytes a request, 16 bytes and more a distinct block for each block size.
  void add(const Request& request);

  [[nodiscard]] std::int64_t requests() const { return static_cast<std::int64_t>(input_.size()); }
  [[nodiscard]] std::int64_t sessions() const { return sessions_; }
  // From the first arrival to the last.
  [[nodiscard]] Seconds duration() const { return last_ - first_; }
  // Requests but the first over the duration; 0 when that is 0.
  [[nodiscard]] double rate_per_s() const;
  [[nodiscard]] LengthStats input() const { return summarise(input_); }
  [[nodiscard]] LengthStats output() const { return summarise(output_); }
  [[nodiscard]] std::int64_t input_tokens() const { return input_tokens_; }
  [[nodiscard]] std::int64_t output_tokens() const { return output_tokens_; }
  // Prompt tokens that repeat the beginning of an earlier prompt and answer, run by run: no blocks,
  // and the last token counts. What the trace itself says is shared.
  [[nodiscard]] std::int64_t repeated_tokens() const { return repeated_tokens_; }
  [[nodiscard]] std::vector<Sharing> sharing() const;

 private:
  static LengthStats summarise(std::vector<std::int64_t> values);
  void count_repeats(const Request& request);

  std::vector<std::int64_t> input_;
  std::vector<std::int64_t> output_;
  std::int64_t input_tokens_ = 0;
  std::int64_t output_tokens_ = 0;
  std::int64_t sessions_ = 0;
  Seconds first_{0};
  Seconds last_{0};
  // Tokens known of a run, by what stands before it and where it starts.
  std::unordered_map<std::uint64_t, std::int64_t> known_;
  std::int64_t repeated_tokens_ = 0;
  std::vector<std::int64_t> block_tokens_;
  std::vector<HitRateCurve> curves_;
};

}  // namespace kvsim
