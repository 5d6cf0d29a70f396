// Dynamo's SLA planner as it was in 2025 (spec/dynamo.md section 6, "OLD"): at each interval, from
// what the frontend counted in it and what profiling has shown of one engine,
//
//   p = actual TTFT / expected TTFT(isl)           d = actual ITL / expected ITL(batch, context)
//   prefill = ceil( n isl / interval * min(1, p) / prefill tokens/s/GPU(isl) / GPUs of an engine )
//   decode  = ceil( n osl / interval / best tokens/s/GPU(ITL <= sla / d, context) / GPUs ... )
//
// with n, isl, osl predicted (scale_predictor.hpp), context = isl + osl / 2, and batch = requests
// of one decode replica at a time, by Little's law. The best throughput is that at the highest of a
// hundred KV usages whose ITL is low enough; at the lowest if there is none. Without tokens,
// requests or latencies in an interval nothing is changed. What exceeds the budget of GPUs is
// scaled down in proportion.
//
// Ours: a pool that is not disaggregated, which the real one refuses, needs the sum of both shares.
//
// Leaves out: ARIMA and Prophet; the interpolation between profiled points (the profile answers for
// every point).
#include <cmath>

#include "sim/base/registry.hpp"
#include "sim/frontend/scale_deployment.hpp"
#include "sim/frontend/scale_predictor.hpp"

namespace kvsim {
namespace {

constexpr int kUsages = 100;  // the real one's grid

class DynamoSla final : public Autoscaler {
 public:
  struct Options {
    Seconds interval{180};
    Seconds itl{0.05};
    std::string predictor = "autoregressive";
    std::int64_t window = 50;
    bool correction = true;
    std::int64_t max_gpu_budget = 8;
    std::int64_t min_endpoint = 1;

    template <class F>
    void fields(F& f) {
      f.optional("adjustment_interval_s", interval, Range{1e-3, 1e6}, "Between decisions.");
      f.optional("itl_s", itl, Range{1e-6, 1e6}, "Time between tokens that is promised.");
      f.choice("load_predictor", predictor, LoadPredictor::kinds(),
               "Of the next interval; autoregressive stands in for ARIMA.");
      f.optional("load_prediction_window_size", window, Range{2, 1e6}, "Intervals it looks back.");
      f.optional("correction", correction, "Use the ratios of actual to expected latencies.");
      f.optional("max_gpu_budget", max_gpu_budget, Range{1, 1e9}, "GPUs of a deployment.");
      f.optional("min_endpoint", min_endpoint, Range{0, 1e6}, "Replicas of a pool, at least.");
    }
  };

  DynamoSla(const Options& options, const Context& context)
      : options_(options), profiles_(context.profiles) {}

  [[nodiscard]] Seconds period() const override { return options_.interval; }
  void decide(Seconds, std::span<const PoolMetrics> pools,
              std::span<std::int64_t> wanted) override {
    profiles_.resize(std::max(profiles_.size(), pools.size()));
    const std::vector<Deployment> deployments = deployments_of(pools);
    while (loads_.size() < deployments.size()) loads_.emplace_back(options_);
    for (std::size_t i = 0; i < deployments.size(); ++i)
      adjust(loads_[i], deployments[i], pools, wanted);
  }

 private:
  struct Load {
    explicit Load(const Options& options)
        : requests(options.predictor, options.window),
          input(options.predictor, options.window),
          output(options.predictor, options.window) {}
    LoadPredictor requests;
    LoadPredictor input;
    LoadPredictor output;
  };
  // Of the interval to come.
  struct Demand {
    double requests;
    double input;
    double output;
    [[nodiscard]] double context() const { return input + output / 2; }
  };

  void adjust(Load& load, const Deployment& deployment, std::span<const PoolMetrics> pools,
              std::span<std::int64_t> wanted) {
    const PoolMetrics& counted =
        pools[deployment.decode != Deployment::kNone ? deployment.decode : deployment.prefill];
    load.requests.add(static_cast<double>(counted.arrived));
    load.input.add(counted.mean_input_tokens);
    load.output.add(counted.mean_output_tokens);
    const bool valid = counted.mean_ttft > Seconds(0) && counted.mean_itl > Seconds(0) &&
                       counted.mean_input_tokens > 0 && counted.mean_output_tokens > 0;
    const Demand next{load.requests.next(), load.input.next(), load.output.next()};
    if (!valid || next.input <= 0 || next.output <= 0) return;
    const Seconds interval = counted.interval > Seconds(0) ? counted.interval : options_.interval;

    double prefill = 0;
    double decode = 0;
    if (deployment.prefill != Deployment::kNone) {
      const Profile& profile = profiles_[deployment.prefill];
      if (!profile.prefill) return;
      prefill = prefill_share(profile, counted, next, pools[deployment.prefill], interval);
    }
    if (deployment.decode != Deployment::kNone) {
      const Profile& profile = profiles_[deployment.decode];
      if (!profile.decode) return;
      decode = decode_share(profile, counted, next, pools[deployment.decode], interval);
    }
    settle(deployment, prefill, decode, pools, wanted);
  }

