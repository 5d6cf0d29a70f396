// Mooncake's Conductor (spec/mooncake.md section 4; Qin et al., FAST 2025, algorithm 1): of the
// prefill replicas (or those that do all), the one with the least predicted time to first token.
//
//   best = longest prefix that any replica holds
//   for each replica:  best / own prefix > balancing_threshold ?
//       yes: use best, which costs a transfer of the difference from its holder
//       no:  use the own prefix: recomputing the little rest beats fetching it
//     ttft = transfer + queue + prefill(prompt, prefix used)
//
//   transfer   alone x (1 + copies from that holder still under way by its own predictions)
//   queue      sum of the predicted prefill times of its own requests without a first token
//   prefill    a prediction on (length, prefix): PrefillTime
//
// Where the chosen replica would use the transfer, the decision asks for the copy: hot prefixes
// replicate themselves. Early rejection: a predicted time to first token or between tokens above
// its objective refuses the request. For decode replicas: the least predicted time between tokens,
//   step = decode_step_s + per_request x requests + per_token x their prompts' tokens.
// requests = the larger of those sent there that have not ended and of what the engine published.
//
// Differs from the paper: prefixes are what KV events have told, over all tiers of a replica, and
// loading them from its own DRAM is free (Mooncake loads by layer, beside computing); the holder of
// the best prefix is the first of equals; ties between replicas are random (the paper names none);
// prefill workers are not regrouped and chunked pipelines are the engine's business.
#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/prediction.hpp"

namespace kvsim {
namespace {

class MooncakeConductor final : public Router {
 public:
  struct Options {
    double balancing_threshold = 2;
    Seconds ttft_slo{0};
    Seconds tbt_slo{0};
    Seconds decode_step{0};
    Seconds decode_step_per_request{0};
    Seconds decode_step_per_token{0};
    template <class F>
    void fields(F& f) {
      f.optional("balancing_threshold", balancing_threshold, Range{1, 1e9},
                 "A remote prefix this many times longer is copied instead of recomputed. The "
                 "paper tunes it by hand and publishes none: the default is assumed.");
      f.optional("ttft_slo_s", ttft_slo, Range{0, 1e9},
                 "Refuse what would get its first token later; 0 = never.");
      f.optional("tbt_slo_s", tbt_slo, Range{0, 1e9},
                 "Refuse what would make a decode replica's step longer; 0 = never.");
      f.optional("decode_step_s", decode_step, Range{0, 1e3},
                 "Predicted decode step of an empty replica.");
      f.optional("decode_step_per_request_s", decode_step_per_request, Range{0, 1e3},
                 "More for each request in the step. With this and the next 0, requests are "
                 "counted instead.");
      f.optional("decode_step_per_token_s", decode_step_per_token, Range{0, 1e3},
                 "More for each token of their prompts.");
    }
  };

  MooncakeConductor(const Options& options, const Context& context)
      : options_(options),
        facts_(context.replicas),
        decode_(context.role == Role::kDecode),
        transfer_time_(context.transfer_time),
        prefill_time_(context),
        rng_(stream(context.seed, "router/mooncake-conductor")),
        backlog_(context.replicas.size()),
        copies_(context.replicas.size()) {}

  bool needs_gauges() const override { return decode_; }
  bool needs_events() const override { return true; }
  HashNeed hashes() const override { return {.block_tokens = HashNeed::kEngineBlocks}; }

  Decision route(const Ask& ask, const ClusterView& view) override {
    held_.assign(view.replicas.size(), {});
    if (view.cached != nullptr) view.cached->match(ask.prompt_hashes, held_);
    return decode_ ? route_decode(ask, view) : route_prefill(ask, view);
  }
  void first_token(std::int64_t number, Seconds) override { backlog_.remove(number); }
  void ended(std::int64_t number, Seconds) override { backlog_.remove(number); }

 private:
  // What would happen on one replica.
  struct Plan {
    std::int64_t copy_tokens = 0;
    Seconds transfer{0};
    Seconds prefill{0};
    Seconds ttft{0};
  };

  Decision route_prefill(const Ask& ask, const ClusterView& view) {
    const std::int32_t holder = longest_holder(view, ask);
    Plan best;
    std::int32_t chosen = Decision::kRefuse;
    std::uint64_t equals = 0;
    for (std::size_t i = 0; i < view.replicas.size(); ++i) {
      if (!view.replicas[i].ready) continue;
      const Plan plan = plan_for(static_cast<std::int32_t>(i), holder, ask, view.now);
      const bool better = chosen == Decision::kRefuse || plan.ttft < best.ttft;
      if (better) equals = 0;
      if (!better && plan.ttft != best.ttft) continue;
      if (rng_.below(++equals) != 0) continue;
      best = plan;
      chosen = static_cast<std::int32_t>(i);
    }
    if (options_.ttft_slo > Seconds(0) && best.ttft > options_.ttft_slo) return {Decision::kRefuse};
    backlog_.add(ask.number, chosen, best.prefill);
    Decision decision{.replica = chosen, .hit_tokens = prefix_tokens(chosen, ask)};
    if (best.copy_tokens > 0) {
      decision.copy_from = holder;
      decision.copy_tokens = best.copy_tokens;
      copies_[static_cast<std::size_t>(holder)].push_back(view.now + best.transfer);
    }
    return decision;
  }

