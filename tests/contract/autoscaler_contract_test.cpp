// What every registered autoscaler must do.
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/autoscaler.hpp"

namespace kvsim {
namespace {

using Counts = std::vector<std::int64_t>;

Autoscaler::Context context_of(std::size_t pools) {
  Autoscaler::Context context;
  context.seed = 7;
  context.profiles.assign(
      pools, {.prefill = [](std::int64_t tokens) { return Seconds(0.01 + 1e-5 * double(tokens)); },
              .decode =
                  [](std::int64_t sequences, std::int64_t context_tokens) {
                    return Seconds(0.01 + 1e-5 * double(sequences) + 1e-8 * double(context_tokens));
                  }});
  return context;
}

// A cluster whose load and replicas change at random; replicas come and go as they are wanted.
class Cluster {
 public:
  explicit Cluster(std::vector<Role> roles) : pools_(roles.size()), wanted_(roles.size(), 2) {
    for (std::size_t i = 0; i < roles.size(); ++i) {
      pools_[i].name = "pool" + std::to_string(i);
      pools_[i].role = roles[i];
      pools_[i].least = i % 2 == 0 ? 1 : 0;
      pools_[i].most = 6;
      pools_[i].max_batched_tokens = 8192;
      pools_[i].max_num_seqs = 256;
      pools_[i].max_model_len = 32'768;
      pools_[i].kv_tokens = 400'000;
      pools_[i].ready = 2;
    }
  }

  // One decision; what was wanted before the frontend's clamp.
  Counts step(Autoscaler& scaler) {
    now_ += scaler.period();
    for (PoolMetrics& pool : pools_) observe(pool, scaler.period());
    Counts raw = wanted_;
    scaler.decide(now_, pools_, raw);
    for (std::size_t i = 0; i < pools_.size(); ++i) {
      wanted_[i] = std::clamp(raw[i], pools_[i].least, pools_[i].most);
      // One replica at a time gets there.
      pools_[i].ready += pools_[i].ready < wanted_[i] ? 1 : 0;
      pools_[i].ready = std::min(pools_[i].ready, wanted_[i]);
      pools_[i].starting = wanted_[i] - pools_[i].ready;
    }
    return raw;
  }
  [[nodiscard]] const Counts& wanted() const { return wanted_; }
  [[nodiscard]] const std::vector<PoolMetrics>& pools() const { return pools_; }

 private:
  void observe(PoolMetrics& pool, Seconds interval) {
    const bool idle = rng_.uniform() < 0.2;
    pool.interval = interval;
    pool.arrived = idle ? 0 : static_cast<std::int64_t>(rng_.below(5000));
    pool.mean_input_tokens = idle ? 0 : rng_.uniform(10, 20'000);
    pool.mean_output_tokens = idle ? 0 : rng_.uniform(1, 2'000);
    pool.mean_ttft = Seconds(idle ? 0 : rng_.exponential(1));
    pool.mean_itl = Seconds(idle ? 0 : rng_.exponential(0.05));
    pool.replicas.assign(static_cast<std::size_t>(pool.ready), {});
    for (PoolMetrics::Replica& replica : pool.replicas) {
      replica.running = static_cast<std::int64_t>(rng_.below(256));
      replica.waiting = static_cast<std::int64_t>(rng_.below(50));
      replica.kv_usage = rng_.uniform();
      replica.queued_prefill_tokens = static_cast<std::int64_t>(rng_.below(100'000));
      replica.queued_decode_tokens = static_cast<std::int64_t>(rng_.below(100'000));
      replica.recent_ttft = Seconds(rng_.exponential(0.5));
      replica.recent_itl = Seconds(rng_.exponential(0.05));
    }
  }

  std::vector<PoolMetrics> pools_;
  Counts wanted_;
  Seconds now_{0};
  Rng rng_ = stream(1, "contract/autoscaler");
};

class AutoscalerContract : public testing::TestWithParam<std::string> {
 protected:
  static std::unique_ptr<Autoscaler> make(std::size_t pools) {
    const Json kind = GetParam();
    return Registry<Autoscaler>::instance().make(ConfigNode(kind, "contract"), context_of(pools));
  }
};

const std::vector<std::vector<Role>> kClusters = {
    {Role::kAggregated},
    {Role::kAggregated, Role::kAggregated},
    {Role::kPrefill, Role::kDecode},
    {Role::kDecode, Role::kAggregated, Role::kPrefill}};

TEST_P(AutoscalerContract, WantsSensibleNumbersWhateverHappens) {
  for (const auto& roles : kClusters) {
    const auto scaler = make(roles.size());
    EXPECT_GT(scaler->period(), Seconds(0));
    Cluster cluster(roles);
    for (int i = 0; i < 300; ++i) {
      for (const std::int64_t raw : cluster.step(*scaler)) {
        EXPECT_GE(raw, 0);
        EXPECT_LT(raw, 1'000'000'000);
      }
      for (std::size_t pool = 0; pool < roles.size(); ++pool) {
        EXPECT_GE(cluster.wanted()[pool], cluster.pools()[pool].least);
        EXPECT_LE(cluster.wanted()[pool], cluster.pools()[pool].most);
      }
    }
  }
}

TEST_P(AutoscalerContract, DecidesTheSameForTheSameObservations) {
  const auto decisions = [](const std::vector<Role>& roles) {
    const auto scaler = make(roles.size());
    Cluster cluster(roles);
    std::vector<Counts> out;
    for (int i = 0; i < 200; ++i) out.push_back(cluster.step(*scaler));
    return out;
  };
  for (const auto& roles : kClusters) EXPECT_EQ(decisions(roles), decisions(roles));
}

TEST_P(AutoscalerContract, NeedsNoProfile) {
  const Json kind = GetParam();
  const auto scaler =
      Registry<Autoscaler>::instance().make(ConfigNode(kind, "contract"), Autoscaler::Context{});
  Cluster cluster({Role::kPrefill, Role::kDecode});
  for (int i = 0; i < 100; ++i) EXPECT_NO_THROW(cluster.step(*scaler));
}

INSTANTIATE_TEST_SUITE_P(AllAutoscalers, AutoscalerContract,
                         testing::ValuesIn(Registry<Autoscaler>::instance().names()),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });

}  // namespace
}  // namespace kvsim
