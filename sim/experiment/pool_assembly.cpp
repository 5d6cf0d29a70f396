#include "sim/experiment/pool_assembly.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/engine/chunk_shape.hpp"

namespace kvsim {

namespace {

const NodeConfig& node_of(const ConfigNode& node, const PoolConfig& config,
                          const std::vector<NodeConfig>& nodes) {
  if (config.node.empty()) return nodes.front();
  std::vector<std::string> names;
  for (const NodeConfig& candidate : nodes) {
    if (candidate.name == config.node) return candidate;
    names.push_back(candidate.name);
  }
  node.at("node").fail(node.at("node").found(), "one of " + join_names(names));
}

MemoryOptions memory_options(const PoolConfig& config) {
  const EngineConfig& engine = config.engine;
  MemoryOptions out;
  out.tensor_parallel = config.tensor_parallel;
  out.version = engine.version;
  out.weight_dtype = engine.weight_dtype;
  out.kv_dtype = engine.kv_cache_dtype;
  out.gpu_memory_utilization = engine.gpu_memory_utilization;
  out.max_num_batched_tokens = engine.max_num_batched_tokens;
  out.max_num_seqs = engine.max_num_seqs;
  out.max_model_len = engine.max_model_len;
  out.block_size = *engine.block_size;
  return out;
}

// Writes the defaults into the configuration, so that the resolved experiment states them.
void fill_defaults(EngineConfig& engine, const EngineDefaults& defaults,
                   const EngineOverheads& overheads) {
  const auto fill = [](auto& field, auto value) {
    if (!field) field = value;
  };
  fill(engine.max_num_batched_tokens, defaults.max_num_batched_tokens);
  fill(engine.max_num_seqs, defaults.max_num_seqs);
  fill(engine.gpu_memory_utilization, defaults.gpu_memory_utilization);
  fill(engine.block_size, defaults.block_size);
  fill(engine.async_scheduling, overheads.async_scheduling);
  fill(engine.reserve_full_isl, defaults.admit_whole_prompt);
  fill(engine.api_servers, std::int64_t{1});
}

EngineLimits limits_of(const EngineConfig& engine) {
  EngineLimits out;
  out.block_tokens = *engine.block_size;
  out.max_batched_tokens = *engine.max_num_batched_tokens;
  out.max_sequences = *engine.max_num_seqs;
  out.long_prefill_threshold = engine.long_prefill_token_threshold;
  out.max_model_len = *engine.max_model_len;
  out.chunked_prefill = engine.enable_chunked_prefill;
  out.prefix_caching = engine.enable_prefix_caching;
  out.reserve_whole_prompt = *engine.reserve_full_isl;
  out.watermark = engine.watermark;
  out.wasted_last_step = *engine.async_scheduling && engine.answers_end_by == "stop";
  out.by_priority = engine.scheduling_policy == "priority";
  return out;
}

template <class Profile>
void note_assumed(const Profile& provenance, const std::string& name,
                  std::vector<std::string>& assumed) {
  if (provenance.kind != "assumed") return;
  if (std::find(assumed.begin(), assumed.end(), name) == assumed.end()) assumed.push_back(name);
}

}  // namespace

PoolPlan plan_pool(const ConfigNode& node, const PoolConfig& config,
                   const std::vector<NodeConfig>& nodes) {
  PoolPlan plan;
  plan.config = config;
  plan.node = node_of(node, config, nodes);
  EngineConfig& engine = plan.config.engine;
  if (engine.version.empty()) engine.version = kDefaultEngineVersion;
  plan.context = step_context(config.llm, config.gpu, config.tensor_parallel, engine.version);
  plan.context.weight_dtype = engine.weight_dtype;
  plan.context.kv_dtype = engine.kv_cache_dtype;
  plan.defaults = engine_defaults(engine.version, plan.context.gpu);
  fill_defaults(engine, plan.defaults, plan.context.overheads);
  plan.context.graph_sizes = graph_sizes(
      engine.version, graph_tokens_max(engine.version, plan.context.gpu, *engine.max_num_seqs));
  if (config.tensor_parallel > plan.node.gpus)
    node.fail(std::to_string(config.tensor_parallel) + " GPUs a replica",
              "at most the " + std::to_string(plan.node.gpus) + " of a node");

  if (!engine.num_gpu_blocks_override) {
    plan.budget = memory_budget(plan.context.llm, plan.context.gpu, memory_options(plan.config));
    if (!engine.max_model_len) engine.max_model_len = plan.budget.max_model_len;
    plan.engine.kv_blocks = plan.budget.kv_tokens().count() / *engine.block_size + 1;
  } else {
    if (!engine.max_model_len) engine.max_model_len = plan.context.llm.max_model_len;
    plan.engine.kv_blocks = *engine.num_gpu_blocks_override;
  }
  plan.engine.limits = limits_of(engine);
  plan.engine.async_scheduling = *engine.async_scheduling;
  plan.engine.coalesce = engine.coalesce_steps;
  plan.engine.unhashed_to_front = plan.defaults.unhashed_blocks_first;
  plan.engine.scheduler = engine.scheduler;
  if (engine.request_overhead) {
    const RequestOverhead& cost = plan.context.overheads.request;
    plan.api = {cost.cpu_per_request, cost.cpu_per_input_token, cost.cpu_per_output_token,
                cost.latency, static_cast<std::int32_t>(*engine.api_servers)};
  }
  for (const Provenance& provenance : plan.context.gpu.provenances())
    note_assumed(provenance, "gpu/" + plan.context.gpu.name, plan.assumed);
  note_assumed(plan.context.llm.provenance, "llm/" + plan.context.llm.name, plan.assumed);
  note_assumed(plan.context.overheads.provenance, "engine/vllm", plan.assumed);
  return plan;
}

std::int64_t replicas_per_node(const PoolPlan& plan) {
  return std::max<std::int64_t>(1, plan.node.gpus / plan.config.tensor_parallel);
}

HostLinks::HostLinks(World& world, const PoolPlan& plan, bool free)
    : ranks_(plan.config.tensor_parallel) {
  HostLink host = plan.context.gpu.host_link;
  if (free)
    for (Bandwidth* rate : {&host.to_host_alone, &host.to_host_both, &host.to_gpu_alone,
                            &host.to_gpu_both, &host.switch_limit})
      *rate = *rate * 1e6;
  const auto tp = plan.config.tensor_parallel;
  const Bandwidth shared = plan.node.switch_bandwidth.value_or(host.switch_limit);
  const std::int64_t configured = plan.node.gpus_per_switch.value_or(host.switch_gpus);
  const std::int64_t gpus_per_switch = std::max(configured, tp);
  // All ranks of a replica copy equal parts at once: one rank's copy stands for all, on a switch
  // that is narrower by the number of ranks below it.
  const auto ranks = configured > 0 ? std::min(tp, configured) : tp;
  const Bandwidth for_one_rank = shared / static_cast<double>(ranks);
  std::vector<World::LinkId> switch_up;
  std::vector<World::LinkId> switch_down;
  for (std::int64_t replica = 0; replica < plan.config.replicas; ++replica) {
    const std::int64_t in_node = replica % replicas_per_node(plan);
    const std::string name = plan.config.name + "-" + std::to_string(replica);
    const bool limited = shared > Bandwidth(0) && gpus_per_switch > 0;
    if (limited && (in_node * tp) % gpus_per_switch < tp) {
      switch_up.push_back(world.add_link(name + ".switch.up", for_one_rank));
      switch_down.push_back(world.add_link(name + ".switch.down", for_one_rank));
    }
    links_.push_back(std::make_unique<DuplexLink>(
        world, name + ".pcie", DuplexLink::Rates{host.to_host_alone, host.to_host_both},
        DuplexLink::Rates{host.to_gpu_alone, host.to_gpu_both}));
    DuplexLink& link = *links_.back();
    std::vector<World::LinkId> up = {link.link(DuplexLink::kUp)};
    std::vector<World::LinkId> down = {link.link(DuplexLink::kDown)};
    if (limited) {
      up.push_back(switch_up.back());
      down.push_back(switch_down.back());
    }
    lanes_.push_back(
        std::make_unique<Lane>(world, name + ".d2h", "pcie", up, &link, DuplexLink::kUp));
    lanes_.push_back(
        std::make_unique<Lane>(world, name + ".h2d", "pcie", down, &link, DuplexLink::kDown));
  }
}

void HostLinks::set_live(LiveLanes& lanes) {
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const char* name = i % 2 == 0 ? "to-host" : "to-gpu";
    lanes_[i]->set_live([&lanes, name](Bytes bytes, Seconds took) {
      return lanes.happened({LiveLane::kCudaCopy, name, bytes, 1, took});
    });
  }
}