  // The replica with the longest prefix; the first of equals.
  std::int32_t longest_holder(const ClusterView& view, const Ask& ask) const {
    std::int32_t best = 0;
    std::int64_t longest = -1;
    for (std::size_t i = 0; i < view.replicas.size(); ++i) {
      const std::int64_t tokens = prefix_tokens(static_cast<std::int32_t>(i), ask);
      if (!view.replicas[i].ready || tokens <= longest) continue;
      longest = tokens;
      best = static_cast<std::int32_t>(i);
    }
    return best;
  }

  Plan plan_for(std::int32_t replica, std::int32_t holder, const Ask& ask, Seconds now) {
    const std::int64_t own = prefix_tokens(replica, ask);
    const std::int64_t longest = prefix_tokens(holder, ask);
    const bool copies =
        transfer_time_ &&
        static_cast<double>(longest) > options_.balancing_threshold * static_cast<double>(own);
    Plan plan;
    if (copies) {
      plan.copy_tokens = longest - own;
      const Bytes bytes = facts_[static_cast<std::size_t>(holder)].kv_token_bytes;
      plan.transfer = transfer_time_(holder, replica, bytes * plan.copy_tokens) *
                      static_cast<double>(1 + under_way(holder, now));
    }
    plan.prefill = prefill_time_(replica, ask.input_tokens, copies ? longest : own);
    plan.ttft = plan.transfer + backlog_.seconds(static_cast<std::size_t>(replica)) + plan.prefill;
    return plan;
  }

  // Copies from this replica that have not ended by prediction.
  std::size_t under_way(std::int32_t holder, Seconds now) {
    std::vector<Seconds>& ends = copies_[static_cast<std::size_t>(holder)];
    std::erase_if(ends, [&](Seconds end) { return end <= now; });
    return ends.size();
  }

  std::int64_t prefix_tokens(std::int32_t replica, const Ask& ask) const {
    const auto i = static_cast<std::size_t>(replica);
    return std::min(held_[i].all() * facts_[i].block_tokens, ask.input_tokens);
  }

  Decision route_decode(const Ask& ask, const ClusterView& view) {
    double least = 0;
    std::int32_t chosen = Decision::kRefuse;
    std::uint64_t equals = 0;
    for (std::size_t i = 0; i < view.replicas.size(); ++i) {
      if (!view.replicas[i].ready) continue;
      const double step = decode_step(view.replicas[i], ask);
      const bool better = chosen == Decision::kRefuse || step < least;
      if (better) equals = 0;
      if (!better && step != least) continue;
      if (rng_.below(++equals) != 0) continue;
      least = step;
      chosen = static_cast<std::int32_t>(i);
    }
    if (predicts_steps() && options_.tbt_slo > Seconds(0) && least > options_.tbt_slo.count())
      return {Decision::kRefuse};
    return {.replica = chosen, .hit_tokens = prefix_tokens(chosen, ask)};
  }

  bool predicts_steps() const {
    return options_.decode_step_per_request > Seconds(0) ||
           options_.decode_step_per_token > Seconds(0);
  }
  // Seconds with the request in it, or requests where nothing is known of steps.
  double decode_step(const ReplicaView& replica, const Ask& ask) const {
    const auto requests =
        static_cast<double>(1 + std::max(replica.running + replica.waiting, replica.in_flight));
    if (!predicts_steps()) return requests;
    const auto tokens = static_cast<double>(replica.in_flight_tokens + ask.input_tokens);
    return options_.decode_step.count() + options_.decode_step_per_request.count() * requests +
           options_.decode_step_per_token.count() * tokens;
  }

  Options options_;
  std::vector<ReplicaFacts> facts_;
  bool decode_;
  decltype(Context::transfer_time) transfer_time_;
  PrefillTime prefill_time_;
  Rng rng_;
  PrefillBacklog backlog_;
  std::vector<std::vector<Seconds>> copies_;  // of each holder: when they end by prediction
  std::vector<KvMatch> held_;
};

const Register<Router, MooncakeConductor> kRegistered(
    "mooncake-conductor",
    "Mooncake: least predicted time to first token, hot prefixes are copied, early rejection.");

}  // namespace
}  // namespace kvsim
