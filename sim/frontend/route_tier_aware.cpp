// Our router: for each ready replica, the seconds until the first token if the request went there
// now, of what its tiers hold; the least wins, ties at random.
//
//   prefix k      what HBM holds; and the tier below; and all below; and the store that all share
//   seconds(k)    fetch of the tiers that prefix k needs, one after the other
//                 + prefill(prompt, prefix k)
//   first token   queue + least of seconds(k)
//   cost          first token + decode_weight x decodes there x prefill(prompt, prefix k)
//
//   queue         sum of the predicted prefills of its own requests without a first token
//   fetch         Router::Context::fetch_time of the bytes that lie in a tier, alone; free where
//                 the context has none
//   decodes       its own requests there that have had their first token
//
// The last term is what others lose: a prefill holds up each decode of its replica for about as
// long as it computes. Where `fetches` is "all", only the longest prefix counts, as engines do that
// load whatever hits; "cheapest" takes recomputing where that is faster.
//
// storage_aware = false is the hyper-converged comparison: the router takes every tier below HBM
// for empty, whatever the engines then find there. hbm_aware = false does not see HBM apart from
// the tier below it; both false: load alone.
//
// Source: none, this is not a published policy. Left out: contention of fetches (what is under way
// to a replica), what other front ends have sent, KV room and answer lengths. For decode replicas:
// fewest requests in flight, then fewest tokens of their prompts.
#include <algorithm>
#include <array>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/prediction.hpp"

namespace kvsim {
namespace {

class TierAware final : public Router {
 public:
  struct Options {
    bool storage_aware = true;
    bool hbm_aware = true;
    std::string fetches = "cheapest";
    double decode_weight = 0.1;
    template <class F>
    void fields(F& f) {
      f.optional("storage_aware", storage_aware,
                 "Whether it knows what tiers below HBM hold; false: they count as empty.");
      f.optional("hbm_aware", hbm_aware,
                 "Whether it knows HBM from the tier below; false: blocks in HBM count as there, "
                 "or as nowhere without such a tier.");
      f.choice("fetches", fetches, {"cheapest", "all"},
               "How much engines bring from lower tiers: as long as that beats recomputing, or all "
               "that is there.");
      f.optional("decode_weight", decode_weight, Range{0, 1e6},
                 "Seconds of one waiting request that a second's delay of one decoding request is "
                 "worth. Default: assumed.");
    }
  };

  TierAware(const Options& options, const Context& context)
      : options_(options),
        facts_(context.replicas),
        decode_(context.role == Role::kDecode),
        lower_tiers_(options.storage_aware ? context.tiers.size() - 1 : 0),
        fetch_time_(context.fetch_time),
        prefill_time_(context),
        rng_(stream(context.seed, "router/tier-aware")),
        backlog_(context.replicas.size()) {}

  bool needs_events() const override { return options_.hbm_aware || options_.storage_aware; }
  HashNeed hashes() const override {
    if (!needs_events()) return {};
    return {.block_tokens = HashNeed::kEngineBlocks};
  }

  Decision route(const Ask& ask, const ClusterView& view) override {
    held_.assign(view.replicas.size(), {});
    shared_ = 0;
    if (view.cached != nullptr && needs_events()) {
      view.cached->match(ask.prompt_hashes, held_);
      if (lower_tiers_ > 0) shared_ = view.cached->match_shared(ask.prompt_hashes);
    }
    Plan best;
    std::int32_t chosen = Decision::kRefuse;
    std::uint64_t equals = 0;
    for (std::size_t i = 0; i < view.replicas.size(); ++i) {
      if (!view.replicas[i].ready) continue;
      const Plan plan = plan_for(i, ask, view.replicas[i]);
      const bool better = chosen == Decision::kRefuse || plan.cost < best.cost;
      if (better) equals = 0;
      if (!better && plan.cost != best.cost) continue;
      if (rng_.below(++equals) != 0) continue;
      best = plan;
      chosen = static_cast<std::int32_t>(i);
    }
    if (!decode_) backlog_.add(ask.number, chosen, best.prefill);
    return {.replica = chosen, .hit_tokens = best.cached};
  }
  void first_token(std::int64_t number, Seconds) override { backlog_.remove(number); }
  void ended(std::int64_t number, Seconds) override { backlog_.remove(number); }

