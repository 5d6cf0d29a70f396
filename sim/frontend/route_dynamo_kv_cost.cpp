#include "sim/frontend/route_dynamo_kv_cost.hpp"

#include <algorithm>
#include <cmath>

namespace kvsim {

DynamoWeights dynamo_weights(const DynamoKvOptions& options, Role role) {
  DynamoWeights out;
  out.credits = options.generation == "new";
  out.device = options.overlap_score_credit;
  out.prefill = options.overlap_score_weight.value_or(out.credits ? options.prefill_load_scale : 1);
  if (options.overlap_score_weight == 0.0) out.device = 0;
  out.decay = options.overlap_score_credit_decay;
  out.host = options.host_cache_hit_weight;
  out.disk = options.disk_cache_hit_weight;
  out.shared = options.shared_cache_multiplier;
  out.request = options.decode_active_request_weight;
  out.track_prefill = options.router_track_prefill_tokens && role != Role::kDecode;
  out.track_blocks = options.router_track_active_blocks && role != Role::kPrefill;
  out.reuse_blocks = options.router_assume_kv_reuse && role != Role::kDecode;
  return out;
}

namespace {

double credit_of(const DynamoWeights& weights, const DynamoRequest& request,
                 const DynamoWorker& worker) {
  const auto block = static_cast<double>(request.block_tokens);
  double decay = 1;
  if (weights.decay > 0) {
    const std::int64_t blocks = (request.tokens + request.block_tokens - 1) / request.block_tokens;
    const double excess = static_cast<double>(std::max<std::int64_t>(
                              0, worker.prefill_tokens - request.least_prefill_tokens)) /
                          block;
    decay = 1 / (1 + weights.decay * excess / static_cast<double>(blocks));
  }
  return weights.device * decay * static_cast<double>(worker.overlap.device) +
         weights.host * static_cast<double>(worker.overlap.host) +
         weights.disk * static_cast<double>(worker.overlap.disk) +
         weights.shared * static_cast<double>(worker.overlap.shared);
}

}  // namespace

double dynamo_cost(const DynamoWeights& weights, const DynamoRequest& request,
                   const DynamoWorker& worker) {
  const auto block = static_cast<double>(request.block_tokens);
  const auto decode = static_cast<double>(worker.decode_blocks);
  if (!weights.credits) {
    if (!weights.track_prefill) return decode;
    const std::int64_t computed =
        request.tokens - dynamo_cached_tokens(weights, request, worker.overlap);
    return weights.prefill * static_cast<double>(worker.prefill_tokens + computed) / block + decode;
  }
  const double requests = weights.request * static_cast<double>(worker.active_requests);
  if (!weights.track_prefill) return decode + requests;
  const double raw = static_cast<double>(worker.prefill_tokens + request.tokens) / block;
  const double left = std::max(0.0, raw - credit_of(weights, request, worker));
  return weights.prefill * left + decode + requests;
}

std::int64_t dynamo_cached_tokens(const DynamoWeights& weights, const DynamoRequest& request,
                                  const DynamoOverlap& overlap) {
  auto blocks = static_cast<double>(overlap.device);
  if (weights.credits)
    blocks += weights.host * static_cast<double>(overlap.host) +
              weights.disk * static_cast<double>(overlap.disk);
  const double tokens = std::round(blocks * static_cast<double>(request.block_tokens));
  return std::min(request.tokens, static_cast<std::int64_t>(tokens));
}

std::size_t softmax_pick(std::span<const double> costs, double temperature, double sample,
                         std::vector<double>& scratch) {
  const auto [low, high] = std::minmax_element(costs.begin(), costs.end());
  scratch.assign(costs.size(), 1);
  double sum = static_cast<double>(costs.size());
  if (*low < *high) {
    // Relative to the lowest, whose exponent is 0: nothing overflows.
    const double scale = 1 / ((*high - *low) * temperature);
    sum = 0;
    for (std::size_t i = 0; i < costs.size(); ++i)
      sum += scratch[i] = std::exp((*low - costs[i]) * scale);
  }
  double until = 0;
  std::size_t picked = costs.size() - 1;
  for (std::size_t i = costs.size(); i-- > 0;) scratch[i] /= sum;
  for (std::size_t i = 0; i < costs.size(); ++i) {
    until += scratch[i];
    if (sample < until) {
      picked = i;
      break;
    }
  }
  return picked;
}

}  // namespace kvsim
