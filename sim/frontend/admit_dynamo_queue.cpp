// Dynamo's router queue (spec/dynamo.md section 3): while every replica that is ready has more
// prefill tokens than router_queue_threshold times its step's budget, requests wait; the first in
// order goes as soon as one replica has no more than that. Without a threshold nothing waits.
//
//   fcfs  the earliest first; a priority puts a request ahead by as many seconds
//   lcfs  the latest first; likewise
//   wspt  the largest (1 + priority) / uncached tokens first (Smith's rule)
//
// Priority: Dynamo's is a bump, larger is served first and below 0 is 0; Ask::priority is lower
// first, so the bump is its negative. Uncached: what no ready replica holds anywhere, as far as KV
// events tell. Prefill tokens are whole prompts without a first token, where the real router
// leaves out what it believes cached. Order of equals: as they came.
#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/frontend/admission.hpp"

namespace kvsim {
namespace {

class DynamoQueue final : public Admission {
 public:
  struct Options {
    std::optional<double> threshold;
    std::string policy = "fcfs";
    template <class F>
    void fields(F& f) {
      f.optional("router_queue_threshold", threshold, Range{0, 1e6},
                 "Prefill tokens of a replica, as a multiple of max_num_batched_tokens, above "
                 "which it is busy; none = nothing waits.");
      f.choice("router_queue_policy", policy, {"fcfs", "lcfs", "wspt"}, "In which order.");
    }
  };
  DynamoQueue(const Options& options, const Context& context) : options_(options) {
    for (const ReplicaFacts& facts : context.replicas) {
      budgets_.push_back(static_cast<double>(facts.max_batched_tokens));
      block_tokens_.push_back(facts.block_tokens);
    }
  }

  Verdict admit(const Ask& ask, const ClusterView& view) override {
    if (!options_.threshold || !all_busy(view)) return Verdict::kAdmit;
    waiting_.push_back({rank(ask, view), arrivals_++, ask.number});
    std::push_heap(waiting_.begin(), waiting_.end());
    return Verdict::kHold;
  }
  std::optional<std::int64_t> next(const ClusterView& view) override {
    if (waiting_.empty() || all_busy(view)) return std::nullopt;
    std::pop_heap(waiting_.begin(), waiting_.end());
    const std::int64_t number = waiting_.back().number;
    waiting_.pop_back();
    return number;
  }
  void gone(std::int64_t number) override {
    const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                    [&](const Waiting& one) { return one.number == number; });
    if (found == waiting_.end()) return;
    *found = waiting_.back();
    waiting_.pop_back();
    std::make_heap(waiting_.begin(), waiting_.end());
  }
  std::int64_t held() const override { return static_cast<std::int64_t>(waiting_.size()); }

 private:
  struct Waiting {
    double rank;  // higher first
    std::int64_t arrival;
    std::int64_t number;
    bool operator<(const Waiting& other) const {
      return rank != other.rank ? rank < other.rank : arrival > other.arrival;
    }
  };

  // False when no replica is ready: the router answers for that.
  [[nodiscard]] bool all_busy(const ClusterView& view) const {
    bool any = false;
    for (std::size_t i = 0; i < view.replicas.size(); ++i) {
      const ReplicaView& replica = view.replicas[i];
      if (!replica.ready) continue;
      any = true;
      if (static_cast<double>(replica.prefill_tokens) <= *options_.threshold * budgets_[i])
        return false;
    }
    return any;
  }

  double rank(const Ask& ask, const ClusterView& view) {
    const double bump = std::max(0.0, -static_cast<double>(ask.priority));
    if (options_.policy == "fcfs") return bump - view.now.count();
    if (options_.policy == "lcfs") return bump + view.now.count();
    const std::int64_t uncached = std::max<std::int64_t>(1, ask.input_tokens - cached(ask, view));
    return (1 + bump) / static_cast<double>(uncached);
  }

  std::int64_t cached(const Ask& ask, const ClusterView& view) {
    if (view.cached == nullptr || ask.prompt_hashes.empty()) return 0;
    view.cached->match(ask.prompt_hashes, matches_);
    std::int64_t most = 0;
    for (std::size_t i = 0; i < view.replicas.size(); ++i)
      if (view.replicas[i].ready) most = std::max(most, matches_[i].all() * block_tokens_[i]);
    return most;
  }

  Options options_;
  std::vector<double> budgets_;
  std::vector<std::int64_t> block_tokens_;
  std::vector<Waiting> waiting_;  // a heap
  std::vector<KvMatch> matches_;
  std::int64_t arrivals_ = 0;
};

const Register<Admission, DynamoQueue> kRegistered(
    "dynamo-queue", "Dynamo's router queue: wait while every replica is busy with prompts.");

}  // namespace
}  // namespace kvsim
