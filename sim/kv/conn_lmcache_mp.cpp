// LMCache in multiprocess mode, vLLM's side (spec/lmcache.md section 8; LMCacheMPConnector): every
// request is looked up once, loads take their own time, full blocks are stored when their step has
// ended, preempted requests do not load. The server, one a node: conn_lmcache_mp_server.hpp.
//
// Fetches from L2 are part of a request's lookup, so their time is "lookup" in its record. A
// request's blocks are kept until its stores are done; a request that leaves without loading gives
// its locks back at once (the server hears of its end).
#include "sim/base/registry.hpp"
#include "sim/kv/conn_lmcache_mp_server.hpp"

namespace kvsim {
namespace {

class LmcacheMp final : public ChunkedConnector {
 public:
  using Options = LmcacheMpOptions;

  LmcacheMp(const Options& options, const Context& context)
      : ChunkedConnector(context, options.chunk_tokens, protocol(options)), l1_(options.l1) {
    server_ = &context.host.services().shared<LmcacheMpServer>("lmcache", [&] {
      first_ = true;
      return std::make_unique<LmcacheMpServer>(context, options);
    });
  }

  // Of the node's server, told once.
  std::vector<TierUse> tiers() const override {
    std::vector<TierUse> out = server_->tiers();
    if (!first_)
      for (TierUse& use : out) use = {.name = use.name};
    return out;
  }
  Bytes dram() const override { return first_ ? l1_ : Bytes(0); }
  std::vector<ResourceUse> resources() const override {
    return first_ ? server_->resources() : std::vector<ResourceUse>{};
  }
  // Of the node's server, whose content outlives a crash of this replica.
  void add_listener(std::size_t tier, BlockListener* listener) override {
    if (tier == 0) server_->tell(listener);
  }
  std::int64_t told_blocks(std::size_t tier) const override {
    return tier == 0 ? keys().tokens() / context().block_tokens : 0;
  }
  const void* holder(std::size_t) const override { return server_; }

 private:
  static Protocol protocol(const Options& options) {
    return {.off = options.l1 == Bytes(0),
            .in_step = false,
            .store_generated = options.save_decode,
            .load_preempted = false};
  }

  Task find(std::shared_ptr<ChunkLookup> lookup) override { return server_->lookup(lookup); }
  Task bring(std::shared_ptr<ChunkLookup> lookup, std::int64_t first, std::int64_t end,
             Brought& brought) override {
    const Seconds began = tasks().now();
    co_await server_->retrieve(context(), lookup, first, end, brought.ready);
    brought.times[Stage::kCopy] += tasks().now() - began;
  }
  void let_go(ChunkLookup& lookup) override { server_->unlock(lookup); }
  Task save(std::vector<ChunkPart> chunks) override {
    return server_->store(context(), std::move(chunks));
  }

  Bytes l1_;
  LmcacheMpServer* server_ = nullptr;
  bool first_ = false;  // of the node: speaks for the server
};

const Register<Connector, LmcacheMp> kRegistered(
    "lmcache-mp", "LMCache's server, one a node, shared by all replicas on it.");

}  // namespace
}  // namespace kvsim
