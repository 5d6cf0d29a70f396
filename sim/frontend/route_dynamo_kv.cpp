// NVIDIA Dynamo's KV router (spec/dynamo.md sections 2 to 4): the worker with the lowest cost, by
// what is cached there and by the load that this router has put there itself. The costs of three
// generations and their sources stand in route_dynamo_kv_cost.hpp.
//
// What it knows of caches: KV events (old: of HBM only), or without them the blocks that it has
// routed in the last router_ttl_secs. Temperature 0 takes the lowest cost; ties are drawn, in the
// generation "mid" among the smallest radix trees. Several router replicas each have a load book
// and an index of decisions of their own; KV events reach them all.
//
// Leaves out: output blocks (router_track_output_blocks), prefill load that decays as predicted
// (router_prefill_load_model), taints, policy classes, expiry of requests that never end.
#include <algorithm>
#include <limits>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/route_dynamo_kv_cost.hpp"
#include "sim/frontend/route_dynamo_kv_index.hpp"
#include "sim/frontend/route_dynamo_kv_load.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

class DynamoKv final : public Router {
 public:
  using Options = DynamoKvOptions;
  DynamoKv(const Options& options, const Context& context)
      : options_(options),
        weights_(dynamo_weights(options, context.role)),
        facts_(context.replicas),
        block_tokens_(block_tokens(options, context)),
        rng_(stream(context.seed, "router/dynamo-kv")),
        replica_rng_(stream(context.seed, "router/dynamo-kv/replica")),
        load_(count(context), books(options)) {
    const auto kept = options.use_kv_events ? options.router_predicted_ttl_secs
                                            : std::optional(options.router_ttl_secs);
    for (std::int64_t i = 0; kept && i < options.router_replicas; ++i)
      recent_.emplace_back(count(context), Seconds(*kept));
  }

  bool needs_events() const override { return options_.use_kv_events; }
  HashNeed hashes() const override {
    const std::int64_t own = options_.kv_cache_block_size;
    return {.block_tokens = own > 0 ? own : HashNeed::kEngineBlocks};
  }

  Decision route(const Ask& ask, const ClusterView& view) override {
    const std::size_t router = choose_router();
    const std::size_t book = options_.router_replica_sync ? 0 : router;
    look_up(ask, view, router);
    if (weights_.track_blocks && weights_.reuse_blocks)
      load_.match(book, ask.prompt_hashes, active_);
    charge(ask, view, book);
    if (eligible_.empty()) return {Decision::kRefuse};
    const std::size_t chosen = eligible_[pick(view, router)];
    return note(ask, view, router, book, chosen);
  }
  void first_token(std::int64_t number, Seconds) override { load_.first_token(number); }
  void ended(std::int64_t number, Seconds) override { load_.ended(number); }
  void lost(std::int32_t replica) override {
    for (RecentBlocks& recent : recent_) recent.clear(replica);
  }

 private:
  static std::int32_t count(const Context& context) {
    return static_cast<std::int32_t>(context.replicas.size());
  }
  static std::size_t books(const Options& options) {
    return options.router_replica_sync ? 1 : static_cast<std::size_t>(options.router_replicas);
  }
  static std::int64_t block_tokens(const Options& options, const Context& context) {
    if (options.kv_cache_block_size > 0) return options.kv_cache_block_size;
    return context.replicas.empty() ? 16 : context.replicas.front().block_tokens;
  }

  std::size_t choose_router() {
    if (options_.router_replicas == 1) return 0;
    return replica_rng_.below(static_cast<std::uint64_t>(options_.router_replicas));
  }

  // What is cached of the prompt on each replica, as far as this router knows.
  void look_up(const Ask& ask, const ClusterView& view, std::size_t router) {
    overlaps_.assign(view.replicas.size(), {});
    const auto hashes = ask.prompt_hashes;
    if (options_.use_kv_events && view.cached != nullptr) {
      view.cached->match(hashes, matches_);
      const std::size_t tiers = weights_.credits ? kIndexTiers : 1;
      for (std::size_t i = 0; i < overlaps_.size(); ++i) {
        overlaps_[i].device = matches_[i].in(0);
        overlaps_[i].host = tiers > 1 ? matches_[i].in(1) : 0;
        overlaps_[i].disk = tiers > 2 ? matches_[i].in(2) : 0;
      }
    }
    if (!recent_.empty()) add_recent(hashes, view.now, router);
    if (weights_.credits && weights_.shared > 0 && view.cached != nullptr) {
      const std::int64_t shared = view.cached->match_shared(hashes);
      for (DynamoOverlap& overlap : overlaps_)
        overlap.shared = std::max<std::int64_t>(0, shared - overlap.device);
    }
  }

  // The router's own decisions beside events: the longer prefix counts as in HBM.
  void add_recent(std::span<const BlockHash> hashes, Seconds now, std::size_t router) {
    recent_[router].expire(now);
    recent_[router].match(hashes, lengths_);
    for (std::size_t i = 0; i < overlaps_.size(); ++i) {
      DynamoOverlap& overlap = overlaps_[i];
      const std::int64_t more = std::max<std::int64_t>(0, lengths_[i] - overlap.device);
      const std::int64_t of_host = std::min(overlap.host, more);
      overlap.device += more;
      overlap.host -= of_host;
      overlap.disk -= std::min(overlap.disk, more - of_host);
    }
  }

