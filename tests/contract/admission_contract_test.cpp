// What every registered admission must do, with its default options.
#include <gtest/gtest.h>

#include <memory>
#include <set>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/admission.hpp"

namespace kvsim {
namespace {

using Verdict = Admission::Verdict;

class AdmissionContract : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    Admission::Context context;
    context.seed = 7;
    context.replicas.assign(4, {.kv_blocks = 1000});
    const Json kind = GetParam();
    admission_ = Registry<Admission>::instance().make(ConfigNode(kind, "contract"), context);
  }
  // At a time of its own each: `load` 0 = idle, 1 = far beyond what replicas can do.
  [[nodiscard]] ClusterView view(double load) {
    now_ += 1e-3;
    for (ReplicaView& replica : views_) {
      replica.running = static_cast<std::int64_t>(300 * load);
      replica.waiting = static_cast<std::int64_t>(100 * load);
      replica.in_flight = replica.running + replica.waiting;
      replica.prefill_tokens = static_cast<std::int64_t>(1e7 * load);
      replica.in_flight_tokens = 2 * replica.prefill_tokens;
      replica.kv_usage = load;
      replica.scraped = Seconds(now_);
    }
    return {.now = Seconds(now_), .replicas = views_};
  }
  static Ask ask(std::int64_t number) {
    return {
        .number = number, .input_tokens = 1000, .tenant = static_cast<std::int32_t>(number % 3)};
  }

  std::unique_ptr<Admission> admission_;
  std::vector<ReplicaView> views_ = std::vector<ReplicaView>(4);
  double now_ = 0;
};

TEST_P(AdmissionContract, AdmitsWhileReplicasAreIdle) {
  for (std::int64_t i = 0; i < 50; ++i) {
    const Verdict verdict = admission_->admit(ask(i), view(0));
    if (verdict == Verdict::kAdmit) continue;
    // Some hand every request out through their queue.
    ASSERT_EQ(verdict, Verdict::kHold);
    EXPECT_EQ(admission_->next(view(0)), i);
  }
  EXPECT_EQ(admission_->held(), 0);
}

TEST_P(AdmissionContract, ReleasesWhatItHeldOnceAndNothingElse) {
  Rng rng = stream(1, "contract/admission");
  std::set<std::int64_t> held;
  for (std::int64_t i = 0; i < 2000; ++i) {
    const double load = i % 40 < 25 ? 1 : 0;
    if (admission_->admit(ask(i), view(load)) == Verdict::kHold) held.insert(i);
    if (!held.empty() && rng.below(10) == 0) {
      admission_->gone(*held.begin());
      held.erase(held.begin());
    }
    while (const auto number = admission_->next(view(load))) EXPECT_EQ(held.erase(*number), 1U);
    while (const auto number = admission_->expired(Seconds(now_)))
      EXPECT_EQ(held.erase(*number), 1U);
    EXPECT_EQ(admission_->held(), static_cast<std::int64_t>(held.size()));
  }
  for (int i = 0; i < 3000 && admission_->held() > 0; ++i)
    if (const auto number = admission_->next(view(0))) {
      EXPECT_EQ(held.erase(*number), 1U);
    }
  EXPECT_TRUE(held.empty());
}

TEST_P(AdmissionContract, ToleratesThatTheUnknownGo) {
  admission_->gone(12345);
  EXPECT_EQ(admission_->held(), 0);
}

INSTANTIATE_TEST_SUITE_P(AllAdmissions, AdmissionContract,
                         testing::ValuesIn(Registry<Admission>::instance().names()),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });

}  // namespace
}  // namespace kvsim
