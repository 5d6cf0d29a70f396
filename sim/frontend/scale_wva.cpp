// llm-d's workload variant autoscaler (spec/llm_d.md section 10): every minute, per pool, the least
// replicas at which a queueing model (scale_queue.hpp) keeps the promised TTFT and ITL,
//
//   replicas = ceil( arrivals a second / the most that one replica carries )
//
// handed to a Kubernetes HPA as its metric (scale_stabilise.hpp). "Unlimited" mode, the only one:
// pools do not compete for GPUs. A promise that not even an idle replica keeps changes nothing, and
// neither does an interval without requests, beyond going to the least.
//
// alpha, beta, gamma, delta are options of the real one, from a benchmark beforehand. Left out,
// they are fitted to what profiling says at the present mean lengths. A prefill pool has requests
// of one token, a decode pool requests without a prompt (the model's own cases).
//
// Leaves out: several variants of one model with different costs, the model tuner, the saturation
// engine that replaced this analysis in later versions, lag of Prometheus and of the HPA.
#include <cmath>

#include "sim/base/registry.hpp"
#include "sim/frontend/autoscaler.hpp"
#include "sim/frontend/scale_fit.hpp"
#include "sim/frontend/scale_queue.hpp"
#include "sim/frontend/scale_stabilise.hpp"

namespace kvsim {
namespace {

// Points of a fit: halvings of the largest batch, or prompts of so many mean lengths.
constexpr int kPoints = 8;

struct WvaOptions {
  Seconds period{60};
  Seconds ttft{0.5};
  Seconds itl{0.024};
  std::int64_t max_batch = 256;
  std::int64_t queue_to_batch = 10;
  std::optional<Seconds> alpha;
  std::optional<Seconds> beta;
  std::optional<Seconds> gamma;
  std::optional<Seconds> delta;
  StabiliseOptions stabilise;

  template <class F>
  void fields(F& f) {
    f.optional("period_s", period, Range{1e-3, 1e6}, "Between decisions. Default: assumed.");
    f.optional("ttft_s", ttft, Range{0, 1e6}, "Mean that is promised; 0 = none.");
    f.optional("itl_s", itl, Range{0, 1e6}, "Mean that is promised; 0 = none.");
    f.optional("max_batch_size", max_batch, Range{1, 1e5},
               "Requests that a replica serves at a time, unless its engine states less.");
    f.optional("max_queue_to_batch", queue_to_batch, Range{0, 1000},
               "Requests that may wait at a replica, in largest batches.");
    f.optional("alpha_s", alpha, Range{0, 1e6}, "ITL = alpha + beta * batch. Default: fitted.");
    f.optional("beta_s", beta, Range{0, 1e6}, "See alpha_s.");
    f.optional("gamma_s", gamma, Range{0, 1e6},
               "Prefill = gamma + delta * tokens * batch. Default: fitted.");
    f.optional("delta_s", delta, Range{0, 1e6}, "See gamma_s.");
    stabilise.fields(f);
  }
};

class Wva final : public Autoscaler {
 public:
  using Options = WvaOptions;
  Wva(const Options& options, const Context& context)
      : options_(options), profiles_(context.profiles) {}

  [[nodiscard]] Seconds period() const override { return options_.period; }
  void decide(Seconds now, std::span<const PoolMetrics> pools,
              std::span<std::int64_t> wanted) override {
    profiles_.resize(std::max(profiles_.size(), pools.size()));
    while (stabilisers_.size() < pools.size()) stabilisers_.emplace_back(options_.stabilise);
    for (std::size_t i = 0; i < pools.size(); ++i) {
      const std::int64_t desired = desired_of(pools[i], profiles_[i], wanted[i]);
      wanted[i] = stabilisers_[i].next(now, wanted[i], desired);
    }
  }

 private:
  using Profile = Context::Profile;

