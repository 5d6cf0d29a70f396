// Dynamo's planner of 2026 (spec/dynamo.md section 6, "NEW").
//
// The load loop, every 5 s, adds or removes one replica:
//   optimization_target throughput, latency   fixed thresholds on what engines have queued
//     (prefill: prompt tokens / longest context; decode: (KV in use + queued) / KV of an engine; a
//     pool that does both adds its queued prompts to the latter): one more when ANY engine is
//     above, one less when ALL are below;
//   load                                      the same with thresholds of your own;
//   sla                                       one more when ALL engines' estimates (next TTFT or
//     ITL, scale_performance.hpp) are above the promise, one less when ALL are below
//     load_scaling_down_sensitivity per cent of it. A pool that does both grows for either and
//     shrinks only for both.
// The throughput loop, every 180 s and only for sla, predicts the load (scale_predictor.hpp) and
// sets the number of replicas that carry it as the floor of the load loop, or, without that, as the
// number wanted. Bounds in this order: floor, min_endpoint, budget of GPUs (prefill and decode are
// cut in proportion).
//
// Nothing is done while what was wanted is not there yet, for ack_timeout_s at most.
//
// Ours: a replica without a profile is judged by the latencies that it reports.
//
// Leaves out: prefix hits in the estimates, power budgets, the global planner, plug-ins, and that
// the load loop of later versions asks what is left after consolidation before it shrinks.
#include <cmath>

#include "sim/base/registry.hpp"
#include "sim/frontend/scale_deployment.hpp"
#include "sim/frontend/scale_performance.hpp"
#include "sim/frontend/scale_predictor.hpp"

namespace kvsim {
namespace {

// Loops that fall this close together run together: the real one's tolerance.
constexpr Seconds kTogether{0.5};

struct Thresholds {
  double prefill_up = 1.0;
  double prefill_down = 0.1;
  double decode_up = 1.0;
  double decode_down = 0.6;
  bool down_at = false;  // a prefill pool shrinks at the threshold, not only below
};
constexpr Thresholds kLatency{0.1, 0.0, 0.4, 0.1, true};

struct DynamoOptions {
  std::string target = "throughput";
  Seconds throughput_interval{180};
  Seconds load_interval{5};
  Seconds ttft{0.5};
  Seconds itl{0.05};
  std::string predictor = "autoregressive";
  std::int64_t window = 50;
  bool throughput_scaling = true;
  bool load_scaling = true;
  double sensitivity = 80;
  std::int64_t max_gpu_budget = 8;
  std::int64_t min_endpoint = 1;
  Seconds ack_timeout{1800};
  Thresholds own;

  template <class F>
  void fields(F& f) {
    f.choice("optimization_target", target, {"throughput", "latency", "load", "sla"},
             "Fixed thresholds, thresholds of your own (load), or promised latencies.");
    f.optional("throughput_adjustment_interval_s", throughput_interval, Range{1e-3, 1e6},
               "Between predictions; sla only.");
    f.optional("load_adjustment_interval_s", load_interval, Range{1e-3, 1e6},
               "Between looks at what engines have queued.");
    f.optional("ttft_s", ttft, Range{1e-6, 1e6}, "Promised; sla only.");
    f.optional("itl_s", itl, Range{1e-6, 1e6}, "Promised; sla only.");
    f.choice("load_predictor", predictor, LoadPredictor::kinds(),
             "Of the next interval; autoregressive stands in for ARIMA.");
    f.optional("load_prediction_window_size", window, Range{2, 1e6}, "Intervals it looks back.");
    f.optional("enable_throughput_scaling", throughput_scaling, "Only for sla.");
    f.optional("enable_load_scaling", load_scaling, "Always on without sla.");
    f.optional("load_scaling_down_sensitivity", sensitivity, Range{0, 100},
               "Per cent of the promise below which a pool shrinks.");
    f.optional("max_gpu_budget", max_gpu_budget, Range{-1, 1e9},
               "GPUs of a deployment; -1 = no bound.");
    f.optional("min_endpoint", min_endpoint, Range{0, 1e6}, "Replicas of a pool, at least.");
    f.optional("ack_timeout_s", ack_timeout, Range{0, 1e9},
               "How long an action that does not end holds up the next.");
    f.optional("prefill_up", own.prefill_up, Range{0, 1e6}, "Target load: queued / context.");
    f.optional("prefill_down", own.prefill_down, Range{0, 1e6}, "Target load: queued / context.");
    f.optional("decode_up", own.decode_up, Range{0, 1e6}, "Target load: KV tokens / capacity.");
    f.optional("decode_down", own.decode_down, Range{0, 1e6}, "Target load: KV tokens / capacity.");
    if constexpr (std::same_as<F, FieldReader>) check();
  }

