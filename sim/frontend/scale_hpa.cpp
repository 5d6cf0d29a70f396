// Kubernetes' horizontal pod autoscaler, and KEDA, which feeds it a queue length and can go to
// zero.
//
// hpa (spec/llm_d.md section 10; autoscaling/v2 with its defaults): every 15 s, of each pool,
//   ratio = mean of the metric over ready replicas / target
//   desired = ceil(ready * ratio), unless |ratio - 1| <= 0.1
// and when growing while replicas start, those count with a metric of zero: they will take their
// part. Then stabilised (scale_stabilise.hpp).
//
// keda: the metric is the sum over the pool, desired = ceil(sum / target), as an HPA with an
// AverageValue does. A pool whose bound is zero goes there after a cool-down without activity, and
// comes back by one when polling sees some. No replica, no gauges: activity is then what arrived.
//
// Leaves out: the age of metrics beside the interval, several metrics at a time, fallbacks when
// metrics are missing.
#include <cmath>

#include "sim/base/registry.hpp"
#include "sim/frontend/autoscaler.hpp"
#include "sim/frontend/scale_stabilise.hpp"

namespace kvsim {
namespace {

struct MetricOptions {
  std::string metric = "waiting";
  double target = 1;
  Seconds period{15};
  double tolerance = 0.1;
  StabiliseOptions stabilise;

  template <class F>
  void fields(F& f) {
    f.choice("metric", metric, {"waiting", "running", "in-flight", "kv-usage"},
             "Gauge of a replica; in-flight: running and waiting together.");
    f.optional("target", target, Range{1e-9, 1e9}, "Of the metric, for each replica.");
    f.optional("sync_period_s", period, Range{1e-3, 1e6}, "Between decisions.");
    f.optional("tolerance", tolerance, Range{0, 10}, "Ratios this close to 1 change nothing.");
    stabilise.fields(f);
  }

  [[nodiscard]] double sum_of(const PoolMetrics& pool) const {
    double sum = 0;
    for (const PoolMetrics::Replica& replica : pool.replicas) {
      if (metric == "kv-usage") sum += replica.kv_usage;
      if (metric == "waiting" || metric == "in-flight") sum += static_cast<double>(replica.waiting);
      if (metric == "running" || metric == "in-flight") sum += static_cast<double>(replica.running);
    }
    return sum;
  }
  [[nodiscard]] bool close(double ratio) const { return std::abs(ratio - 1) <= tolerance; }
};

std::int64_t rounded_up(double replicas) { return static_cast<std::int64_t>(std::ceil(replicas)); }

std::int64_t bounded(std::int64_t replicas, const PoolMetrics& pool) {
  return std::clamp(replicas, pool.least, std::max(pool.least, pool.most));
}

Stabiliser& stabiliser_of(std::vector<Stabiliser>& all, std::size_t pool,
                          const MetricOptions& options) {
  while (all.size() <= pool) all.emplace_back(options.stabilise);
  return all[pool];
}

class Hpa final : public Autoscaler {
 public:
  using Options = MetricOptions;
  Hpa(const Options& options, const Context&) : options_(options) {}

  [[nodiscard]] Seconds period() const override { return options_.period; }
  void decide(Seconds now, std::span<const PoolMetrics> pools,
              std::span<std::int64_t> wanted) override {
    for (std::size_t i = 0; i < pools.size(); ++i) {
      if (wanted[i] == 0) continue;  // switched off
      const std::int64_t desired = bounded(desired_of(pools[i], wanted[i]), pools[i]);
      wanted[i] = stabiliser_of(stabilisers_, i, options_).next(now, wanted[i], desired);
    }
  }

 private:
  [[nodiscard]] std::int64_t desired_of(const PoolMetrics& pool, std::int64_t current) const {
    if (pool.replicas.empty()) return current;  // blind
    const double sum = options_.sum_of(pool);
    const auto ready = static_cast<double>(pool.replicas.size());
    const double ratio = sum / (options_.target * ready);
    if (ratio <= 1 || pool.starting == 0)
      return options_.close(ratio) ? current : rounded_up(ratio * ready);
    const double all = ready + static_cast<double>(pool.starting);
    const double with_starting = sum / (options_.target * all);
    if (options_.close(with_starting) || with_starting < 1) return current;
    return std::max(current, rounded_up(with_starting * all));
  }

  Options options_;
  std::vector<Stabiliser> stabilisers_;
};

struct KedaOptions {
  MetricOptions metric;
  double activation = 0;
  Seconds polling{30};
  Seconds cooldown{300};

  template <class F>
  void fields(F& f) {
    metric.fields(f);
    f.optional("activation", activation, Range{0, 1e12},
               "A pool is active while the sum of the metric is above.");
    f.optional("polling_interval_s", polling, Range{1e-3, 1e6},
               "Between looks at a pool without replicas.");
    f.optional("cooldown_s", cooldown, Range{0, 1e6}, "Without activity, before it goes to zero.");
  }
};

class Keda final : public Autoscaler {
 public:
  using Options = KedaOptions;
  Keda(const Options& options, const Context&) : options_(options) {}

  [[nodiscard]] Seconds period() const override { return options_.metric.period; }
  void decide(Seconds now, std::span<const PoolMetrics> pools,
              std::span<std::int64_t> wanted) override {
    pools_.resize(pools.size(), {.active = now, .polled = now});
    for (std::size_t i = 0; i < pools.size(); ++i) decide_one(now, pools[i], i, wanted[i]);
  }

 private:
  struct State {
    Seconds active;
    Seconds polled;
    std::int64_t arrived = 0;  // since the last look
  };

  void decide_one(Seconds now, const PoolMetrics& pool, std::size_t i, std::int64_t& wanted) {
    State& state = pools_[i];
    state.arrived += pool.arrived;
    const double sum = options_.metric.sum_of(pool);
    // Replicas that start up show no gauges: what arrived stands for what waits.
    const bool blind = pool.replicas.empty();
    const bool active = blind ? static_cast<double>(state.arrived) > options_.activation
                              : sum > options_.activation;
    if (wanted == 0) {
      if (now < state.polled + options_.polling) return;
      state.polled = now;
      state.arrived = 0;
      if (!active) return;
      state.active = now;
      wanted = 1;
      return;
    }
    state.arrived = 0;
    state.polled = now;
    if (active) state.active = now;
    if (pool.least == 0 && !blind && now >= state.active + options_.cooldown) {
      wanted = 0;
      return;
    }
    if (blind) return;
    const std::int64_t desired = std::max<std::int64_t>(1, desired_of(pool, sum, wanted));
    wanted =
        stabiliser_of(stabilisers_, i, options_.metric).next(now, wanted, bounded(desired, pool));
  }
  [[nodiscard]] std::int64_t desired_of(const PoolMetrics& pool, double sum,
                                        std::int64_t current) const {
    const double pods = static_cast<double>(pool.ready + pool.starting);
    const double needed = sum / options_.metric.target;
    return options_.metric.close(needed / pods) ? current : rounded_up(needed);
  }

  Options options_;
  std::vector<State> pools_;
  std::vector<Stabiliser> stabilisers_;
};

const Register<Autoscaler, Hpa> kHpa(
    "hpa", "Kubernetes' horizontal pod autoscaler on a gauge of the replicas.");
const Register<Autoscaler, Keda> kKeda(
    "keda", "KEDA: an HPA on the pool's queue, with activation and cool-down to zero.");

}  // namespace
}  // namespace kvsim
