#include "sim/calibrate/gpu_calibration.hpp"

#include <fmt/format.h>

#include "sim/base/fields.hpp"
#include "sim/calibrate/gpu_fit_file.hpp"
#include "sim/perf/model_files.hpp"
#include "sim/probe/gpu_probe_process.hpp"

namespace kvsim {

namespace {

std::string base_profile(const GpuCalibrationPlan& plan, const std::string& device) {
  if (!plan.gpu.empty()) return plan.gpu;
  try {
    static_cast<void>(find_model("gpu", device));
    return device;
  } catch (const ConfigError&) {
    throw ConfigError(fmt::format(
        "this GPU is a \"{}\", for which models/gpu has no profile; allowed: --gpu NAME, the one "
        "whose datasheet holds",
        device));
  }
}

// What was fitted is put into the base's file.
Json profile_of(const GpuCalibrationPlan& plan, const std::string& base, const GpuFit& fit) {
  Json out = load_model(find_model("gpu", base));
  for (const std::string& block : fitted_blocks()) {
    const FitReport* report = report_of(fit, block);
    if (report == nullptr) continue;
    const Provenance provenance{fmt::format("{}; mean error {:.1f} % over {} rows", plan.source,
                                            report->training.mean * 100, report->training.rows),
                                block == "host_link" ? "measured" : "fitted"};
    set_block(out, block, block_coefficients(fit.profile, block), &provenance);
  }
  return out;
}

}  // namespace

GpuCalibration calibrate_gpu(const GpuCalibrationPlan& plan,
                             const std::function<void(const std::string&)>& said) {
  Scratch scratch(plan.folder, Bytes(0));
  const std::string file = scratch.path() + "/gpu.json";
  GpuProbeProcess(scratch, {plan.full ? "--full" : "--quick", "--out", file}).wait(said);
  GpuCalibration out;
  out.identity = load_json(file).at("identity");
  const std::string base = base_profile(plan, out.identity.at("device").get<std::string>());
  OperatorTable table;
  read_operator_samples(file, table);
  out.fit = fit_gpu(table, load_gpu(base), FitOptions{});
  out.profile = profile_of(plan, base, out.fit);
  return out;
}

}  // namespace kvsim