 private:
  struct Cost {
    double seconds = 0;      // of decode replicas: requests
    std::int64_t other = 0;  // decides between equals
    auto operator<=>(const Cost&) const = default;
  };
  struct Plan {
    std::int64_t cached = 0;  // tokens that are not computed
    Seconds prefill{0};
    Cost cost;
  };
  // Tokens of the prompt up to where each tier's part of the prefix ends: HBM, the tiers below, the
  // shared store. Ascending.
  static constexpr std::size_t kParts = kIndexTiers + 1;
  using Prefixes = std::array<std::int64_t, kParts>;

  Plan plan_for(std::size_t replica, const Ask& ask, const ReplicaView& view) {
    const Prefixes prefixes = prefixes_of(replica, ask);
    if (decode_) return decode_plan(view, prefixes);
    Plan plan;
    Seconds least{0};
    Seconds fetch{0};
    for (std::size_t part = 0; part < kParts; ++part) {
      const std::int64_t from = part == 0 ? 0 : prefixes[part - 1];
      if (part > 0 && prefixes[part] == from) continue;
      if (part > 0) fetch += fetch_seconds(replica, part, prefixes[part] - from);
      const Seconds prefill =
          prefill_time_(static_cast<std::int32_t>(replica), ask.input_tokens, prefixes[part]);
      if (part > 0 && options_.fetches == "cheapest" && fetch + prefill >= least) continue;
      least = fetch + prefill;
      plan.cached = prefixes[part];
      plan.prefill = prefill;
    }
    const std::int64_t decodes =
        std::max<std::int64_t>(0, view.in_flight - backlog_.requests(replica));
    const Seconds held_up = options_.decode_weight * static_cast<double>(decodes) * plan.prefill;
    plan.cost.seconds = (backlog_.seconds(replica) + least + held_up).count();
    return plan;
  }

  static Plan decode_plan(const ReplicaView& view, const Prefixes& prefixes) {
    Plan plan;
    plan.cached = prefixes.back();
    plan.cost = {static_cast<double>(view.in_flight), view.in_flight_tokens};
    return plan;
  }

  Prefixes prefixes_of(std::size_t replica, const Ask& ask) const {
    const KvMatch& held = held_[replica];
    Prefixes prefixes{};
    std::int64_t blocks = options_.hbm_aware ? held.through[0] : 0;
    for (std::size_t part = 0; part < kParts; ++part) {
      if (part > 0 && part <= lower_tiers_ && part < kIndexTiers)
        blocks = std::max<std::int64_t>(blocks, held.through[part]);
      if (part == kIndexTiers) blocks = std::max<std::int64_t>(blocks, shared_);
      prefixes[part] = std::min(blocks * facts_[replica].block_tokens, ask.input_tokens);
    }
    return prefixes;
  }

  // The shared store is the lowest tier there is.
  Seconds fetch_seconds(std::size_t replica, std::size_t part, std::int64_t tokens) const {
    if (!fetch_time_) return Seconds(0);
    const std::size_t tier = std::min(part, lower_tiers_);
    return fetch_time_(static_cast<std::int32_t>(replica), tier,
                       facts_[replica].kv_token_bytes * tokens);
  }

  Options options_;
  std::vector<ReplicaFacts> facts_;
  bool decode_;
  std::size_t lower_tiers_;  // that it may know of
  decltype(Context::fetch_time) fetch_time_;
  PrefillTime prefill_time_;
  Rng rng_;
  PrefillBacklog backlog_;
  std::vector<KvMatch> held_;
  std::int32_t shared_ = 0;  // leading blocks in the store that all share
};

const Register<Router, TierAware> kRegistered(
    "tier-aware", "Ours: seconds of queue, fetch by tier or recomputation; least first token.");

}  // namespace
}  // namespace kvsim
