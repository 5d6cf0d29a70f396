// TensorRT-LLM's host offload (spec/sglang_trtllm.md section 5): a block that the GPU evicts is
// copied to host memory if its priority is high enough, stays reusable there, and is copied back
// before it is used. The host evicts blocks of lower priority first, then the least recently used
// one; the end of a chain before its beginning, because a use counts for the end first.
//
// Priorities are those of a retention configuration: one for prompts, one for generated tokens.
// Left out: priorities by token range and with a duration, partial reuse, the disk cache, priority
// in HBM's own order of eviction (the engine's).
#include <map>

#include "sim/base/registry.hpp"
#include "sim/kv/conn_host_tier.hpp"

namespace kvsim {
namespace {

// Least recently used within the lowest priority.
class PrioritisedLru final : public Eviction {
 public:
  PrioritisedLru(HashMap<std::int64_t>& priorities, std::int64_t standard)
      : priorities_(priorities), standard_(standard) {}
  void inserted(BlockHash) override {}
  void touched(BlockHash key) override {
    for (auto& [priority, idle] : idle_)
      if (idle.move_to_back(key)) return;
  }
  void pinned(BlockHash key) override {
    for (auto& [priority, idle] : idle_)
      if (idle.erase(key)) return;
  }
  void unpinned(BlockHash key) override { idle_[priority_of(key)].push_back(key); }
  void removed(BlockHash) override {}
  std::optional<BlockHash> evict() override {
    for (auto& [priority, idle] : idle_) {
      if (idle.empty()) continue;
      const BlockHash victim = idle.pop_front();
      priorities_.erase(victim);
      return victim;
    }
    return std::nullopt;
  }

 private:
  std::int64_t priority_of(BlockHash key) const {
    const std::int64_t* found = priorities_.find(key);
    return found != nullptr ? *found : standard_;
  }
  HashMap<std::int64_t>& priorities_;  // of those in the cache at least
  std::int64_t standard_;
  std::map<std::int64_t, KeyList> idle_;  // by priority: unpinned entries, least recent first
};

struct TrtllmHostOptions {
  Bytes host_cache{0};
  std::int64_t least_priority = 35;
  std::int64_t prompt_priority = 35;
  std::int64_t decode_priority = 35;
  template <class F>
  void fields(F& f) {
    f.required("host_cache_bytes", host_cache, Range{0, 1e15},
               "Host memory for blocks, over all ranks of a replica.");
    f.optional("offload_min_priority", least_priority, Range{0, 100},
               "Blocks of a lower priority are not offloaded.");
    f.optional("prompt_priority", prompt_priority, Range{0, 100}, "Of prompts' blocks.");
    f.optional("decode_priority", decode_priority, Range{0, 100}, "Of generated tokens' blocks.");
  }
};

// Outlives the base that evicts by it.
struct BlockPriorities {
  HashMap<std::int64_t> of;  // of blocks whose priority is not a prompt's
};

class TrtllmHost final : private BlockPriorities, public HostTierConnector {
 public:
  using Options = TrtllmHostOptions;

  TrtllmHost(const Options& options, const Context& context)
      : HostTierConnector(context, {.write_back = true},
                          options.host_cache / (context.block_bytes * context.ranks),
                          std::make_unique<PrioritisedLru>(of, options.prompt_priority)),
        options_(options) {}

  void completed(KvSequence& sequence, std::int64_t full_blocks, std::int64_t) override {
    // A block that holds any token of the prompt is the prompt's.
    const std::int64_t prompts = groups_of(sequence.prompt_tokens, context().block_tokens);
    for (std::int64_t& i = sequence.stored_blocks; i < full_blocks; ++i) {
      const BlockHash block = sequence.hashes[static_cast<std::size_t>(i)];
      if (i < prompts || options_.decode_priority == options_.prompt_priority) {
        of.erase(block);
      } else if (!cache().contains(block)) {
        of[block] = options_.decode_priority;
      }
    }
  }

 private:
  bool keeps(BlockHash block) override {
    const std::int64_t* found = of.find(block);
    return (found != nullptr ? *found : options_.prompt_priority) >= options_.least_priority;
  }

  Options options_;
};

const Register<Connector, TrtllmHost> kRegistered(
    "trtllm-host", "TensorRT-LLM's host offload: blocks that HBM evicts.");

}  // namespace
}  // namespace kvsim
