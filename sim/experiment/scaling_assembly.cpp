#include "sim/experiment/scaling_assembly.hpp"

#include "sim/engine/chunk_shape.hpp"

namespace kvsim {

namespace {

Autoscaler::Context::Profile profile_of(const PoolPlan& pool) {
  const std::shared_ptr<StepTime> times = pool_step_time(pool);
  Autoscaler::Context::Profile out;
  out.prefill = [times](std::int64_t tokens) {
    StepShape shape;
    count_chunk(shape, 0, std::max<std::int64_t>(1, tokens), times->window());
    shape.sampled = 1;
    return times->gpu(shape) + times->cpu(shape);
  };
  out.decode = [times](std::int64_t sequences, std::int64_t context) {
    StepShape shape;
    shape.decode_sequences = static_cast<std::int32_t>(sequences);
    shape.decode_context = context;
    shape.decode_window_context = context;
    shape.sampled = shape.decode_sequences;
    return std::max(times->gpu(shape), times->cpu(shape));
  };
  return out;
}

}  // namespace

ScalingPlan plan_scaling(std::span<const PoolPlan> pools, const Frontend& frontend) {
  ScalingPlan out;
  for (std::size_t i = 0; i < pools.size(); ++i) {
    const PoolPlan& plan = pools[i];
    Scaling::Pool& pool = out.pools.emplace_back();
    pool.facts.name = plan.config.name;
    pool.facts.role = plan.role();
    pool.facts.gpus_per_replica = plan.gpus_per_replica();
    pool.facts.least = plan.config.min_replicas.value_or(1);
    pool.facts.most = plan.most_replicas();
    pool.facts.max_batched_tokens = plan.engine.limits.max_batched_tokens;
    pool.facts.max_num_seqs = plan.engine.limits.max_sequences;
    pool.facts.max_model_len = plan.engine.limits.max_model_len;
    pool.facts.kv_tokens = (plan.engine.kv_blocks - 1) * plan.engine.limits.block_tokens;
    pool.replicas = plan.config.replicas;
    pool.warm = plan.config.startup.warm;
    pool.startup = plan.config.startup.pod;
    const Bytes weights =
        plan.rank_llm().weight_bytes(plan.config.tensor_parallel, plan.context.weight_dtype);
    if (plan.config.startup.load > Bandwidth(0)) pool.startup += weights / plan.config.startup.load;
    for (const auto& replica : frontend.replicas())
      if (static_cast<std::size_t>(replica->pool) == i) pool.members.push_back(replica.get());
    out.context.profiles.push_back(profile_of(plan));
  }
  return out;
}

}  // namespace kvsim
