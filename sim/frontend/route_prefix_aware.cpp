// llm-d's default profile in short (spec/llm_d.md section 2): queue, KV usage and approximate
// prefix match, by the engine's blocks and without a trailing partial one. The same as "llm-d" with
// these three scorers.
#include "sim/base/registry.hpp"
#include "sim/frontend/route_llm_d.hpp"

namespace kvsim {
namespace {

class PrefixAware final : public LlmDRouter {
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
      : LlmDRouter(picker_options(options, context), context, "router/prefix-aware") {}

 private:
  static LlmDOptions picker_options(const Options& options, const Context& context) {
    LlmDOptions out;
    LlmDOptions::Profile profile{.name = "default"};
    const auto add = [&](const char* type, double weight, Json parameters) {
      if (weight <= 0) return;
      out.plugins.push_back({.type = type, .parameters = std::move(parameters)});
      profile.plugins.push_back({type, weight});
    };
    Json prefix = {{"max_prefix_blocks", options.most_blocks}, {"partial_block", false}};
    if (options.blocks_per_replica > 0) {
      prefix["auto_tune"] = false;
      prefix["block_tokens"] = context.replicas.front().block_tokens;
      prefix["lru_blocks_per_replica"] = options.blocks_per_replica;
    }
    add("queue-scorer", options.queue_weight, Json::object());
    add("kv-cache-utilization-scorer", options.kv_usage_weight, Json::object());
    add("prefix-cache-scorer", options.prefix_weight, prefix);
    add("max-score-picker", 1, Json::object());
    out.profiles.push_back(std::move(profile));
    return out;
  }
};

const Register<Router, PrefixAware> kRegistered(
    "prefix-aware", "llm-d's default scorers: queue, KV usage, prefix.");

}  // namespace
}  // namespace kvsim
