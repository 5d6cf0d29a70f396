#include "sim/frontend/scale_queue.hpp"

#include <algorithm>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {
// Rates are looked for this far from none and from the most that is served: the real one's.
constexpr double kMargin = 0.001;
constexpr int kBisections = 40;
// Probabilities are relative until the end; beyond this all of them are made smaller.
constexpr double kLarge = 1e200;
// Longer queues than those this unlikely, relative to all others, change no mean.
constexpr double kUnlikely = 1e-18;
}  // namespace

ReplicaQueue::ReplicaQueue(const Shape& shape) : shape_(shape), decodes_(shape.output_tokens - 1) {
  KV_CHECK(shape.batch > 0 && shape.queue >= 0 && shape.output_tokens >= 1);
  // Something must be done for a request.
  if (shape.input_tokens == 0 && decodes_ == 0) decodes_ = 1;
  for (std::int64_t i = 1; i <= shape.batch; ++i) {
    const auto n = static_cast<double>(i);
    service_.push_back(n / (prefill(n) + itl(n) * decodes_).count());
  }
}

Seconds ReplicaQueue::prefill(double batch) const {
  if (shape_.input_tokens == 0) return Seconds(0);
  return shape_.service.gamma + shape_.service.delta * (shape_.input_tokens * batch);
}

Seconds ReplicaQueue::itl(double batch) const {
  return shape_.service.alpha + shape_.service.beta * batch;
}

double ReplicaQueue::concurrency(Seconds service) const {
  const Seconds alone = prefill(0) + itl(0) * decodes_;
  const Seconds each = shape_.service.delta * shape_.input_tokens + shape_.service.beta * decodes_;
  const double n = each > Seconds(0) ? (service - alone) / each : 0;
  return std::clamp(n, 0.0, static_cast<double>(shape_.batch));
}

ReplicaQueue::State ReplicaQueue::at(double rate) const {
  KV_CHECK(rate > 0);
  const std::int64_t most = shape_.batch + shape_.queue;
  double p = 1;  // of n requests in the system, relative
  double sum = 1;
  double in_system = 0;
  double in_service = 0;
  for (std::int64_t n = 1; n <= most; ++n) {
    const std::int64_t served = std::min(n, shape_.batch);
    const double step = rate / service_[static_cast<std::size_t>(served - 1)];
    p *= step;
    sum += p;
    in_system += p * static_cast<double>(n);
    in_service += p * static_cast<double>(served);
    if (n >= shape_.batch && step < 1 && p < kUnlikely * sum) break;
    if (sum > kLarge)
      for (double* value : {&p, &sum, &in_system, &in_service}) *value /= kLarge;
  }
  const double throughput = rate * (1 - p / sum);  // the rest finds it full
  State state;
  state.throughput_per_s = throughput;
  state.in_service = in_service / sum;
  const Seconds service(state.in_service / throughput);
  state.wait = Seconds(std::max(0.0, (in_system - in_service) / sum / throughput));
  const double batch = concurrency(service);
  state.prefill = prefill(batch);
  state.itl = itl(batch);
  return state;
}

double ReplicaQueue::least_rate() const { return service_.front() * kMargin; }
double ReplicaQueue::full_rate() const { return service_.back() * (1 - kMargin); }

std::optional<double> ReplicaQueue::most_rate(Seconds ttft, Seconds itl) const {
  const auto keeps = [&](double rate) {
    const State state = at(rate);
    return (ttft <= Seconds(0) || state.ttft() <= ttft) && (itl <= Seconds(0) || state.itl <= itl);
  };
  double low = least_rate();
  double high = full_rate();
  if (!keeps(low)) return std::nullopt;
  if (keeps(high)) return high;
  for (int i = 0; i < kBisections; ++i) {
    const double middle = (low + high) / 2;
    (keeps(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace kvsim
