// llm-d's default scheduling profile (spec/llm_d.md sections 2, 4 and 5): the sum of weighted
// scores of queue length (2), KV-cache utilisation (2) and approximate prefix match (3); the
// highest wins, ties at random.
//
//   queue         (longest - waiting) / (longest - shortest) over the replicas; all equal: 1
//   utilisation   1 - kv_usage
//   prefix        matched blocks / blocks of the request, by an index that learns from this
//   router's
//                 own decisions and hears nothing from the engines
//
// Differs from the real one in what a block is: tokens at the engine's block size instead of 4
// characters a token; the trailing partial block is not hashed.
#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/router.hpp"
#include "sim/kv/prefix_index.hpp"

namespace kvsim {
namespace {

class PrefixAware final : public Router {
 public:
  struct Options {
    double queue_weight = 2;
    double kv_usage_weight = 2;
    double prefix_weight = 3;
    std::int64_t most_blocks = 256;
    std::int64_t blocks_per_replica = 0;
    template <class F>
    void fields(F& f) {
      f.optional("queue_weight", queue_weight, Range{0, 1e6}, "Of the queue-scorer.");
      f.optional("kv_usage_weight", kv_usage_weight, Range{0, 1e6},
                 "Of the kv-cache-utilization-scorer.");
      f.optional("prefix_weight", prefix_weight, Range{0, 1e6}, "Of the prefix-cache-scorer.");
      f.optional("max_prefix_blocks", most_blocks, Range{1, 1e6},
                 "Leading blocks of a prompt that are looked at.");
      f.optional("blocks_per_replica", blocks_per_replica, Range{0, 1e8},
                 "Index entries kept per replica; 0 = as many as its KV cache has blocks.");
    }
  };

  PrefixAware(const Options& options, const Context& context)
      : options_(options),
        rng_(stream(context.seed, "router/prefix-aware")),
        index_(index_options(options, context)) {}

  bool needs_gauges() const override {
    return options_.queue_weight > 0 || options_.kv_usage_weight > 0;
  }
  HashNeed hashes() const override {
    if (options_.prefix_weight <= 0) return {};
    return {.block_tokens = HashNeed::kEngineBlocks, .most_blocks = options_.most_blocks};
  }

  Decision route(const Ask& ask, const ClusterView& view) override {
    const auto considered = std::min<std::size_t>(ask.prompt_hashes.size(),
                                                  static_cast<std::size_t>(options_.most_blocks));
    const auto hashes = ask.prompt_hashes.first(considered);
    index_.match(hashes, matched_);
    std::int64_t shortest = view.replicas.front().waiting;
    std::int64_t longest = shortest;
    for (const ReplicaView& replica : view.replicas) {
      shortest = std::min(shortest, replica.waiting);
      longest = std::max(longest, replica.waiting);
    }
    std::int32_t best = 0;
    double best_score = -1;
    std::uint64_t equals = 0;
    for (std::size_t i = 0; i < view.replicas.size(); ++i) {
      const ReplicaView& replica = view.replicas[i];
      const double queue = longest == shortest ? 1.0
                                               : static_cast<double>(longest - replica.waiting) /
                                                     static_cast<double>(longest - shortest);
      const double prefix =
          hashes.empty() ? 0.0
                         : static_cast<double>(matched_[i]) / static_cast<double>(hashes.size());
      const double score = options_.queue_weight * queue +
                           options_.kv_usage_weight * (1.0 - replica.kv_usage) +
                           options_.prefix_weight * prefix;
      if (score > best_score) {
        best_score = score;
        best = static_cast<std::int32_t>(i);
        equals = 1;
      } else if (score == best_score && rng_.below(++equals) == 0) {
        best = static_cast<std::int32_t>(i);
      }
    }
    index_.insert(best, hashes);
    return {best};
  }

 private:
  static PrefixIndex::Options index_options(const Options& options, const Context& context) {
    PrefixIndex::Options out;
    out.replicas = static_cast<std::int32_t>(context.replicas.size());
    out.capacity = static_cast<std::int32_t>(
        options.blocks_per_replica > 0
            ? options.blocks_per_replica
            : std::max_element(context.replicas.begin(), context.replicas.end(),
                               [](const ReplicaFacts& a, const ReplicaFacts& b) {
                                 return a.kv_blocks < b.kv_blocks;
                               })
                  ->kv_blocks);
    return out;
  }

  Options options_;
  Rng rng_;
  PrefixIndex index_;
  std::vector<std::int32_t> matched_;
};

const Register<Router, PrefixAware> kRegistered(
    "prefix-aware", "llm-d's default scorers: queue, KV usage, prefix.");

}  // namespace
}  // namespace kvsim