std::vector<ResourceUse> HostLinks::resources() const {
  std::vector<ResourceUse> out;
  for (const auto& lane : lanes_) {
    out.push_back(lane->use());
    out.back().bytes = out.back().bytes * ranks_;  // one lane stands for all
  }
  return out;
}

namespace {

// A long prompt alone on the engine: what recomputing costs, for decisions.
std::int64_t recompute_rate(const StepTime& step_time, std::int64_t tokens) {
  StepShape shape;
  count_chunk(shape, 0, tokens, step_time.window());
  shape.sampled = 1;
  const Seconds time = step_time.gpu(shape);
  return static_cast<std::int64_t>(static_cast<double>(tokens) / time.count());
}

std::function<Bandwidth(Bytes)> small_transfer_limit(const HostLink& host) {
  return [host](Bytes descriptor) {
    Bandwidth limit{0};
    for (const DescriptorRate& step : host.small_transfers)
      if (descriptor >= step.size) limit = step.rate;
    return limit;
  };
}

Connector::Context connector_context(const PoolPlan& plan, std::size_t replica, Engine& engine,
                                     const StepTime& step_time, HostLinks& links,
                                     Machines& machines) {
  const LlmProfile& llm = plan.context.llm;
  const std::string kv_dtype = plan.context.kv_dtype.empty() ? llm.kv_dtype : plan.context.kv_dtype;
  const auto tp = plan.config.tensor_parallel;
  const HostLink& host = plan.context.gpu.host_link;
  const auto on = replica / static_cast<std::size_t>(replicas_per_node(plan));
  return {
      .tasks = machines.tasks(),
      .host = machines.host(on),
      .stores = machines.access(on),
      .name = plan.config.name + "-" + std::to_string(replica),
      .model = llm.name + "/" + kv_dtype,
      .kv_dtype = kv_dtype,
      .pool = engine.pool(),
      .block_tokens = plan.engine.limits.block_tokens,
      .block_bytes =
          llm.kv_bytes_per_token_per_rank(kv_dtype, tp) * plan.engine.limits.block_tokens,
      .ranks = static_cast<std::int32_t>(tp),
      .layers = static_cast<std::int32_t>(llm.layers),
      .one_rank_holds_all = llm.latent.has_value(),
      .recompute_tokens_per_s = recompute_rate(step_time, plan.engine.limits.max_batched_tokens),
      .prompt_only = plan.defaults.offload_prompt_only,
      .deferred_stores = plan.defaults.offload_prompt_only,
      .to_host = links.to_host(replica),
      .to_device = links.to_device(replica),
      .to_device_rate = host.to_gpu_alone,
      .descriptor = host.descriptor,
      .rate_limit = small_transfer_limit(host),
      .loaded = [&engine](KvSequence& sequence,
                          std::int64_t tokens) { engine.on_loaded(sequence, tokens); },
      .missed = [&engine](KvSequence& sequence,
                          std::int64_t tokens) { engine.on_missed(sequence, tokens); },
      .changed = [&engine] { engine.on_changed(); },
  };
}

}  // namespace

std::unique_ptr<Engine> make_engine(World& world, const ConfigNode& node, const PoolPlan& plan,
                                    std::size_t replica, HostLinks* links, Machines* machines,
                                    EngineListener& listener) {
  const Json& kind = plan.config.engine.step_time;
  std::unique_ptr<StepTime> step_time = Registry<StepTime>::instance().make(
      ConfigNode(kind, node.file(), node.path() + "/engine/step_time"), plan.context);
  const StepTime& times = *step_time;
  Engine::Options options = plan.engine;
  options.replica = static_cast<std::int32_t>(replica);
  auto engine = std::make_unique<Engine>(world, options, std::move(step_time), listener);
  if (!plan.config.connector) return engine;
  const Connector::Context context =
      connector_context(plan, replica, *engine, times, *links, *machines);
  engine->set_connector(Registry<Connector>::instance().make(
      ConfigNode(*plan.config.connector, node.file(), node.path() + "/connector"), context));
  context.host.dram().hold(context.name, engine->connector()->dram());
  return engine;
}

}  // namespace kvsim
