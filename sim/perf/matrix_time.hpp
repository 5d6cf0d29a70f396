// Everything in a step that depends only on how many tokens it holds: matrix products, experts,
// small kernels, all-reduces, embedding, and the LM head for the rows that sample.
//
// Costs a microsecond or so per call (powers); StepTime plug-ins remember the results.
#pragma once

#include "sim/perf/rank_shape.hpp"
#include "sim/perf/step_context.hpp"

namespace kvsim {

class MatrixTime {
 public:
  // Throws ConfigError when the GPU profile has no all-reduce figures for the group.
  MatrixTime(const StepTime::Context& context, const RankShape& rank);

  // Seconds of all layers and the embedding for `tokens` > 0 rows.
  [[nodiscard]] double layers_seconds(std::int64_t tokens) const;
  // Seconds of the LM head for `rows` > 0 sampling rows, sampling itself not included.
  [[nodiscard]] double head_seconds(std::int64_t rows) const;

 private:
  [[nodiscard]] double linear_seconds(const Linear& linear, double tokens) const;
  [[nodiscard]] double rows_computed(double tokens, const GemmFit& fit, bool fp8) const;
  [[nodiscard]] double sum_seconds(const std::vector<Linear>& linears, double tokens) const;
  [[nodiscard]] double experts_seconds(double tokens) const;
  [[nodiscard]] double elementwise_seconds(double elements, double tokens) const;
  [[nodiscard]] double all_reduce_seconds(double bytes) const;

  StepTime::Context context_;
  RankShape rank_;
  AllReduceFit all_reduce_;  // unused when one rank
  double last_rank_ = 0;     // seconds that the last of the ranks comes late to an all-reduce
  double largest_graph_ = 0;
  bool fp8_units_ = false;  // fp8 weights and activations; else fp8 weights only save bytes
  double weight_bytes_ = 2;
  double expert_bytes_ = 2;
};

}  // namespace kvsim
