#include "sim/experiment/dispatch_assembly.hpp"

#include <fmt/format.h>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/engine/chunk_shape.hpp"
#include "sim/experiment/own_options.hpp"

namespace kvsim {

namespace {

ConfigNode plugin_node(const ConfigNode& node, const Json& plugin, const char* path) {
  return ConfigNode(plugin, node.file(), path);
}

template <class Contract>
Json resolve_plugin(const ConfigNode& node, const Json& plugin, const char* path) {
  const ConfigNode at = plugin_node(node, plugin, path);
  return Registry<Contract>::instance().find(at).resolve(at);
}

// Predictions that operators make beforehand, from the same profiles as the engines'.
struct Predictor {
  std::vector<std::shared_ptr<StepTime>> step_times;  // by pool
  [[nodiscard]] Seconds prefill(std::size_t pool, std::int64_t cached,
                                std::int64_t computed) const {
    if (computed <= 0) return Seconds(0);
    const StepTime& times = *step_times[pool];
    StepShape shape;
    count_chunk(shape, cached, cached + computed, times.window());
    shape.sampled = 1;
    return times.gpu(shape);
  }
};

std::shared_ptr<Predictor> make_predictor(const DispatchPlan& plan) {
  auto out = std::make_shared<Predictor>();
  for (const PoolPlan& pool : plan.pools) out->step_times.push_back(pool_step_time(pool));
  return out;
}

Router::Context router_context(const DispatchPlan& plan, Role role,
                               const std::vector<Replica*>& replicas,
                               const std::shared_ptr<Predictor>& predictor) {
  Router::Context out;
  out.seed = plan.seed;
  out.role = role;
  out.tiers = plan.tiers;
  std::vector<std::size_t> pools;
  std::vector<Bandwidth> rates;
  for (const Replica* replica : replicas) {
    out.replicas.push_back(replica->facts);
    pools.push_back(static_cast<std::size_t>(replica->pool));
    const PoolPlan& pool = plan.pools[pools.back()];
    rates.push_back(pool.context.gpu.host_link.to_gpu_alone *
                    static_cast<double>(pool.config.tensor_parallel));
  }
  out.prefill_time = [predictor, pools](std::int32_t replica, std::int64_t cached,
                                        std::int64_t computed) {
    return predictor->prefill(pools[static_cast<std::size_t>(replica)], cached, computed);
  };
  // Where a connector cannot say, KV is taken to come as fast as DRAM is copied.
  std::vector<const Connector*> connectors;
  for (const Replica* replica : replicas) connectors.push_back(replica->engine->connector());
  out.fetch_time = [rates, connectors](std::int32_t replica, std::size_t tier, Bytes bytes) {
    if (tier == 0) return Seconds(0);
    const auto at = static_cast<std::size_t>(replica);
    const Connector* connector = connectors[at];
    const Seconds estimate =
        connector == nullptr ? Seconds(0) : connector->estimate_fetch(tier - 1, bytes);
    return estimate > Seconds(0) ? estimate : bytes / rates[at];
  };
  return out;
}

class DispatcherBuilder {
 public:
  DispatcherBuilder(World& world, const DispatchPlan& plan, Frontend& frontend, std::size_t llm,
                    std::vector<std::unique_ptr<StoreEvents>>& stores)
      : world_(world), plan_(plan), frontend_(frontend), llm_(llm), stores_(stores) {}

  std::unique_ptr<Dispatcher> build(const std::shared_ptr<Predictor>& predictor) {
    Dispatcher::Options options;
    options.view_refresh = plan_.router.config.view_refresh;
    options.gateway = plan_.router.config.gateway;
    options.name = llm_ == 0 ? "gateway" : fmt::format("gateway-{}", llm_);
    auto out = std::make_unique<Dispatcher>(world_, options);
    const auto prefill = members(Role::kPrefill);
    auto main = members(Role::kAggregated);
    const auto decode = members(Role::kDecode);
    check(main, prefill, decode);
    const Role role = decode.empty() ? Role::kAggregated : Role::kDecode;
    main.insert(main.end(), decode.begin(), decode.end());
    Admission::Context admission;
    admission.seed = plan_.seed;
    for (const Replica* replica : main) admission.replicas.push_back(replica->facts);
    out->set_main(side(role, main, plan_.router.plugin, "/router", predictor));
    if (!prefill.empty()) {
      Decider::Context decider;
      for (const Replica* replica : prefill) decider.prefill.push_back(replica->facts);
      decider.decode = admission.replicas;
      const ConfigNode at =
          plugin_node(plan_.node, plan_.config.disaggregation.decider, "/disaggregation/decider");
      out->set_prefill(
          side(Role::kPrefill, prefill, plan_.router.prefill(), "/router/prefill", predictor),
          Registry<Decider>::instance().make(at, decider));
    }
    const Json& holds = plan_.router.config.admission;
    if (holds != Json("none"))
      out->set_admission(Registry<Admission>::instance().make(
          plugin_node(plan_.node, holds, "/router/admission"), admission));
    return out;
  }

 private:
  std::vector<Replica*> members(Role role) const {
    std::vector<Replica*> out;
    for (const auto& replica : frontend_.replicas())
      if (replica->role == role && replica->llm == static_cast<std::int32_t>(llm_))
        out.push_back(replica.get());
    return out;
  }

