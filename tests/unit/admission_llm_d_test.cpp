// llm-d's saturation, flow control and deciders, by hand from spec/llm_d.md sections 7 and 8.
#include <gtest/gtest.h>

#include "sim/base/registry.hpp"
#include "sim/frontend/admission.hpp"
#include "sim/frontend/decider.hpp"
#include "sim/frontend/epp/saturation.hpp"

namespace kvsim {
namespace {

using Verdict = Admission::Verdict;

class LlmDAdmission : public testing::Test {
 protected:
  ClusterView view() { return {.now = now_, .replicas = views_}; }
  void saturate(bool yes) {
    for (ReplicaView& view : views_) view.waiting = yes ? 5 : 0;
  }
  std::unique_ptr<Admission> make(Json config) {
    config["stale_s"] = 0;
    config_ = std::move(config);
    return Registry<Admission>::instance().make(ConfigNode(config_, "test"), {});
  }
  static Ask ask(std::int64_t number, std::int32_t priority = 0, std::int32_t tenant = 0) {
    return {.number = number, .input_tokens = 100, .priority = priority, .tenant = tenant};
  }
  // The order in which what is held goes on.
  std::vector<std::int64_t> drain(Admission& admission) {
    saturate(false);
    std::vector<std::int64_t> out;
    while (const auto number = admission.next(view())) out.push_back(*number);
    return out;
  }

