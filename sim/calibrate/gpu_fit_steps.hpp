// How well a GPU profile gives whole steps: against steps composed from operator tables by
// interpolation (composed_steps.csv of a calibration folder: gpu,model,tp,phase,batch,seq,...,
// kernel_total_ms). Kernels only: no gaps, no sampler, no padding to captured batch sizes.
#pragma once

#include <string>
#include <vector>

#include "sim/calibrate/step_fit.hpp"
#include "sim/perf/gpu_profile.hpp"

namespace kvsim {

struct ComposedStep {
  std::string gpu;  // folder of its tables
  std::string llm;
  std::int64_t tensor_parallel = 1;
  bool decode = false;
  std::int64_t batch = 0;
  std::int64_t tokens = 0;  // context of a decode, prompt of a prefill
  double seconds = 0;
  double all_reduce = 0;  // seconds of them
};

// Throws TraceError naming file:line.
std::vector<ComposedStep> read_composed_steps(const std::string& path);

struct StepErrors {
  FitError decode, prefill;
};
// Whose all-reduces a step has: the profile's, or those of the composed step. Composed steps mix
// releases there, so only kComposed tells how good the other operators are.
enum class AllReduce { kOfProfile, kComposed };
// Over the steps of the tables called `gpu`.
StepErrors step_errors(const GpuProfile& profile, const std::vector<ComposedStep>& steps,
                       const std::string& gpu, AllReduce all_reduce);

}  // namespace kvsim