 private:
  void check() const {
    if (target != "sla") return;
    if (!throughput_scaling && !load_scaling)
      throw ConfigError(
          "autoscaler of kind dynamo-planner: found neither loop; allowed: enable_load_scaling, "
          "enable_throughput_scaling or both");
    if (throughput_scaling && load_scaling && load_interval >= throughput_interval)
      throw ConfigError(
          "autoscaler of kind dynamo-planner: found a load_adjustment_interval_s not below "
          "throughput_adjustment_interval_s; allowed: the load loop is the faster one");
  }
};

// What came to a deployment since the throughput loop ran last, and what it expects.
class Traffic {
 public:
  Traffic(const DynamoOptions& options)
      : requests_(options.predictor, options.window),
        inputs_(options.predictor, options.window),
        outputs_(options.predictor, options.window) {}

  void count(const PoolMetrics& pool) {
    const auto arrived = static_cast<double>(pool.arrived);
    seen_ += arrived;
    if (pool.mean_input_tokens > 0) {
      input_sum_ += arrived * pool.mean_input_tokens;
      input_ = pool.mean_input_tokens;
    }
    if (pool.mean_output_tokens > 0) {
      // Of those that ended, of which no number is known: taken as many as arrived.
      output_weight_ += arrived;
      output_sum_ += arrived * pool.mean_output_tokens;
      output_ = pool.mean_output_tokens;
    }
  }
  // The interval is over.
  void predict() {
    requests_.add(seen_);
    inputs_.add(seen_ > 0 ? input_sum_ / seen_ : 0);
    outputs_.add(output_weight_ > 0 ? output_sum_ / output_weight_ : 0);
    seen_ = input_sum_ = output_sum_ = output_weight_ = 0;
  }
  [[nodiscard]] double next_requests() const { return requests_.next(); }
  [[nodiscard]] double next_input() const { return inputs_.next(); }
  [[nodiscard]] double next_output() const { return outputs_.next(); }
  // As seen last; 0 = never.
  [[nodiscard]] double input() const { return input_; }
  [[nodiscard]] double output() const { return output_; }

 private:
  LoadPredictor requests_;
  LoadPredictor inputs_;
  LoadPredictor outputs_;
  double seen_ = 0;
  double input_sum_ = 0;
  double output_sum_ = 0;
  double output_weight_ = 0;
  double input_ = 0;
  double output_ = 0;
};

// What all or some engines of a pool say.
struct Verdict {
  bool up = false;
  bool down = false;
  [[nodiscard]] std::int64_t change() const { return up ? 1 : down ? -1 : 0; }
};

class DynamoPlanner final : public Autoscaler {
 public:
  using Options = DynamoOptions;
  DynamoPlanner(const Options& options, const Context& context)
      : options_(options),
        sla_(options.target == "sla"),
        load_loop_(!sla_ || options.load_scaling),
        throughput_loop_(sla_ && options.throughput_scaling),
        thresholds_(options.target == "latency" ? kLatency
                    : options.target == "load"  ? options.own
                                                : Thresholds{}),
        profiles_(context.profiles),
        next_throughput_(options.throughput_interval) {}

  [[nodiscard]] Seconds period() const override {
    return load_loop_ ? options_.load_interval : options_.throughput_interval;
  }

  void decide(Seconds now, std::span<const PoolMetrics> pools,
              std::span<std::int64_t> wanted) override {
    profiles_.resize(std::max(profiles_.size(), pools.size()));
    const std::vector<Deployment> deployments = deployments_of(pools);
    while (states_.size() < deployments.size()) states_.emplace_back(options_);
    const bool predict = throughput_loop_ && now + kTogether >= next_throughput_;
    if (predict) next_throughput_ = now + options_.throughput_interval;
    for (std::size_t i = 0; i < deployments.size(); ++i) {
      const Deployment& deployment = deployments[i];
      State& state = states_[i];
      state.traffic.count(pools[leader(deployment)]);
      if (load_loop_ && free_to_act(state, deployment, now, pools, wanted))
        run_load_loop(state, deployment, pools, wanted);
      if (predict) run_throughput_loop(state, deployment, pools, wanted);
    }
  }

 private:
  struct State {
    explicit State(const Options& options) : traffic(options) {}
    Traffic traffic;
    std::int64_t prefill_floor = 1;
    std::int64_t decode_floor = 1;
    Seconds busy_since{-1};  // < 0: not busy
  };

  static std::size_t leader(const Deployment& deployment) {
    return deployment.decode != Deployment::kNone ? deployment.decode : deployment.prefill;
  }
  static bool settled(const PoolMetrics& pool, std::int64_t wanted) {
    return pool.ready == wanted && pool.starting == 0;
  }

