// One router among replicas whose state a test writes down by hand: 16-token blocks, 1,000 bytes
// of KV a token, 1,000 tokens of prefill a second, so that a token computed is a millisecond.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {

class RouterBench {
 public:
  explicit RouterBench(std::size_t replicas)
      : views(replicas), index({.replicas = static_cast<std::int32_t>(replicas)}) {
    context.replicas.assign(
        replicas, {.kv_blocks = 1000, .kv_token_bytes = Bytes(1000), .prefill_tokens_per_s = 1000});
  }

  void make(const Json& options) {
    router = Registry<Router>::instance().make(ConfigNode(options, "test"), context);
  }
  // The chain hash of block `i` of the text called `text`.
  static BlockHash hash(std::uint64_t text, std::size_t i) {
    return mix64(1 + (text << 32) + static_cast<std::uint64_t>(i));
  }
  // The replica (-1: the shared store) holds blocks [from, to) of a text in a tier.
  void hold(std::int32_t replica, std::size_t tier, std::size_t from, std::size_t to,
            std::uint64_t text = 0) {
    for (std::size_t i = from; i < to; ++i) index.add(replica, tier, hash(text, i));
  }
  // The next request, number 1, 2, ...: of a text whose first `common` blocks are text 0's. A rest
  // shorter than a block is hashed too.
  Decision route(std::int64_t tokens, std::uint64_t text = 0, std::size_t common = 0) {
    std::vector<BlockHash> hashes;
    for (std::size_t i = 0; i < static_cast<std::size_t>(groups_of(tokens, 16)); ++i)
      hashes.push_back(hash(i < common ? 0 : text, i));
    const Ask ask{.number = ++number, .input_tokens = tokens, .prompt_hashes = hashes};
    return router->route(ask, {.now = now, .replicas = views, .cached = &index});
  }
  // The next request, of a text that nobody has, goes to this replica.
  std::int64_t occupy(std::int32_t replica, std::int64_t tokens) {
    const std::vector<ReplicaView> before = views;
    for (std::size_t i = 0; i < views.size(); ++i)
      views[i].ready = static_cast<std::int32_t>(i) == replica;
    const std::uint64_t kNobodys = 1'000'000 + static_cast<std::uint64_t>(number);
    (void)route(tokens, kNobodys);
    views = before;
    return number;
  }
  // Whom 64 seeds choose for a first request.
  std::set<std::int32_t> choices_of_seeds(const Json& options, std::int64_t tokens) {
    std::set<std::int32_t> chosen;
    for (context.seed = 1; context.seed <= 64; ++context.seed) {
      make(options);
      chosen.insert(route(tokens).replica);
    }
    return chosen;
  }

  Router::Context context;
  std::vector<ReplicaView> views;
  KvIndex index;
  std::unique_ptr<Router> router;
  Seconds now{0};
  std::int64_t number = 0;
};

}  // namespace kvsim
