#include "sim/perf/step_context.hpp"

#include "sim/perf/engine_defaults.hpp"

namespace kvsim {

std::unique_ptr<StepTime> make_step_time(const std::string& name,
                                         const StepTime::Context& context) {
  const Json plugin = name;
  return Registry<StepTime>::instance().make(ConfigNode(plugin, "step time"), context);
}

StepTime::Context step_context(const std::string& llm, const std::string& gpu,
                               std::int64_t tensor_parallel, const std::string& version) {
  StepTime::Context context;
  context.llm = load_llm(llm);
  context.gpu = load_gpu(gpu);
  context.tensor_parallel = tensor_parallel;
  context.overheads = load_engine("vllm").overheads(version);
  context.graph_sizes =
      graph_sizes(version, engine_defaults(version, context.gpu).graph_tokens_max);
  return context;
}

Seconds step_cpu(const StepTime::Context& context, const StepShape& shape) {
  const EngineOverheads& o = context.overheads;
  const double sequences = shape.prefill_sequences + shape.decode_sequences;
  return o.cpu_step + o.cpu_layer * static_cast<double>(context.llm.layers) +
         o.cpu_sequence * sequences;
}

}  // namespace kvsim
