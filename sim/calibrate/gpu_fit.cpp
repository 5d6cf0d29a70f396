#include "sim/calibrate/gpu_fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "sim/calibrate/gpu_fit_link.hpp"
#include "sim/calibrate/step_fit_forms.hpp"

namespace kvsim {

namespace {

constexpr double kHeldOutShapes = 0.2;
constexpr double kHeldOutHeads = 0.25;
constexpr std::size_t kRowsPerCoefficient = 2;

class Fitter {
 public:
  Fitter(const OperatorTable& table, const FitOptions& options, GpuFit& out)
      : table_(table), options_(options), out_(out) {}

  void gemm(const std::string& dtype, GemmFit& fit) {
    std::string rows_of;
    const bool fp8 = dtype == "fp8";
    const FitRows rows = gemm_rows(table_, dtype, out_.profile.peaks, rows_of);
    const StepForm form =
        gemm_form(fp8, out_.profile.sustained_share(fp8).value_or(kUnboundedShare));
    const Coefficients c = one("gemm_" + dtype, form, rows, rows_of, kHeldOutShapes);
    if (c.empty()) return;
    fit.launch = Seconds(c[0]);
    fit.compute = c[1];
    fit.memory = c[2];
    fit.exponent = c[3];
    if (!fp8) return;
    fit.quantise = c[4];
    // The kernel itself starts no slower than that of bf16.
    fit.quantise_launch = std::max(Seconds(0), fit.launch - out_.profile.gemm_bf16.launch);
    fit.unaligned_rows = unaligned_rows(table_, fit, out_.profile.peaks);
  }

  void mixture(MixtureFit& fit) {
    std::string rows_of;
    const FitRows rows = mixture_rows(table_, out_.profile.peaks, rows_of);
    const Coefficients c = one("mixture", mixture_form(), rows, rows_of, kHeldOutShapes);
    if (c.empty()) return;
    fit.launch = Seconds(c[0]);
    fit.compute = c[1];
    fit.memory = c[2];
    fit.exponent = c[3];
    fit.routing_skew = c[4];
  }

  void attention(const std::string& dtype, AttentionFit& fit) {
    const std::string block = "attention_" + dtype;
    std::string rows_of;
    FitRows rows = decode_rows(table_, dtype, out_.profile.peaks, rows_of);
    if (const Coefficients c = one(block, decode_form(), rows, rows_of, kHeldOutHeads);
        !c.empty()) {
      fit.decode_floor = Seconds(c[0]);
      fit.decode_launch = Seconds(c[1]);
      fit.decode_memory = c[2];
    }
    rows = prefill_rows(table_, dtype, out_.profile.peaks, rows_of);
    if (const Coefficients c = one(block, prefill_form(), rows, rows_of, kHeldOutHeads);
        !c.empty()) {
      fit.prefill_launch = Seconds(c[0]);
      fit.prefill_compute = c[1];
      fit.prefill_transfer = c[2];
    }
  }

  void all_reduce(AllReduceTable& fit) {
    std::set<std::int64_t> sizes;
    for (const AllReduceTiming& timing : table_.all_reduce)
      sizes.insert(static_cast<std::int64_t>(timing.gpus));
    for (const std::int64_t gpus : sizes) {
      std::string rows_of;
      const FitRows rows = all_reduce_rows(table_, gpus, rows_of);
      const Coefficients c = one(fmt::format("all_reduce of {}", gpus), all_reduce_form(gpus), rows,
                                 rows_of, kHeldOutShapes);
      if (c.empty()) continue;
      AllReduceFit group{gpus, Seconds(c[0]), Bandwidth(c[1])};
      if (c.size() > 2) {
        group.one_step = Bandwidth(c[2]);
        group.two_step_latency = Seconds(c[3]);
      }
      const auto at = std::find_if(fit.groups.begin(), fit.groups.end(),
                                   [&](const AllReduceFit& g) { return g.gpus >= gpus; });
      if (at != fit.groups.end() && at->gpus == gpus)
        *at = group;
      else
        fit.groups.insert(at, group);
    }
  }

 private:
  Coefficients one(const std::string& block, const StepForm& form, const FitRows& rows,
                   const std::string& rows_of, double held_out_share) {
    const std::size_t enough = kRowsPerCoefficient * form.parameters.size();
    if (rows.size() < enough) {
      if (!rows.empty())
        out_.left.push_back(fmt::format("{}: {} usable rows, {} are needed for {}...", block,
                                        rows.size(), enough, form.parameters.front().name));
      return {};
    }
    FitOptions options = options_;
    if (options.held_out_share > 0) options.held_out_share = held_out_share;
    StepFit fit = fit_form(form, rows, options);
    fit.report.block = block;
    fit.report.rows_of = rows_of;
    out_.reports.push_back(fit.report);
    return fit.values;
  }

  const OperatorTable& table_;
  FitOptions options_;
  GpuFit& out_;
};

}  // namespace

GpuFit fit_gpu(const OperatorTable& table, const GpuProfile& base, FitOptions options) {
  GpuFit fit;
  fit.profile = base;
  Fitter fitter(table, options, fit);
  fitter.gemm("bf16", fit.profile.gemm_bf16);
  if (base.peaks.fp8_flops_per_s > 0) {
    GemmFit fp8 = base.gemm_fp8.value_or(GemmFit{});
    fitter.gemm("fp8", fp8);
    if (base.gemm_fp8 || report_of(fit, "gemm_fp8") != nullptr) fit.profile.gemm_fp8 = fp8;
  }
  fitter.mixture(fit.profile.mixture);
  fitter.attention("bf16", fit.profile.attention_bf16);
  AttentionFit fp8 = base.attention_fp8.value_or(fit.profile.attention_bf16);
  fitter.attention("fp8", fp8);
  if (base.attention_fp8 || report_of(fit, "attention_fp8") != nullptr)
    fit.profile.attention_fp8 = fp8;
  fitter.all_reduce(fit.profile.all_reduce);
  fit_host_link(table.copies, fit.profile.host_link, fit.reports);
  return fit;
}

const FitReport* report_of(const GpuFit& fit, const std::string& block) {
  const auto found = std::find_if(fit.reports.begin(), fit.reports.end(),
                                  [&](const FitReport& report) { return report.block == block; });
  return found == fit.reports.end() ? nullptr : &*found;
}

}  // namespace kvsim
