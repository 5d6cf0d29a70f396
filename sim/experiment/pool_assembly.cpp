#include "sim/experiment/pool_assembly.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/engine/chunk_shape.hpp"
#include "sim/experiment/host_links.hpp"

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
  out.pipeline_parallel = config.pipeline_parallel;
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
  plan.file = node.file();
  plan.path = node.path();
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
  if (plan.gpus_per_replica() > plan.node.gpus)
    node.fail(std::to_string(plan.gpus_per_replica()) + " GPUs a replica",
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

Connector::Context connector_context(const PoolPlan& plan, const ReplicaPlace& place,
                                     Engine& engine, const StepTime& step_time, HostLinks& links,
                                     Machines& machines) {
  const LlmProfile& llm = plan.context.llm;
  const std::string kv_dtype = plan.context.kv_dtype.empty() ? llm.kv_dtype : plan.context.kv_dtype;
  const auto tp = plan.config.tensor_parallel;
  const LlmProfile rank = plan.rank_llm();
  const HostLink& host = plan.context.gpu.host_link;
  return {
      .tasks = machines.tasks(),
      .host = machines.host(place.machine),
      .stores = machines.access(place.machine),
      .name = plan.config.name + "-" + std::to_string(place.in_pool),
      .model = llm.name + "/" + kv_dtype,
      .kv_dtype = kv_dtype,
      .pool = engine.pool(),
      .block_tokens = plan.engine.limits.block_tokens,
      .block_bytes =
          rank.kv_bytes_per_token_per_rank(kv_dtype, tp) * plan.engine.limits.block_tokens,
      .ranks = static_cast<std::int32_t>(plan.gpus_per_replica()),
      .layers = static_cast<std::int32_t>(rank.layers),
      .one_rank_holds_all = llm.latent.has_value(),
      .recompute_tokens_per_s = recompute_rate(step_time, plan.engine.limits.max_batched_tokens),
      .prompt_only = plan.defaults.offload_prompt_only,
      .deferred_stores = plan.defaults.offload_prompt_only,
      .plain_copies = plan.defaults.offload_plain_copies,
      .ready_at_end = plan.defaults.offload_ready_at_end,
      .scans_to_evict = plan.defaults.offload_scans,
      .to_host = links.to_host(place.replica),
      .to_device = links.to_device(place.replica),
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

std::unique_ptr<StepTime> pool_step_time(const PoolPlan& plan) {
  StepTime::Context stage = plan.context;
  stage.llm = plan.rank_llm();
  auto times = Registry<StepTime>::instance().make(
      ConfigNode(plan.config.engine.step_time, plan.file, plan.path + "/engine/step_time"), stage);
  constexpr std::int64_t kActivation = 2;  // bytes of an element
  return with_pipeline(std::move(times),
                       {.stages = plan.config.pipeline_parallel,
                        .token_bytes = Bytes(plan.context.llm.hidden * kActivation),
                        .bandwidth = plan.context.gpu.gpu_link.peak});
}

ReplicaFacts replica_facts(const PoolPlan& plan, const ReplicaPlace& place, const Engine& engine) {
  const LlmProfile& llm = plan.context.llm;
  const std::string kv_dtype = plan.context.kv_dtype.empty() ? llm.kv_dtype : plan.context.kv_dtype;
  const auto tp = plan.config.tensor_parallel;
  ReplicaFacts out;
  out.name = plan.config.name + "-" + std::to_string(place.in_pool);
  out.pool = plan.config.name;
  out.node = static_cast<std::int32_t>(place.machine);
  out.kv_blocks = engine.pool().total();
  out.block_tokens = plan.engine.limits.block_tokens;
  out.max_batched_tokens = plan.engine.limits.max_batched_tokens;
  // MLA: every rank has the same.
  const std::int64_t ranks = llm.latent.has_value() ? 1 : tp;
  out.kv_token_bytes = llm.kv_bytes_per_token_per_rank(kv_dtype, tp) * ranks;
  out.prefill_tokens_per_s = static_cast<double>(
      recompute_rate(*pool_step_time(plan), plan.engine.limits.max_batched_tokens));
  out.weight = plan.config.weight;
  return out;
}

namespace {

// Prefill and decode replicas have their connector wrapped.
std::unique_ptr<Connector> make_connector(const ConfigNode& node, const PoolPlan& plan,
                                          const ReplicaPlace& place,
                                          const Connector::Context& context,
                                          const PoolSurroundings& around) {
  std::unique_ptr<Connector> out;
  if (plan.config.connector)
    out = Registry<Connector>::instance().make(
        ConfigNode(*plan.config.connector, node.file(), node.path() + "/connector"), context);
  if (plan.role() == Role::kAggregated) return out;
  KvTransferHub::Place where;
  where.end.node = around.machines->fabric_node(place.machine);
  where.gpu_link = plan.context.gpu.gpu_link.peak;
  where.prefill = plan.role() == Role::kPrefill;
  where.decode = plan.role() == Role::kDecode;
  return around.transfers->connect(static_cast<std::int32_t>(place.replica), std::move(out),
                                   context, where);
}

}  // namespace

std::unique_ptr<Engine> make_engine(World& world, const ConfigNode& node, const PoolPlan& plan,
                                    const ReplicaPlace& place, const PoolSurroundings& around,
                                    EngineListener& listener) {
  std::unique_ptr<StepTime> step_time = pool_step_time(plan);
  const StepTime& times = *step_time;
  Engine::Options options = plan.engine;
  options.replica = static_cast<std::int32_t>(place.replica);
  auto engine = std::make_unique<Engine>(world, options, std::move(step_time), listener);
  if (!plan.needs_machines()) return engine;
  const Connector::Context context =
      connector_context(plan, place, *engine, times, *around.links, *around.machines);
  engine->set_connector(make_connector(node, plan, place, context, around));
  context.host.dram().hold(context.name, engine->connector()->dram());
  return engine;
}

}  // namespace kvsim
