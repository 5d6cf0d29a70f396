#include "sim/workload/arrivals.hpp"

#include <cmath>
#include <limits>

#include "sim/base/rng.hpp"
#include "sim/workload/kind_keys.hpp"
#include "sim/workload/request_digest.hpp"

namespace kvsim {

namespace {

constexpr double kForever = std::numeric_limits<double>::infinity();

// Gives each request its arrival; false = no more are to come.
class ArrivalProcess {
 public:
  virtual ~ArrivalProcess() = default;
  virtual bool place(Request& request) = 0;
};

class Scaled final : public ArrivalProcess {
 public:
  explicit Scaled(double speed) : speed_(speed) {}
  bool place(Request& request) override {
    request.arrival = request.arrival / speed_;
    return true;
  }

 private:
  double speed_;
};

class AllAtOnce final : public ArrivalProcess {
 public:
  bool place(Request& request) override {
    request.arrival = Seconds(0);
    return true;
  }
};

// Gaps have mean 1 on a clock that runs at the present rate, so that a gap which spans two stages
// uses up its parts at either rate, and a Poisson process stays one.
class Renewal final : public ArrivalProcess {
 public:
  Renewal(const ArrivalConfig& config, std::uint64_t seed)
      : rng_(stream(seed, "workload/arrivals")),
        shape_(config.burstiness.value_or(1)),
        stages_(config.stages) {
    if (config.kind == "gamma") gap_ = Gap::kGamma;
    if (config.kind == "constant") gap_ = Gap::kFirst;
    if (stages_.empty()) stages_.push_back({*config.rate_per_s, Seconds(kForever)});
    end_ = stages_.front().duration.count();
  }

  bool place(Request& request) override {
    if (request.turn == 0 && !advance(gap())) return false;
    request.arrival = Seconds(now_);
    return true;
  }

 private:
  enum class Gap : std::uint8_t { kExponential, kGamma, kFirst, kOne };

  double gap() {
    switch (gap_) {
      case Gap::kExponential:
        return rng_.exponential(1);
      case Gap::kGamma:
        return rng_.gamma(shape_, 1 / shape_);
      case Gap::kFirst:
        gap_ = Gap::kOne;
        return 0;
      case Gap::kOne:
        break;
    }
    return 1;
  }

  bool advance(double gap) {
    while (stage_ < stages_.size()) {
      const double rate = stages_[stage_].rate_per_s;
      const double room = rate * (end_ - now_);
      if (rate > 0 && gap < room) {
        now_ += gap / rate;
        return true;
      }
      gap -= rate > 0 ? room : 0;
      now_ = end_;
      if (++stage_ < stages_.size()) end_ += stages_[stage_].duration.count();
    }
    return false;
  }

  Rng rng_;
  double shape_;
  std::vector<RateStage> stages_;
  Gap gap_ = Gap::kExponential;
  std::size_t stage_ = 0;
  double now_ = 0;
  double end_;  // of the stage
};

// Gaps of a stage scaled to fill it: all arrivals but the last, which is at its end, lie uniformly
// in it. The next of k such times is where one of k uniform numbers is least.
class Filled final : public ArrivalProcess {
 public:
  Filled(const ArrivalConfig& config, std::uint64_t seed)
      : rng_(stream(seed, "workload/arrivals")), stages_(config.stages) {
    if (stages_.empty()) stages_.push_back({*config.rate_per_s, *config.duration});
  }

  bool place(Request& request) override {
    if (request.turn == 0 && !advance()) return false;
    request.arrival = Seconds(now_);
    return true;
  }

 private:
  bool advance() {
    while (left_ == 0) {
      now_ = end_;
      if (stage_ == stages_.size()) return false;
      const RateStage& stage = stages_[stage_++];
      end_ += stage.duration.count();
      constexpr double kRounding = 1e-6;  // 0.1/s for 10 s is one request
      left_ = static_cast<std::int64_t>(stage.rate_per_s * stage.duration.count() + kRounding);
    }
    const double others = static_cast<double>(--left_);
    now_ =
        left_ == 0 ? end_ : now_ + (end_ - now_) * (1 - std::pow(1 - rng_.uniform(), 1 / others));
    return true;
  }