  using Profile = Context::Profile;
  static std::int64_t tokens(double count) {
    return std::max<std::int64_t>(1, std::llround(count));
  }

  // Replicas, not yet rounded.
  [[nodiscard]] double prefill_share(const Profile& profile, const PoolMetrics& counted,
                                     const Demand& next, const PoolMetrics& pool,
                                     Seconds interval) const {
    double p = 1;
    if (options_.correction)
      p = counted.mean_ttft / profile.prefill(tokens(counted.mean_input_tokens));
    const auto gpus = static_cast<double>(pool.gpus_per_replica);
    const double per_gpu = next.input / profile.prefill(tokens(next.input)).count() / gpus;
    return next.requests * next.input / interval.count() * std::min(1.0, p) / per_gpu / gpus;
  }

  [[nodiscard]] double decode_share(const Profile& profile, const PoolMetrics& counted,
                                    const Demand& next, const PoolMetrics& pool,
                                    Seconds interval) const {
    double d = 1;
    if (options_.correction) d = counted.mean_itl / expected_itl(profile, counted, pool, interval);
    const auto gpus = static_cast<double>(pool.gpus_per_replica);
    const double per_gpu =
        best_tokens_per_s(profile, pool, next.context(), options_.itl / (d > 0 ? d : 1)) / gpus;
    return next.requests * next.output / interval.count() / per_gpu / gpus;
  }

  static Seconds expected_itl(const Profile& profile, const PoolMetrics& counted,
                              const PoolMetrics& pool, Seconds interval) {
    const Seconds duration =
        counted.mean_ttft + counted.mean_itl * std::max(0.0, counted.mean_output_tokens - 1);
    const double batch = static_cast<double>(counted.arrived) /
                         static_cast<double>(std::max<std::int64_t>(1, pool.ready)) *
                         (duration / interval);
    const double context = counted.mean_input_tokens + counted.mean_output_tokens / 2;
    return profile.decode(tokens(batch), tokens(std::max(1.0, batch) * context));
  }

  // Of one engine.
  static double best_tokens_per_s(const Profile& profile, const PoolMetrics& pool, double context,
                                  Seconds most) {
    std::int64_t batch = 1;
    Seconds step{0};
    for (int i = kUsages - 1; i >= 0; --i) {
      const double usage = static_cast<double>(i) / (kUsages - 1);
      batch = static_cast<std::int64_t>(usage * static_cast<double>(pool.kv_tokens) / context);
      batch = std::max<std::int64_t>(1, batch);
      step = profile.decode(batch, tokens(static_cast<double>(batch) * context));
      if (step <= most) break;
    }
    return static_cast<double>(batch) / step.count();
  }

  void settle(const Deployment& deployment, double prefill, double decode,
              std::span<const PoolMetrics> pools, std::span<std::int64_t> wanted) const {
    const auto rounded = [this](double share) {
      return std::max(options_.min_endpoint, static_cast<std::int64_t>(std::ceil(share)));
    };
    if (deployment.aggregated()) {
      const std::int64_t gpus = pools[deployment.decode].gpus_per_replica;
      std::int64_t replicas = rounded(prefill + decode);
      if (replicas * gpus > options_.max_gpu_budget)
        replicas = std::max(options_.min_endpoint, options_.max_gpu_budget / gpus);
      wanted[deployment.decode] = replicas;
      return;
    }
    const bool has_prefill = deployment.prefill != Deployment::kNone;
    const bool has_decode = deployment.decode != Deployment::kNone;
    std::int64_t p = has_prefill ? rounded(prefill) : 0;
    std::int64_t d = has_decode ? rounded(decode) : 0;
    const std::int64_t p_gpus = has_prefill ? pools[deployment.prefill].gpus_per_replica : 1;
    const std::int64_t d_gpus = has_decode ? pools[deployment.decode].gpus_per_replica : 1;
    const std::int64_t gpus = p * p_gpus + d * d_gpus;
    if (gpus > options_.max_gpu_budget) {
      // Rounds halves to even, as Python does.
      const auto nearest = [this](double x) {
        return std::max(options_.min_endpoint, static_cast<std::int64_t>(std::nearbyint(x)));
      };
      const auto budget = static_cast<double>(options_.max_gpu_budget);
      if (has_prefill) p = nearest(static_cast<double>(p) * budget / static_cast<double>(gpus));
      d = nearest((budget - static_cast<double>(p * p_gpus)) / static_cast<double>(d_gpus));
    }
    if (has_prefill) wanted[deployment.prefill] = p;
    if (has_decode) wanted[deployment.decode] = d;
  }

  Options options_;
  std::vector<Profile> profiles_;
  std::vector<Load> loads_;
};

const Register<Autoscaler, DynamoSla> kRegistered(
    "dynamo-planner-sla", "Dynamo's planner of 2025: predicted load, corrected by latencies.");

}  // namespace
}  // namespace kvsim
