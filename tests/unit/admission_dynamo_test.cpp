// Dynamo's router queue: who waits, and in which order they go on.
#include <gtest/gtest.h>

#include <memory>

#include "sim/base/registry.hpp"
#include "sim/frontend/admission.hpp"

namespace kvsim {
namespace {

using Verdict = Admission::Verdict;

// Two replicas whose steps hold 1,000 tokens.
class Queue {
 public:
  explicit Queue(Json options) : index_({.replicas = 2}), views_(2) {
    options["kind"] = "dynamo-queue";
    Admission::Context context;
    context.replicas.assign(2, {.max_batched_tokens = 1000});
    admission_ = Registry<Admission>::instance().make(ConfigNode(options, "test"), context);
  }
  Verdict admit(Ask ask, double now = 0) { return admission_->admit(ask, view(now)); }
  std::vector<std::int64_t> release() {
    std::vector<std::int64_t> out;
    while (const auto number = admission_->next(view(0))) out.push_back(*number);
    return out;
  }
  void load(std::int64_t first, std::int64_t second) {
    views_[0].prefill_tokens = first;
    views_[1].prefill_tokens = second;
  }
  [[nodiscard]] ClusterView view(double now) { return {Seconds(now), views_, &index_}; }
  Admission& admission() { return *admission_; }
  KvIndex& index() { return index_; }
  ReplicaView& replica(std::size_t i) { return views_[i]; }

 private:
  KvIndex index_;
  std::vector<ReplicaView> views_;
  std::unique_ptr<Admission> admission_;
};

TEST(DynamoQueue, HoldsOnlyWhileEveryReplicaIsAboveTheThreshold) {
  Queue queue(Json::object({{"router_queue_threshold", 2}}));
  queue.load(2001, 2000);
  EXPECT_EQ(queue.admit({.number = 1}), Verdict::kAdmit);
  queue.load(2001, 2001);
  EXPECT_EQ(queue.admit({.number = 2}), Verdict::kHold);
  EXPECT_EQ(queue.admission().held(), 1);
  EXPECT_TRUE(queue.release().empty());
  queue.load(2001, 2000);
  EXPECT_EQ(queue.release(), (std::vector<std::int64_t>{2}));
  EXPECT_EQ(queue.admission().held(), 0);
}

TEST(DynamoQueue, WithoutAThresholdHoldsNothing) {
  Queue queue(Json::object());
  queue.load(1'000'000, 1'000'000);
  EXPECT_EQ(queue.admit({.number = 1}), Verdict::kAdmit);
}

TEST(DynamoQueue, AThresholdOfZeroHoldsWhileEveryReplicaHasAPrompt) {
  Queue queue(Json::object({{"router_queue_threshold", 0}}));
  queue.load(0, 1);
  EXPECT_EQ(queue.admit({.number = 1}), Verdict::kAdmit);
  queue.load(1, 1);
  EXPECT_EQ(queue.admit({.number = 2}), Verdict::kHold);
}

TEST(DynamoQueue, ReplicasThatAreNotReadyDoNotCountAsFree) {
  Queue queue(Json::object({{"router_queue_threshold", 1}}));
  queue.load(0, 1001);
  queue.replica(0).ready = false;
  EXPECT_EQ(queue.admit({.number = 1}), Verdict::kHold);
}

// The order in which four requests go on: the second has priority 5, the fourth the shortest
// prompt, the third equals the first.
std::vector<std::int64_t> order(const char* policy) {
  Queue queue(Json::object({{"router_queue_threshold", 1}, {"router_queue_policy", policy}}));
  queue.load(2000, 2000);
  (void)queue.admit({.number = 1, .input_tokens = 400}, 1);
  (void)queue.admit({.number = 2, .input_tokens = 400, .priority = -5}, 2);
  (void)queue.admit({.number = 3, .input_tokens = 400}, 3);
  (void)queue.admit({.number = 4, .input_tokens = 100}, 4);
  queue.load(0, 0);
  return queue.release();
}

TEST(DynamoQueue, ServesTheFirstFirstAndPriorityAsIfItHadComeEarlier) {
  // 1, 2 - 5 = -3, 3, 4
  EXPECT_EQ(order("fcfs"), (std::vector<std::int64_t>{2, 1, 3, 4}));
}

TEST(DynamoQueue, ServesTheLastFirst) {
  // 1, 2 + 5 = 7, 3, 4, the largest first
  EXPECT_EQ(order("lcfs"), (std::vector<std::int64_t>{2, 4, 3, 1}));
}

TEST(DynamoQueue, ServesShortPromptsFirstByWeight) {
  // 1 / 400, 6 / 400, 1 / 400, 1 / 100; the largest first, equals as they came
  EXPECT_EQ(order("wspt"), (std::vector<std::int64_t>{2, 4, 1, 3}));
}

TEST(DynamoQueue, LeavesOutWhatIsCachedWhenItWeighsPrompts) {
  Queue queue(Json::object({{"router_queue_threshold", 1}, {"router_queue_policy", "wspt"}}));
  queue.load(2000, 2000);
  const std::vector<BlockHash> hashes{11, 12, 13, 14};
  for (const BlockHash hash : hashes) queue.index().add(1, 0, hash);
  // 1 / 50 against 1 / (100 - 64)
  (void)queue.admit({.number = 1, .input_tokens = 50});
  (void)queue.admit({.number = 2, .input_tokens = 100, .prompt_hashes = hashes});
  queue.load(0, 0);
  EXPECT_EQ(queue.release(), (std::vector<std::int64_t>{2, 1}));
}

TEST(DynamoQueue, ForgetsWhoHasGone) {
  Queue queue(Json::object({{"router_queue_threshold", 1}}));
  queue.load(2000, 2000);
  for (std::int64_t i = 1; i <= 4; ++i) (void)queue.admit({.number = i}, static_cast<double>(i));
  queue.admission().gone(2);
  queue.admission().gone(77);
  EXPECT_EQ(queue.admission().held(), 3);
  queue.load(0, 0);
  EXPECT_EQ(queue.release(), (std::vector<std::int64_t>{1, 3, 4}));
}

}  // namespace
}  // namespace kvsim