  Rng rng_;
  std::vector<RateStage> stages_;
  std::size_t stage_ = 0;
  std::int64_t left_ = 0;  // arrivals to come in this stage
  double now_ = 0;
  double end_ = 0;  // of the stage
};

class WithArrivals final : public RequestSource {
 public:
  WithArrivals(std::unique_ptr<RequestSource> source, std::unique_ptr<ArrivalProcess> process,
               const ArrivalConfig& config)
      : source_(std::move(source)),
        process_(std::move(process)),
        left_(config.max_requests.value_or(std::numeric_limits<std::int64_t>::max())),
        until_(config.duration.value_or(Seconds(kForever))) {}

  bool next(Request& request) override {
    if (left_ == 0) return false;
    if (!source_->next(request) || !process_->place(request) || request.arrival > until_) {
      left_ = 0;
      return false;
    }
    --left_;
    digest_.add(request);
    return true;
  }

  [[nodiscard]] std::string digest() const override { return digest_.hex(); }

 private:
  std::unique_ptr<RequestSource> source_;
  std::unique_ptr<ArrivalProcess> process_;
  std::int64_t left_;
  Seconds until_;
  RequestDigest digest_;
};

void check(const ArrivalConfig& config) {
  static const std::vector<KindKeys> kKeys = {
      {"trace", {}, {"speed", "duration_s"}},
      {"poisson", {}, {"rate_per_s", "stages", "duration_s"}},
      {"filled", {}, {"rate_per_s", "stages", "duration_s"}},
      {"gamma", {"burstiness"}, {"rate_per_s", "stages", "duration_s"}},
      {"constant", {}, {"rate_per_s", "stages", "duration_s"}},
      {"closed_loop", {"clients"}, {"think_s", "produce_s", "produce_ahead", "duration_s"}},
  };
  std::vector<std::string> given;
  if (config.rate_per_s) given.emplace_back("rate_per_s");
  if (config.burstiness) given.emplace_back("burstiness");
  if (!config.stages.empty()) given.emplace_back("stages");
  if (config.speed != 1) given.emplace_back("speed");
  if (config.clients != 0) given.emplace_back("clients");
  if (config.think != Seconds(0)) given.emplace_back("think_s");
  if (config.produce != Seconds(0)) given.emplace_back("produce_s");
  if (config.produce_ahead != 1) given.emplace_back("produce_ahead");
  if (config.duration) given.emplace_back("duration_s");
  check_keys("/load", config.kind, kKeys, given);
  const bool drawn = config.kind != "trace" && config.kind != "closed_loop";
  if (drawn && config.rate_per_s.has_value() != config.stages.empty())
    fail_at("/load", config.rate_per_s ? "both rate_per_s and stages" : "no rate",
            "one of rate_per_s and stages");
  if (config.kind == "filled" && config.stages.empty() && !config.duration)
    fail_at("/load", "no duration_s", "one, to fill");
}

std::unique_ptr<ArrivalProcess> make_process(const ArrivalConfig& config, std::uint64_t seed) {
  if (config.kind == "trace") return std::make_unique<Scaled>(config.speed);
  if (config.kind == "closed_loop") return std::make_unique<AllAtOnce>();
  if (config.kind == "filled") return std::make_unique<Filled>(config, seed);
  return std::make_unique<Renewal>(config, seed);
}

}  // namespace

std::unique_ptr<RequestSource> with_arrivals(std::unique_ptr<RequestSource> source,
                                             const ArrivalConfig& config, std::uint64_t seed) {
  check(config);
  return std::make_unique<WithArrivals>(std::move(source), make_process(config, seed), config);
}

}  // namespace kvsim
