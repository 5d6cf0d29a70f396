// The cache-aware policy of SGLang's model gateway (spec/sglang_trtllm.md section 4): an
// approximate tree of the texts that it sent to each worker, and the load by its own count.
//
//   imbalanced   max - min > balance_abs_threshold and max > balance_rel_threshold * min, of the
//                requests in flight: the worker with the fewest
//   otherwise    matched / input > cache_threshold: the worker with the longest match;
//                else the worker with the fewest requests in flight
//
// The chosen worker gets the text into its tree in every case. Every eviction_interval_s a worker's
// tree above max_tree_size loses its least recently used leaves.
//
// Differs from the real one: text is compared in pages of page_tokens and their rest, not by
// character, so a match may be shorter by less than a page; a worker's tree is counted in pages
// times characters_per_token; a look-up does not make what it finds younger unless the text goes
// there; equal workers are drawn at random, among the imbalanced and the matched too.
#include <algorithm>
#include <limits>
#include <optional>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/router.hpp"
#include "sim/kv/prefix_index.hpp"

namespace kvsim {
namespace {

// What the two ways to start the gateway leave set.
struct SglangDefaults {
  double cache_threshold;
  std::int64_t balance_abs;
  double balance_rel;
  Seconds eviction_interval;
  std::int64_t max_tree_size;
};
constexpr SglangDefaults kPython{0.3, 64, 1.5, Seconds(120), std::int64_t{1} << 26};
constexpr SglangDefaults kRust{0.5, 32, 1.1, Seconds(30), 10'000};

class SglangCacheAware final : public Router {
 public:
  struct Options {
    std::string launcher = "python";
    std::optional<double> cache_threshold;
    std::optional<std::int64_t> balance_abs;
    std::optional<double> balance_rel;
    std::optional<Seconds> eviction_interval;
    std::optional<std::int64_t> max_tree_size;
    std::int64_t page_tokens = 16;
    double characters_per_token = 4;
    template <class F>
    void fields(F& f) {
      f.choice("launcher", launcher, {"python", "rust"},
               "Whose defaults hold: 0.3, 64, 1.5, 120 s and 2^26 characters, or 0.5, 32, 1.1, 30 "
               "s and 10,000.");
      f.optional("cache_threshold", cache_threshold, Range{0, 1},
                 "Matched share of the input above which its holder gets it.");
      f.optional("balance_abs_threshold", balance_abs, Range{0, 1e9},
                 "Requests in flight between most and least.");
      f.optional("balance_rel_threshold", balance_rel, Range{0, 1e9}, "Most over least.");
      f.optional("eviction_interval_s", eviction_interval, Range{0, 1e9},
                 "Between two looks at the size of the trees; 0 = never.");
      f.optional("max_tree_size", max_tree_size, Range{1, 1e15},
                 "Characters that a worker's tree keeps.");
      f.optional("page_tokens", page_tokens, Range{1, 1e6},
                 "Tokens that are compared at once. The real one compares characters: assumed.");
      f.optional("characters_per_token", characters_per_token, Range{0.1, 100},
                 "For max_tree_size. Default: assumed.");
    }
  };

  SglangCacheAware(const Options& options, const Context& context)
      : page_tokens_(options.page_tokens),
        rng_(stream(context.seed, "router/sglang-cache-aware")),
        index_({.replicas = static_cast<std::int32_t>(context.replicas.size()),
                .capacity = std::numeric_limits<std::int32_t>::max()}) {
    const SglangDefaults& defaults = options.launcher == "rust" ? kRust : kPython;
    cache_threshold_ = options.cache_threshold.value_or(defaults.cache_threshold);
    balance_abs_ = options.balance_abs.value_or(defaults.balance_abs);
    balance_rel_ = options.balance_rel.value_or(defaults.balance_rel);
    eviction_interval_ = options.eviction_interval.value_or(defaults.eviction_interval);
    const auto characters =
        static_cast<double>(options.max_tree_size.value_or(defaults.max_tree_size));
    const double pages =
        characters / (options.characters_per_token * static_cast<double>(page_tokens_));
    most_pages_ = static_cast<std::int32_t>(
        std::min(pages, double{std::numeric_limits<std::int32_t>::max()}));
    next_eviction_ = eviction_interval_;
  }

  HashNeed hashes() const override { return {.block_tokens = page_tokens_, .partial_tail = true}; }

  Decision route(const Ask& ask, const ClusterView& view) override {
    evict(view.now);
    index_.match(ask.prompt_hashes, matched_);
    const std::int32_t chosen = choose(ask, view);
    // Last page first: the first one is the youngest then, as an inner node outlives its leaves.
    reversed_.assign(ask.prompt_hashes.rbegin(), ask.prompt_hashes.rend());
    index_.insert(chosen, reversed_);
    return {.replica = chosen, .hit_tokens = matched_tokens(static_cast<std::size_t>(chosen), ask)};
  }
  void lost(std::int32_t replica) override { index_.remove_replica(replica); }

 private:
  std::int32_t choose(const Ask& ask, const ClusterView& view) {
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    std::int64_t most = 0;
    std::int64_t longest = 0;
    for (std::size_t i = 0; i < view.replicas.size(); ++i) {
      if (!view.replicas[i].ready) continue;
      least = std::min(least, view.replicas[i].in_flight);
      most = std::max(most, view.replicas[i].in_flight);
      longest = std::max(longest, matched_tokens(i, ask));
    }
    const bool imbalanced = most - least > balance_abs_ &&
                            static_cast<double>(most) > balance_rel_ * static_cast<double>(least);
    const bool holds =
        static_cast<double>(longest) > cache_threshold_ * static_cast<double>(ask.input_tokens);
    if (!imbalanced && holds)
      return any(view, [&](std::size_t i) { return matched_tokens(i, ask) == longest; });
    return any(view, [&](std::size_t i) { return view.replicas[i].in_flight == least; });
  }

  // One of the ready replicas that `fits` accepts.
  template <class Fits>
  std::int32_t any(const ClusterView& view, const Fits& fits) {
    std::int32_t chosen = Decision::kRefuse;
    std::uint64_t equals = 0;
    for (std::size_t i = 0; i < view.replicas.size(); ++i) {
      if (!view.replicas[i].ready || !fits(i)) continue;
      if (rng_.below(++equals) == 0) chosen = static_cast<std::int32_t>(i);
    }
    return chosen;
  }

  // The last hash may stand for less than a page.
  std::int64_t matched_tokens(std::size_t replica, const Ask& ask) const {
    return std::min(matched_[replica] * page_tokens_, ask.input_tokens);
  }

  void evict(Seconds now) {
    if (eviction_interval_ <= Seconds(0) || now < next_eviction_) return;
    while (next_eviction_ <= now) next_eviction_ += eviction_interval_;
    for (std::size_t i = 0; i < matched_.size(); ++i)
      index_.trim(static_cast<std::int32_t>(i), most_pages_);
  }

  std::int64_t page_tokens_;
  double cache_threshold_ = 0;
  std::int64_t balance_abs_ = 0;
  double balance_rel_ = 0;
  Seconds eviction_interval_{0};
  std::int32_t most_pages_ = 0;
  Seconds next_eviction_{0};
  Rng rng_;
  PrefixIndex index_;
  std::vector<std::int32_t> matched_;  // leading pages by replica
  std::vector<BlockHash> reversed_;
};

const Register<Router, SglangCacheAware> kRegistered(
    "sglang-cache-aware", "SGLang's gateway: longest routed prefix, or least loaded.");

}  // namespace
}  // namespace kvsim
