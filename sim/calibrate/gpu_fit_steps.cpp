#include "sim/calibrate/gpu_fit_steps.hpp"

#include <map>
#include <memory>

#include "sim/base/config_node.hpp"
#include "sim/perf/step_context.hpp"
#include "sim/workload/csv_reader.hpp"

namespace kvsim {

namespace {

StepShape shape_of(const ComposedStep& step) {
  StepShape shape;
  shape.sampled = static_cast<std::int32_t>(step.batch);
  if (step.decode) {
    shape.decode_sequences = shape.sampled;
    shape.decode_context = step.batch * step.tokens;
    return shape;
  }
  const auto tokens = static_cast<double>(step.tokens);
  shape.prefill_sequences = shape.sampled;
  shape.prefill_tokens = step.batch * step.tokens;
  shape.prefill_pairs = static_cast<double>(step.batch) * tokens * tokens / 2;
  return shape;
}

}  // namespace

std::vector<ComposedStep> read_composed_steps(const std::string& path) {
  constexpr double kMillisecond = 1e-3;
  CsvReader csv(ByteStream::open(path));
  const std::size_t gpu = csv.column("gpu"), model = csv.column("model"), tp = csv.column("tp");
  const std::size_t phase = csv.column("phase"), batch = csv.column("batch");
  const std::size_t seq = csv.column("seq"), total = csv.column("kernel_total_ms");
  const std::size_t reduce = csv.column("allreduce_ms");
  std::vector<ComposedStep> steps;
  while (csv.next()) {
    if (csv.text(total).empty()) continue;  // tables that lack an operator of this step
    const bool decode = csv.text(phase) == "decode";
    if (!decode && csv.text(phase) != "prefill") csv.fail(phase, "decode or prefill");
    steps.push_back({std::string(csv.text(gpu)), std::string(csv.text(model)), csv.integer(tp, 1),
                     decode, csv.integer(batch, 1), csv.integer(seq, 1),
                     csv.number(total, 0) * kMillisecond, csv.number(reduce, 0) * kMillisecond});
  }
  return steps;
}

StepErrors step_errors(const GpuProfile& profile, const std::vector<ComposedStep>& steps,
                       const std::string& gpu, AllReduce all_reduce) {
  std::map<std::pair<std::string, std::int64_t>, std::unique_ptr<StepTime>> models;
  std::vector<double> decode, prefill;
  for (const ComposedStep& step : steps) {
    if (step.gpu != gpu) continue;
    std::unique_ptr<StepTime>& model = models[{step.llm, step.tensor_parallel}];
    if (!model) {
      StepTime::Context context;
      context.llm = load_llm(step.llm);
      context.gpu = profile;
      if (all_reduce == AllReduce::kComposed)
        for (AllReduceFit& group : context.gpu.all_reduce.groups) {
          group.latency = Seconds(0);
          group.rate = Bandwidth(1e18);
        }
      context.tensor_parallel = step.tensor_parallel;
      model = make_step_time("fitted", context);
    }
    const double added = all_reduce == AllReduce::kComposed ? step.all_reduce : 0;
    const double error = (model->gpu(shape_of(step)).count() + added) / step.seconds - 1;
    (step.decode ? decode : prefill).push_back(error);
  }
  return {fit_error(std::move(decode)), fit_error(std::move(prefill))};
}

}  // namespace kvsim