  [[nodiscard]] std::int64_t desired_of(const PoolMetrics& pool, const Profile& profile,
                                        std::int64_t current) const {
    if (pool.interval <= Seconds(0)) return current;
    if (pool.arrived == 0 || pool.mean_output_tokens <= 0) return pool.least;
    const std::optional<ReplicaQueue::Shape> shape = shape_of(pool, profile);
    if (!shape) return current;
    const bool first = pool.role != Role::kDecode;
    const bool later = pool.role != Role::kPrefill;
    const ReplicaQueue queue(*shape);
    const std::optional<double> most =
        queue.most_rate(first ? options_.ttft : Seconds(0), later ? options_.itl : Seconds(0));
    if (!most) return current;
    const double carried = queue.at(*most).throughput_per_s;
    const double arrivals = static_cast<double>(pool.arrived) / pool.interval.count();
    const auto needed = static_cast<std::int64_t>(std::ceil(arrivals / carried));
    return std::clamp(needed, pool.least, std::max(pool.least, pool.most));
  }

  // Nothing when the service times are neither given nor profiled.
  [[nodiscard]] std::optional<ReplicaQueue::Shape> shape_of(const PoolMetrics& pool,
                                                            const Profile& profile) const {
    const bool first = pool.role != Role::kDecode;
    const bool later = pool.role != Role::kPrefill;
    ReplicaQueue::Shape shape;
    shape.input_tokens = first ? pool.mean_input_tokens : 0;
    shape.output_tokens = later ? std::max(1.0, pool.mean_output_tokens) : 1;
    shape.batch = pool.max_num_seqs > 0 ? std::min(options_.max_batch, pool.max_num_seqs)
                                        : options_.max_batch;
    const double context = pool.mean_input_tokens + pool.mean_output_tokens / 2;
    if (later && pool.kv_tokens > 0)
      shape.batch =
          std::clamp(static_cast<std::int64_t>(static_cast<double>(pool.kv_tokens) / context),
                     std::int64_t{1}, shape.batch);
    shape.queue = shape.batch * options_.queue_to_batch;
    ReplicaQueue::Service& service = shape.service;
    std::optional<Line> decode;
    std::optional<Line> prefill;
    if (profile.decode) decode = decode_line(profile, shape.batch, context);
    if (profile.prefill) prefill = prefill_line(profile, pool.mean_input_tokens);
    if (later && !fill(service.alpha, service.beta, options_.alpha, options_.beta, decode))
      return std::nullopt;
    if (first && !fill(service.gamma, service.delta, options_.gamma, options_.delta, prefill))
      return std::nullopt;
    return shape;
  }

  // False when a time is neither given nor fitted.
  static bool fill(Seconds& base, Seconds& slope, const std::optional<Seconds>& given_base,
                   const std::optional<Seconds>& given_slope, const std::optional<Line>& fitted) {
    if (!fitted && !(given_base && given_slope)) return false;
    const Line line = fitted.value_or(Line{});
    // A queue needs times above zero, and batches that cost no less when larger.
    base = std::max(Seconds(1e-9), given_base.value_or(Seconds(line.base)));
    slope = given_slope.value_or(Seconds(std::max(0.0, line.slope)));
    return true;
  }

  static Line decode_line(const Profile& profile, std::int64_t batch, double context) {
    std::vector<FitPoint> samples;
    for (int i = 0; i < kPoints && batch >= 1; ++i, batch /= 2) {
      const auto sequences = static_cast<double>(batch);
      const std::int64_t tokens = std::max<std::int64_t>(batch, std::llround(sequences * context));
      samples.push_back({.x = sequences, .y = profile.decode(batch, tokens).count()});
    }
    return fit_line(samples);
  }
  static Line prefill_line(const Profile& profile, double input) {
    std::vector<FitPoint> samples;
    for (int i = 1; i <= kPoints; ++i) {
      const std::int64_t tokens = std::max<std::int64_t>(1, std::llround(input * i));
      samples.push_back({.x = static_cast<double>(tokens), .y = profile.prefill(tokens).count()});
    }
    return fit_line(samples);
  }

  Options options_;
  std::vector<Profile> profiles_;
  std::vector<Stabiliser> stabilisers_;
};

const Register<Autoscaler, Wva> kRegistered(
    "wva", "llm-d's variant autoscaler: least replicas whose queueing model keeps the promises.");

}  // namespace
}  // namespace kvsim