  [[nodiscard]] bool busy(std::size_t replica, std::size_t book) const {
    const auto prefill = load_.replicas(book)[replica].prefill_tokens;
    const ReplicaFacts& facts = facts_[replica];
    if (options_.active_prefill_tokens_threshold &&
        prefill > *options_.active_prefill_tokens_threshold)
      return true;
    if (options_.active_prefill_tokens_threshold_frac &&
        static_cast<double>(prefill) > *options_.active_prefill_tokens_threshold_frac *
                                           static_cast<double>(facts.max_batched_tokens))
      return true;
    if (!options_.active_decode_blocks_threshold) return false;
    const auto held =
        static_cast<double>(load_.blocks(book, static_cast<std::int32_t>(replica)) * block_tokens_);
    return held > *options_.active_decode_blocks_threshold *
                      static_cast<double>(facts.kv_blocks * facts.block_tokens);
  }

  // The eligible replicas and their costs.
  void charge(const Ask& ask, const ClusterView& view, std::size_t book) {
    eligible_.clear();
    request_ = {ask.input_tokens, block_tokens_, std::numeric_limits<std::int64_t>::max()};
    const auto loads = load_.replicas(book);
    for (std::size_t i = 0; i < view.replicas.size(); ++i) {
      if (!view.replicas[i].ready || busy(i, book)) continue;
      eligible_.push_back(i);
      request_.least_prefill_tokens =
          std::min(request_.least_prefill_tokens, loads[i].prefill_tokens);
    }
    costs_.clear();
    for (const std::size_t i : eligible_) {
      const DynamoWorker worker{overlaps_[i], loads[i].prefill_tokens, blocks_with(ask, book, i),
                                loads[i].requests};
      costs_.push_back(dynamo_cost(weights_, request_, worker));
    }
  }

  // Active blocks of a replica if the request came to it: only full blocks count.
  [[nodiscard]] std::int64_t blocks_with(const Ask& ask, std::size_t book, std::size_t i) const {
    if (!weights_.track_blocks) return 0;
    const std::int64_t active = load_.blocks(book, static_cast<std::int32_t>(i));
    if (!weights_.reuse_blocks) return active + ask.input_tokens / block_tokens_;
    return active + static_cast<std::int64_t>(ask.prompt_hashes.size()) - active_[i];
  }

  // Index into eligible_.
  std::size_t pick(const ClusterView& view, std::size_t router) {
    if (options_.router_temperature > 0)
      return softmax_pick(costs_, options_.router_temperature, rng_.uniform(), probabilities_);
    const bool by_size = options_.generation == "mid";
    std::size_t best = 0;
    std::int64_t best_size = by_size ? tree_size(view, router, eligible_[0]) : 0;
    std::uint64_t equals = 1;
    for (std::size_t i = 1; i < eligible_.size(); ++i) {
      if (costs_[i] > costs_[best]) continue;
      const std::int64_t size = by_size ? tree_size(view, router, eligible_[i]) : 0;
      if (costs_[i] < costs_[best] || size < best_size) {
        equals = 1;
        best = i;
        best_size = size;
      } else if (size == best_size && rng_.below(++equals) == 0) {
        best = i;
      }
    }
    return best;
  }

  [[nodiscard]] std::int64_t tree_size(const ClusterView& view, std::size_t router,
                                       std::size_t replica) const {
    const auto number = static_cast<std::int32_t>(replica);
    if (options_.use_kv_events) return view.cached == nullptr ? 0 : view.cached->size(number);
    return recent_[router].size(number);
  }

  Decision note(const Ask& ask, const ClusterView& view, std::size_t router, std::size_t book,
                std::size_t chosen) {
    const auto replica = static_cast<std::int32_t>(chosen);
    const std::int64_t cached = dynamo_cached_tokens(weights_, request_, overlaps_[chosen]);
    DynamoLoad::Request request{.book = book, .replica = replica};
    if (weights_.track_prefill) request.prefill_tokens = ask.input_tokens - cached;
    if (weights_.track_blocks && weights_.reuse_blocks) request.hashes = ask.prompt_hashes;
    if (weights_.track_blocks && !weights_.reuse_blocks)
      request.unshared_blocks = ask.input_tokens / block_tokens_;
    load_.add(ask.number, request);
    if (!recent_.empty()) recent_[router].insert(replica, ask.prompt_hashes, view.now);
    return {.replica = replica, .hit_tokens = cached};
  }

  Options options_;
  DynamoWeights weights_;
  std::vector<ReplicaFacts> facts_;
  std::int64_t block_tokens_;
  Rng rng_;
  Rng replica_rng_;
  DynamoLoad load_;
  std::vector<RecentBlocks> recent_;  // of each router replica; none with events alone
  // Of the request being routed.
  DynamoRequest request_;
  std::vector<KvMatch> matches_;
  std::vector<DynamoOverlap> overlaps_;
  std::vector<std::int32_t> lengths_;
  std::vector<std::int32_t> active_;
  std::vector<std::size_t> eligible_;
  std::vector<double> costs_;
  std::vector<double> probabilities_;
};

const Register<Router, DynamoKv> kRegistered("dynamo-kv",
                                             "Dynamo's KV router: cached blocks against load.");

}  // namespace
}  // namespace kvsim