  bool free_to_act(State& state, const Deployment& deployment, Seconds now,
                   std::span<const PoolMetrics> pools, std::span<const std::int64_t> wanted) const {
    bool busy = false;
    for (const std::size_t pool : {deployment.prefill, deployment.decode})
      if (pool != Deployment::kNone) busy = busy || !settled(pools[pool], wanted[pool]);
    if (!busy) {
      state.busy_since = Seconds(-1);
    } else if (state.busy_since < Seconds(0)) {
      state.busy_since = now;
    }
    return !busy || now >= state.busy_since + options_.ack_timeout;
  }

  void run_load_loop(State& state, const Deployment& deployment, std::span<const PoolMetrics> pools,
                     std::span<std::int64_t> wanted) const {
    bool changes = false;
    const auto loaded = [&](std::size_t index) {
      if (index == Deployment::kNone) return std::int64_t{0};
      const PoolMetrics& pool = pools[index];
      const std::int64_t change = verdict(state, pool, index).change();
      changes = changes || change != 0;
      // One less never falls below the least; one more may start from below it.
      return change < 0 ? std::max(pool.ready - 1, options_.min_endpoint) : pool.ready + change;
    };
    std::int64_t prefill = loaded(deployment.prefill);
    std::int64_t decode = deployment.aggregated() ? prefill : loaded(deployment.decode);
    // With thresholds a pool alone is left as it is, even beyond the budget; a pair is not.
    const bool pair =
        deployment.prefill != Deployment::kNone && deployment.decode != Deployment::kNone;
    if (!sla_ && !changes && (deployment.aggregated() || !pair)) return;
    if (throughput_loop_) {
      prefill = std::max(prefill, state.prefill_floor);
      decode = std::max(decode, state.decode_floor);
    }
    want(deployment, prefill, decode, pools, wanted);
  }

  [[nodiscard]] Verdict verdict(const State& state, const PoolMetrics& pool,
                                std::size_t index) const {
    // Not all engines have reported: look again next time.
    if (pool.replicas.empty() || static_cast<std::int64_t>(pool.replicas.size()) != pool.ready)
      return {};
    Verdict verdict = sla_ ? by_latency(state, pool, index) : by_thresholds(pool);
    if (pool.ready <= 1) verdict.down = false;
    return verdict;
  }

  [[nodiscard]] Verdict by_thresholds(const PoolMetrics& pool) const {
    const bool prefill = pool.role == Role::kPrefill;
    const auto whole = static_cast<double>(prefill ? pool.max_model_len : pool.kv_tokens);
    if (whole <= 0) return {};
    Verdict out{.up = false, .down = true};
    for (const PoolMetrics::Replica& replica : pool.replicas) {
      const auto prompts = static_cast<double>(replica.queued_prefill_tokens);
      if (prefill) {
        const double ratio = prompts / whole;
        out.up = out.up || ratio >= thresholds_.prefill_up;
        out.down = out.down && (ratio < thresholds_.prefill_down ||
                                (thresholds_.down_at && ratio == thresholds_.prefill_down));
        continue;
      }
      const auto queued = static_cast<double>(replica.queued_decode_tokens);
      const double both = pool.role == Role::kAggregated ? prompts : 0;
      const double use = replica.kv_usage + (queued + both) / whole;
      out.up = out.up || use > thresholds_.decode_up;
      out.down = out.down && use < thresholds_.decode_down;
    }
    return out;
  }

  [[nodiscard]] Verdict by_latency(const State& state, const PoolMetrics& pool,
                                   std::size_t index) const {
    const bool first = pool.role != Role::kDecode;
    const bool later = pool.role != Role::kPrefill;
    const Context::Profile& profile = profiles_[index];
    const bool profiled = (!first || profile.prefill) && (!later || profile.decode);
    std::vector<EnginePerformance> model;
    if (profiled && state.traffic.input() > 0)
      model.emplace_back(profile, pool, state.traffic.input(), state.traffic.output());
    Verdict ttft{.up = first, .down = true};
    Verdict itl{.up = later, .down = true};
    for (const PoolMetrics::Replica& replica : pool.replicas) {
      Seconds next_ttft = replica.recent_ttft;
      Seconds next_itl = replica.recent_itl;
      if (!model.empty()) {
        const double used = later ? replica.kv_usage * static_cast<double>(pool.kv_tokens) : 0;
        next_ttft = model[0].ttft(static_cast<double>(replica.queued_prefill_tokens), used);
        next_itl = model[0].itl(used + static_cast<double>(replica.queued_decode_tokens));
      }
      if (first) weigh(ttft, next_ttft, options_.ttft);
      if (later) weigh(itl, next_itl, options_.itl);
    }
    return {.up = ttft.up || itl.up, .down = ttft.down && itl.down};
  }
  // An estimate of 0 is none: it speaks against both.
  void weigh(Verdict& verdict, Seconds estimate, Seconds promise) const {
    verdict.up = verdict.up && estimate > promise;
    verdict.down =
        verdict.down && estimate > Seconds(0) && estimate < promise * (options_.sensitivity / 100);
  }