  void check(const std::vector<Replica*>& whole, const std::vector<Replica*>& prefill,
             const std::vector<Replica*>& decode) const {
    const ConfigNode pools = plan_.node.at("pools");
    if (prefill.empty() != decode.empty())
      pools.fail(prefill.empty() ? "decode pools without prefill pools"
                                 : "prefill pools without decode pools",
                 "both for an LLM, or neither");
    if (!whole.empty() && !decode.empty())
      pools.fail("aggregated pools beside decode pools of one LLM", "one or the other");
  }

  Dispatcher::Side side(Role role, const std::vector<Replica*>& replicas, const Json& plugin,
                        const char* path, const std::shared_ptr<Predictor>& predictor) {
    Dispatcher::Side out;
    out.replicas = replicas;
    out.router = Registry<Router>::instance().make(
        plugin_node(plan_.node, plugin, path), router_context(plan_, role, replicas, predictor));
    const bool by_blocks = out.router->hashes().block_tokens == HashNeed::kEngineBlocks;
    for (const Replica* replica : replicas)
      if (by_blocks && replica->facts.block_tokens != replicas.front()->facts.block_tokens)
        plan_.node.at("pools").fail("pools of one LLM with different block sizes",
                                    "one block size where the router looks at blocks");
    if (out.router->needs_events()) out.index = listen(replicas, *out.router);
    return out;
  }

  std::unique_ptr<KvIndex> listen(const std::vector<Replica*>& replicas, const Router& router) {
    KvIndex::Options options;
    options.replicas = static_cast<std::int32_t>(replicas.size());
    options.most_replicas = static_cast<std::int32_t>(router.index_most_replicas());
    const Connector* connector = replicas.front()->engine->connector();
    for (std::size_t tier = 1; connector != nullptr && tier < kIndexTiers; ++tier)
      if (tier <= connector->tiers().size())
        options.group_blocks[tier] =
            static_cast<std::int32_t>(std::max<std::int64_t>(1, connector->told_blocks(tier - 1)));
    for (Replica* replica : replicas) tell(*replica);
    if (connector != nullptr && connector->stored_blocks() > 0 && plan_.machines != nullptr) {
      options.group_blocks[StoreEvents::kTier] =
          static_cast<std::int32_t>(connector->stored_blocks());
      stores_.push_back(std::make_unique<StoreEvents>(*plan_.machines, replicas));
    }
    return std::make_unique<KvIndex>(options);
  }

  void tell(Replica& replica) {
    replica.events =
        std::make_unique<KvEventLog>(plan_.router.config.events, plan_.seed, replica.index);
    replica.engine->set_events(replica.events.get());
  }

  World& world_;
  const DispatchPlan& plan_;
  Frontend& frontend_;
  std::size_t llm_;
  std::vector<std::unique_ptr<StoreEvents>>& stores_;
};

}  // namespace

RouterPlan read_router(const ConfigNode& node, const Json& router) {
  RouterPlan out;
  const ConfigNode at(router, node.file(), "/router");
  out.plugin = split_options(at, out.config);
  // A shorter period costs more events than all requests together.
  constexpr Seconds kShortest{1e-3};
  const Seconds refresh = out.config.view_refresh;
  if (refresh > Seconds(0) && refresh < kShortest)
    at.at("view_refresh_s")
        .fail(at.at("view_refresh_s").found(), "0 (always fresh), or at least 0.001");
  return out;
}

void fill_disaggregation(DisaggregationConfig& disaggregation, const RouterPlan& plan) {
  std::string& prompt = disaggregation.options.prompt_to_decode;
  if (prompt != "auto") return;
  // What is no name of a router is complained of where the router is made.
  const Json& plugin = plan.plugin;
  const Json& kind = plugin.is_object() && plugin.contains("kind") ? plugin.at("kind") : plugin;
  const bool dynamo = kind.is_string() && kind.get<std::string>().starts_with("dynamo");
  prompt = dynamo ? "token-ids" : "text";
}

Json resolve_router(const ConfigNode& node, const RouterPlan& plan) {
  Json out = resolve_plugin<Router>(node, plan.plugin, "/router");
  out.update(echo_config(plan.config));
  out["admission"] = resolve_plugin<Admission>(node, plan.config.admission, "/router/admission");
  if (plan.config.prefill)
    out["prefill"] = resolve_plugin<Router>(node, *plan.config.prefill, "/router/prefill");
  return out;
}

std::vector<std::unique_ptr<StoreEvents>> add_dispatchers(World& world, const DispatchPlan& plan,
                                                          Frontend& frontend) {
  std::int32_t llms = 0;
  for (const auto& replica : frontend.replicas()) llms = std::max(llms, replica->llm + 1);
  const std::shared_ptr<Predictor> predictor = make_predictor(plan);
  std::vector<std::unique_ptr<StoreEvents>> stores;
  for (std::int32_t llm = 0; llm < llms; ++llm)
    frontend.add_dispatcher(
        DispatcherBuilder(world, plan, frontend, static_cast<std::size_t>(llm), stores)
            .build(predictor));
  return stores;
}

}  // namespace kvsim
