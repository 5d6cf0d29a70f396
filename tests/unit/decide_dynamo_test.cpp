// Dynamo's conditional disaggregation: which prompts a decode replica computes itself.
#include <gtest/gtest.h>

#include <memory>

#include "sim/base/registry.hpp"
#include "sim/frontend/decider.hpp"

namespace kvsim {
namespace {

// Two prefill replicas whose steps hold 1,000 tokens, one decode replica of 1,000 blocks of 16.
class Deciding {
 public:
  explicit Deciding(const Json& options) : prefill_(2), decode_(1) {
    Decider::Context context;
    context.prefill.assign(2, {.max_batched_tokens = 1000});
    context.decode.assign(1, {.kv_blocks = 1000});
    decider_ = Registry<Decider>::instance().make(ConfigNode(options, "test"), context);
  }
  bool remote(std::int64_t tokens, std::int64_t cached) {
    const Ask ask{.input_tokens = tokens};
    const ClusterView prefill{.replicas = prefill_};
    const ClusterView decode{.replicas = decode_};
    return decider_->remote({ask, cached, 0, 1, prefill, decode});
  }
  std::vector<ReplicaView> prefill_;
  std::vector<ReplicaView> decode_;

 private:
  std::unique_ptr<Decider> decider_;
};

TEST(Deciders, AlwaysAndNever) {
  EXPECT_TRUE(Deciding("always").remote(1, 0));
  EXPECT_FALSE(Deciding("never").remote(100'000, 0));
}

TEST(Deciders, IslBoundingNeedsBothBounds) {
  Deciding deciding("isl-bounding");
  // Uncached tokens below 2,048 and below 0.7 of the prompt.
  EXPECT_FALSE(deciding.remote(4000, 4000 - 2047));  // 0.51
  EXPECT_TRUE(deciding.remote(4000, 4000 - 2048));
  EXPECT_FALSE(deciding.remote(1000, 301));  // 699 of 1,000
  EXPECT_TRUE(deciding.remote(1000, 300));   // 700 of 1,000
  EXPECT_TRUE(deciding.remote(100, 0));      // short, but nothing cached
}

TEST(Deciders, PrefillLoadLooksAtTheChosenPrefillReplica) {
  Deciding deciding(Json::object({{"kind", "prefill-load"}, {"prefill_busy_threshold", 3}}));
  deciding.prefill_[0].prefill_tokens = 100'000;
  deciding.prefill_[1].prefill_tokens = 3000;
  EXPECT_TRUE(deciding.remote(4000, 0));
  deciding.prefill_[1].prefill_tokens = 3001;
  EXPECT_FALSE(deciding.remote(4000, 0));
}

TEST(Deciders, IslOrLoadTakesEitherReason) {
  Deciding deciding(Json::object({{"kind", "isl-or-load"}, {"prefill_busy_threshold", 3}}));
  EXPECT_TRUE(deciding.remote(4000, 0));
  EXPECT_FALSE(deciding.remote(4000, 3000));
  deciding.prefill_[1].prefill_tokens = 3001;
  EXPECT_FALSE(deciding.remote(4000, 0));
}

TEST(Deciders, ABusyDecodeReplicaComputesNoPrompts) {
  Deciding deciding(Json::object({{"kind", "isl-bounding"}, {"decode_busy_threshold", 0.5}}));
  // Half of 16,000 tokens.
  deciding.decode_[0].in_flight_tokens = 7000;
  EXPECT_FALSE(deciding.remote(1000, 900));
  deciding.decode_[0].in_flight_tokens = 7001;
  EXPECT_TRUE(deciding.remote(1000, 900));
}

TEST(Deciders, ConditionalSendsLongPromptsWhileTheQueueIsShort) {
  Deciding deciding(
      {{"kind", "conditional"}, {"max_local_prefill_length", 1000}, {"max_prefill_queue_size", 2}});
  EXPECT_FALSE(deciding.remote(1500, 500));
  EXPECT_TRUE(deciding.remote(1501, 500));
  deciding.prefill_[0].in_flight = 2;  // one in work, one queued
  EXPECT_TRUE(deciding.remote(1501, 500));
  deciding.prefill_[1].in_flight = 2;
  EXPECT_FALSE(deciding.remote(1501, 500));
}

TEST(Deciders, LoadNeedsAThreshold) {
  EXPECT_THROW(Deciding("prefill-load"), ConfigError);
  EXPECT_THROW(Deciding("isl-or-load"), ConfigError);
}

}  // namespace
}  // namespace kvsim