  void run_throughput_loop(State& state, const Deployment& deployment,
                           std::span<const PoolMetrics> pools, std::span<std::int64_t> wanted) {
    Traffic& traffic = state.traffic;
    traffic.predict();
    const double demand = traffic.next_requests() / options_.throughput_interval.count();
    if (traffic.next_input() <= 0 || traffic.next_output() <= 0) return;
    std::int64_t prefill = 0;
    std::int64_t decode = 0;
    for (const std::size_t index : {deployment.prefill, deployment.decode}) {
      if (index == Deployment::kNone) continue;
      const std::int64_t need = replicas_for(traffic, demand, pools[index], profiles_[index]);
      if (need == 0) return;
      if (index == deployment.prefill) prefill = need;
      if (index == deployment.decode) decode = need;
    }
    if (!load_loop_) {
      want(deployment, prefill, decode, pools, wanted);
      return;
    }
    state.prefill_floor = prefill;
    state.decode_floor = decode;
  }

  // 0 = cannot be told.
  [[nodiscard]] std::int64_t replicas_for(const Traffic& traffic, double demand,
                                          const PoolMetrics& pool,
                                          const Context::Profile& profile) const {
    const bool first = pool.role != Role::kDecode;
    const bool later = pool.role != Role::kPrefill;
    if ((first && !profile.prefill) || (later && !profile.decode)) return 0;
    const EnginePerformance model(profile, pool, traffic.next_input(), traffic.next_output());
    EnginePerformance::Rate rate;
    double least = 1;
    if (!later) {
      rate = model.prefill_rate();
      // A prompt that is late even alone asks for as many more.
      if (rate.ttft > options_.ttft) least = std::ceil(rate.ttft / options_.ttft);
    } else {
      rate = first ? model.aggregated_rate(options_.ttft, options_.itl)
                   : model.decode_rate(options_.itl);
    }
    if (rate.requests_per_s <= 0) return 0;
    const double need = std::max(least, std::ceil(demand / rate.requests_per_s));
    return std::max(options_.min_endpoint, static_cast<std::int64_t>(need));
  }

  void want(const Deployment& deployment, std::int64_t prefill, std::int64_t decode,
            std::span<const PoolMetrics> pools, std::span<std::int64_t> wanted) const {
    const std::int64_t least = options_.min_endpoint;
    const std::int64_t budget = options_.max_gpu_budget;
    prefill = std::max(prefill, least);
    decode = std::max(decode, least);
    if (deployment.prefill == Deployment::kNone || deployment.decode == Deployment::kNone ||
        deployment.aggregated()) {
      const std::size_t pool = leader(deployment);
      const std::int64_t replicas = pool == deployment.decode ? decode : prefill;
      wanted[pool] = within(budget, replicas, pools[pool].gpus_per_replica);
      return;
    }
    const std::int64_t p_gpus = pools[deployment.prefill].gpus_per_replica;
    const std::int64_t d_gpus = pools[deployment.decode].gpus_per_replica;
    const std::int64_t total = prefill * p_gpus + decode * d_gpus;
    if (budget >= 0 && total > budget) {
      if (budget < least * (p_gpus + d_gpus)) {
        prefill = decode = 0;
      } else {
        // Whole numbers throughout: rounds down.
        const std::int64_t most = (budget - least * d_gpus) / p_gpus;
        prefill = std::max(least, std::min(most, prefill * budget / total));
        decode = std::max(least, (budget - prefill * p_gpus) / d_gpus);
      }
    }
    wanted[deployment.prefill] = prefill;
    wanted[deployment.decode] = decode;
  }
  // One pool alone.
  [[nodiscard]] std::int64_t within(std::int64_t budget, std::int64_t replicas,
                                    std::int64_t gpus) const {
    if (budget < 0 || replicas * gpus <= budget) return replicas;
    if (budget < options_.min_endpoint * gpus) return 0;
    return std::max(options_.min_endpoint, budget / gpus);
  }

  Options options_;
  bool sla_;
  bool load_loop_;
  bool throughput_loop_;
  Thresholds thresholds_;
  std::vector<Context::Profile> profiles_;
  std::vector<State> states_;
  Seconds next_throughput_;
};

const Register<Autoscaler, DynamoPlanner> kRegistered(
    "dynamo-planner", "Dynamo's planner of 2026: a load loop of +-1, a throughput loop as floor.");

}  // namespace
}  // namespace kvsim