  Json config_;
  Seconds now_{0};
  std::vector<ReplicaView> views_{2};
};

TEST_F(LlmDAdmission, UtilisationIsTheMeanOfTheWorseOfTwo) {
  const Saturation detector(SaturationOptions{});
  views_[0].waiting = 3;      // 3/5 = 0.6
  views_[0].kv_usage = 0.4;   // 0.4/0.8 = 0.5
  views_[1].kv_usage = 0.64;  // 0.8
  EXPECT_NEAR(detector.of(view()), 0.7, 1e-12);
  views_[1].waiting = 7;  // 1.4: mean (0.6 + 1.4) / 2 = 1
  EXPECT_TRUE(detector.saturated(view()));
  views_[1].ready = false;  // does not count
  EXPECT_NEAR(detector.of(view()), 0.6, 1e-12);
}

TEST_F(LlmDAdmission, StaleGaugesMeanAFullReplica) {
  const Saturation detector(SaturationOptions{});
  views_[0].scraped = Seconds(1);
  views_[1].scraped = Seconds(1);
  now_ = Seconds(1.2);
  EXPECT_EQ(detector.of(view()), 0.0);
  now_ = Seconds(1.201);
  EXPECT_EQ(detector.of(view()), 1.0);
}

TEST_F(LlmDAdmission, ConcurrencyCountsWhatIsInFlight) {
  SaturationOptions options{.detector = "concurrency"};
  views_[0].in_flight = 120;
  views_[1].in_flight = 60;
  EXPECT_NEAR(Saturation(options).of(view()), 0.9, 1e-12);  // (1.2 + 0.6) / 2
  options.mode = "tokens";
  views_[0].in_flight_tokens = 3'000'000;
  EXPECT_NEAR(Saturation(options).of(view()), 1.5, 1e-12);  // (3 + 0) / 2
}

TEST_F(LlmDAdmission, OnlySheddableRequestsAreRefusedAndOnlyWhileSaturated) {
  const auto admission = make({{"kind", "llm-d-saturation"}});
  saturate(true);
  EXPECT_EQ(admission->admit(ask(1, 1), view()), Verdict::kRefuse);  // llm-d's priority -1
  EXPECT_EQ(admission->admit(ask(2, 0), view()), Verdict::kAdmit);
  EXPECT_EQ(admission->admit(ask(3, -1), view()), Verdict::kAdmit);
  saturate(false);
  EXPECT_EQ(admission->admit(ask(4, 1), view()), Verdict::kAdmit);
}

TEST_F(LlmDAdmission, FlowControlHoldsWhileSaturated) {
  const auto admission = make({{"kind", "llm-d-flow-control"}});
  EXPECT_EQ(admission->admit(ask(1), view()), Verdict::kAdmit);
  saturate(true);
  EXPECT_EQ(admission->admit(ask(2), view()), Verdict::kHold);
  EXPECT_FALSE(admission->next(view()).has_value());
  EXPECT_EQ(admission->held(), 1);
  EXPECT_EQ(drain(*admission), std::vector<std::int64_t>{2});
  EXPECT_EQ(admission->held(), 0);
}

TEST_F(LlmDAdmission, BandsAreServedInStrictOrder) {
  const auto admission = make({{"kind", "llm-d-flow-control"}});
  saturate(true);
  for (const auto& [number, priority] : {std::pair{1, 5}, {2, 0}, {3, -2}, {4, 0}})
    (void)admission->admit(ask(number, priority), view());
  EXPECT_EQ(drain(*admission), (std::vector<std::int64_t>{3, 2, 4, 1}));
}

TEST_F(LlmDAdmission, NobodyPassesThoseOfItsOwnBand) {
  const auto admission = make({{"kind", "llm-d-flow-control"}});
  saturate(true);
  (void)admission->admit(ask(1, 0), view());
  saturate(false);
  EXPECT_EQ(admission->admit(ask(2, 0), view()), Verdict::kHold);
  EXPECT_EQ(admission->admit(ask(3, -1), view()), Verdict::kAdmit);  // more important
}

TEST_F(LlmDAdmission, GlobalStrictIsTheOrderOfArrivalOverAllTenants) {
  const auto admission = make({{"kind", "llm-d-flow-control"}});
  saturate(true);
  for (const auto& [number, tenant] : {std::pair{1, 0}, {2, 0}, {3, 0}, {4, 1}, {5, 2}})
    (void)admission->admit(ask(number, 0, tenant), view());
  EXPECT_EQ(drain(*admission), (std::vector<std::int64_t>{1, 2, 3, 4, 5}));
}

TEST_F(LlmDAdmission, RoundRobinGivesEachTenantItsTurn) {
  const auto admission = make({{"kind", "llm-d-flow-control"}, {"fairness", "round-robin"}});
  saturate(true);
  for (const auto& [number, tenant] : {std::pair{1, 0}, {2, 0}, {3, 0}, {4, 1}, {5, 2}})
    (void)admission->admit(ask(number, 0, tenant), view());
  EXPECT_EQ(drain(*admission), (std::vector<std::int64_t>{1, 4, 5, 2, 3}));
}

TEST_F(LlmDAdmission, SloDeadlinesOrderTenants) {
  const auto admission = make({{"kind", "llm-d-flow-control"},
                               {"ordering", "slo-deadline"},
                               {"slo_ttft_s", 1},
                               {"tenant_slo_ttft_s", {10, 0.5}}});
  saturate(true);
  (void)admission->admit(ask(1, 0, 0), view());  // 0 + 10
  now_ = Seconds(0.2);
  (void)admission->admit(ask(2, 0, 7), view());  // 0.2 + 1
  now_ = Seconds(0.6);
  (void)admission->admit(ask(3, 0, 1), view());  // 0.6 + 0.5
  EXPECT_EQ(drain(*admission), (std::vector<std::int64_t>{3, 2, 1}));
}

TEST_F(LlmDAdmission, AFullBandRefuses) {
  const auto admission = make({{"kind", "llm-d-flow-control"}, {"band_capacity_bytes", 800}});
  saturate(true);
  EXPECT_EQ(admission->admit(ask(1), view()), Verdict::kHold);  // 100 tokens * 4
  EXPECT_EQ(admission->admit(ask(2), view()), Verdict::kHold);  // 800
  EXPECT_EQ(admission->admit(ask(3), view()), Verdict::kRefuse);
  EXPECT_EQ(admission->admit(ask(4, 1), view()), Verdict::kHold);  // another band
  admission->gone(1);
  EXPECT_EQ(admission->admit(ask(5), view()), Verdict::kHold);
  EXPECT_EQ(drain(*admission), (std::vector<std::int64_t>{2, 5, 4}));
}

TEST_F(LlmDAdmission, WhatIsHeldTooLongExpires) {
  const auto admission = make({{"kind", "llm-d-flow-control"}, {"ttl_s", 10}});
  EXPECT_EQ(admission->sweep_period(), Seconds(1));
  saturate(true);
  (void)admission->admit(ask(1), view());
  now_ = Seconds(3);
  (void)admission->admit(ask(2), view());
  EXPECT_FALSE(admission->expired(Seconds(9.999)).has_value());
  EXPECT_EQ(admission->expired(Seconds(10)), 1);
  EXPECT_FALSE(admission->expired(Seconds(10)).has_value());
  EXPECT_EQ(admission->held(), 1);
  EXPECT_EQ(drain(*admission), std::vector<std::int64_t>{2});
}

// --- deciders -----------------------------------------------------------------------------------

bool remote(const Json& config, std::int64_t input, std::int64_t hit) {
  const auto decider = Registry<Decider>::instance().make(ConfigNode(config, "test"), {});
  const Ask ask{.input_tokens = input};
  const ClusterView none;
  return decider->remote(
      {.ask = ask, .hit_tokens = hit, .prefill_view = none, .decode_view = none});
}

TEST(LlmDDecider, NothingIsDisaggregatedByDefault) {
  EXPECT_FALSE(remote("prefix-based-pd-decider", 100'000, 0));
}

TEST(LlmDDecider, UncachedTokensOnTheDecodeReplicaDecide) {
  const Json config = {{"kind", "prefix-based-pd-decider"}, {"non_cached_tokens", 16}};
  EXPECT_FALSE(remote(config, 15, 0));    // shorter than the threshold
  EXPECT_TRUE(remote(config, 16, 0));     // 16 >= 16
  EXPECT_FALSE(remote(config, 100, 85));  // 15 uncached
  EXPECT_TRUE(remote(config, 100, 84));   // 16
}

TEST(LlmDDecider, TokensAreEstimatedFromCharacters) {
  const Json config = {
      {"kind", "prefix-based-pd-decider"}, {"non_cached_tokens", 16}, {"characters_per_token", 2}};
  EXPECT_FALSE(remote(config, 31, 0));  // 62 characters: 15.5
  EXPECT_TRUE(remote(config, 32, 0));
}

TEST(LlmDDecider, AlwaysIsAlways) { EXPECT_TRUE(remote("always-disagg", 1, 1)); }

}  // namespace
}  // namespace kvsim
