#include "sim/calibrate/gpu_fit_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "sim/base/check.hpp"
#include "sim/base/errors.hpp"
#include "sim/perf/model_files.hpp"

namespace kvsim {

namespace {

// What the tables say beside the coefficients.
std::string kind_of(const std::string& block) {
  if (block == "gemm_fp8")
    return "fp8 operator tables (per tensor, dynamic activation quantisation)";
  if (block == "mixture") return "fused-MoE tables (bf16, power-law routing)";
  if (block == "attention_fp8") return "fp8-KV attention tables";
  if (block == "all_reduce")
    return "tables of vLLM's custom all-reduce under CUDA graphs (up to 64 MiB)";
  return "operator tables";
}

std::string remark_of(const std::string& block) {
  if (block == "gemm_fp8")
    return "; quantise_launch_s: what launch_s exceeds bf16's by; unaligned_rows: median "
           "difference "
           "of 513, 1,025 and 2,049 rows to one less, newest release";
  if (block == "mixture") return "; fp8 compute as bf16: the fp8 tables show no gain";
  if (block == "attention_bf16") return "; latent decode: one H100 point (128 heads, 50 % of peak)";
  return "";
}

// Mean error on held-out shapes, or over all rows where too few were there to hold any out.
std::string error_text(const std::vector<const FitReport*>& reports) {
  std::string out;
  for (const FitReport* report : reports) {
    const bool held = report->held_out.rows > 0;
    out += fmt::format("{}{:.1f} %{}", out.empty() ? "" : " and ",
                       100 * (held ? report->held_out.mean : report->training.mean),
                       held ? "" : " over all rows");
  }
  return out;
}

}  // namespace

const std::vector<TabledGpu>& tabled_gpus() {
  static const std::vector<TabledGpu> kAll = {
      {"a100-80-sxm", "a100-sxm4-80gb", "A100 SXM 80 GB", "A100 SXM4 80GB"},
      {"l40s", "l40s", "L40S", "L40S"},
      {"h100-sxm", "h100-sxm-80gb", "H100 SXM", "H100 SXM"},
      {"h200-sxm", "h200-sxm", "H200", "H200"},
      {"b200-sxm", "b200-sxm", "B200", "B200"},
      {"rtx-pro-6000", "rtx-pro-6000-server", "RTX PRO 6000", "RTX PRO 6000 Server"},
      {"rtx-4090", "rtx-4090", "RTX 4090", "RTX 4090", true}};
  return kAll;
}

const TabledGpu& tabled_gpu(const std::string& profile) {
  const auto found = std::find_if(tabled_gpus().begin(), tabled_gpus().end(),
                                  [&](const TabledGpu& gpu) { return gpu.profile == profile; });
  KV_CHECK(found != tabled_gpus().end(), "no tables of {}", profile);
  return *found;
}

GpuFit fit_tabled(const std::string& folder, const TabledGpu& gpu, const FitOptions& options) {
  const std::string tables = (std::filesystem::path(folder) / "ops" / gpu.folder).string();
  if (!std::filesystem::is_directory(tables))
    throw ConfigError(fmt::format(
        "calibration folder \"{}\": found no ops/{}; allowed: a folder with ops/<gpu>/*.csv",
        folder, gpu.folder));
  OperatorTable table;
  read_operators(tables, table);
  return fit_gpu(table, load_gpu(gpu.profile), options);
}

std::optional<Provenance> tabled_provenance(const TabledGpu& gpu, const GpuFit& fit,
                                            const std::string& block) {
  std::vector<const FitReport*> reports;
  for (const FitReport& report : fit.reports)
    if (report.block == block || report.block.starts_with(block + " of "))
      reports.push_back(&report);
  if (reports.empty()) return std::nullopt;
  const std::string release = reports.front()->rows_of;
  const std::string where =
      gpu.layers
          ? "the RTX 4090 profile of casys-kaist/LLMServingSim 5daddb21 (MIT), one model, at "
            "most 2,048 tokens"
          : fmt::format("{} of ai-dynamo/aiconfigurator 095f58a5 (Apache-2.0), {}, vLLM {}",
                        kind_of(block), gpu.title, release);
  return Provenance{fmt::format("own fit (kvsim fit) to {}; mean error on held-out shapes {}{}",
                                where, error_text(reports), remark_of(block)),
                    "fitted"};
}

}  // namespace kvsim
