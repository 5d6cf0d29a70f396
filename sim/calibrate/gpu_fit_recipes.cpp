#include "sim/calibrate/gpu_fit_recipes.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <map>

#include "sim/base/check.hpp"
#include "sim/calibrate/gpu_fit_tables.hpp"
#include "sim/perf/model_files.hpp"

namespace kvsim {

namespace {

enum class Scale { kNone, kMatmul, kLikeBf16 };

struct InheritedBlock {
  const char* gpu;
  const char* block;
  const char* from;
  Scale scale = Scale::kNone;
  double own_rate = 0;   // kMatmul: best torch matmul rate over the peak, of the GPU...
  double from_rate = 0;  // ...and of its relative
};

// The A10 has no figure of its own at all. L4's bf16 blocks and all-reduce are estimates by hand,
// after the recipe that leave_one_out() measures and after served runs, and are left as they are.
constexpr InheritedBlock kInherited[] = {
    {"a10", "gemm_bf16", "l40s"},
    {"a10", "mixture", "l40s"},
    {"a10", "attention_bf16", "l40s"},
    {"a10", "all_reduce", "l40s"},
    {"a100-40-sxm", "gemm_bf16", "a100-80-sxm"},
    {"a100-40-sxm", "mixture", "a100-80-sxm"},
    {"a100-40-sxm", "attention_bf16", "a100-80-sxm"},
    {"a100-40-sxm", "all_reduce", "a100-80-sxm"},
    {"a100-40-pcie", "gemm_bf16", "a100-80-sxm", Scale::kMatmul, 0.75, 0.848},
    {"a100-40-pcie", "mixture", "a100-80-sxm"},
    {"a100-40-pcie", "attention_bf16", "a100-80-sxm", Scale::kMatmul, 0.75, 0.848},
    {"a100-40-pcie", "all_reduce", "l40s"},
    {"a100-80-pcie", "gemm_bf16", "a100-80-sxm", Scale::kMatmul, 0.75, 0.848},
    {"a100-80-pcie", "mixture", "a100-80-sxm"},
    {"a100-80-pcie", "attention_bf16", "a100-80-sxm", Scale::kMatmul, 0.75, 0.848},
    {"a100-80-pcie", "all_reduce", "l40s"},
    {"h100-pcie", "gemm_bf16", "h100-sxm", Scale::kMatmul, 0.656, 0.806},
    {"h100-pcie", "gemm_fp8", "h100-sxm", Scale::kMatmul, 0.656, 0.806},
    {"h100-pcie", "mixture", "h100-sxm"},
    {"h100-pcie", "attention_bf16", "h100-sxm", Scale::kMatmul, 0.656, 0.806},
    {"h100-pcie", "attention_fp8", "h100-sxm"},
    {"h100-pcie", "all_reduce", "rtx-pro-6000"},
    {"l4", "gemm_fp8", "l40s", Scale::kLikeBf16},
    {"l4", "mixture", "l40s"},
    {"l4", "attention_fp8", "l40s"},
    {"rtx-4090", "gemm_fp8", "l40s", Scale::kLikeBf16},
    {"rtx-4090", "mixture", "l40s"},
    {"rtx-4090", "attention_fp8", "l40s"},
    {"rtx-4090", "all_reduce", "l40s"}};

struct Rebuilding {
  GpuProfile profile;
  RebuiltGpu out;
};
using RebuildingByName = std::map<std::string, Rebuilding>;

void put(Rebuilding& gpu, const std::string& block, const Provenance& provenance,
         double drift_share) {
  const Json coefficients = block_coefficients(gpu.profile, block);
  for (Drift& drift : drift_of(gpu.out.file, block, coefficients, drift_share))
    gpu.out.drifts.push_back(std::move(drift));
  set_block(gpu.out.file, block, coefficients, &provenance);
}

void copy_block(const GpuProfile& from, GpuProfile& to, const std::string& block, double scale) {
  if (block == "gemm_bf16") {
    to.gemm_bf16 = from.gemm_bf16;
    to.gemm_bf16.compute *= scale;
  } else if (block == "gemm_fp8") {
    to.gemm_fp8 = from.gemm_fp8;
    to.gemm_fp8->compute *= scale;
  } else if (block == "mixture") {
    to.mixture = from.mixture;
  } else if (block == "attention_bf16") {
    to.attention_bf16 = from.attention_bf16;
    to.attention_bf16.prefill_compute *= scale;
  } else if (block == "attention_fp8") {
    to.attention_fp8 = from.attention_fp8;
    to.attention_fp8->prefill_compute *= scale;
  } else {
    KV_CHECK(block == "all_reduce", "inherited block {}", block);
    to.all_reduce = from.all_reduce;
  }
}

void inherit(const InheritedBlock& row, RebuildingByName& all, double drift_share) {
  Rebuilding& to = all.at(row.gpu);
  const Rebuilding& from = all.at(row.from);
  std::string source =
      fmt::format("as {}: {}", tabled_gpu(row.from).title,
                  from.out.file[row.block]["provenance"]["source"].get<std::string>());
  double scale = 1;
  if (row.scale == Scale::kMatmul) {
    scale = row.own_rate / row.from_rate;
    source += fmt::format(
        "; compute share scaled by the ratio of best torch matmul rates ({} against {} of peak, "
        "zzc0721/torch-performance-test-data 9d82827)",
        row.own_rate, row.from_rate);
  } else if (row.scale == Scale::kLikeBf16) {
    const double own = to.profile.gemm_bf16.compute, theirs = from.profile.gemm_bf16.compute;
    scale = own / theirs;
    source +=
        fmt::format("; compute share scaled like bf16's ({:.3f} against {:.3f})", own, theirs);
  }
  copy_block(from.profile, to.profile, row.block, scale);
  put(to, row.block, {source, "assumed"}, drift_share);
}

}  // namespace

std::vector<RebuiltGpu> rebuild_gpu_profiles(const std::string& folder, const FitOptions& options,
                                             double drift_share) {
  RebuildingByName all;
  for (const std::string& name : model_names("gpu")) {
    const std::string path = find_model("gpu", name);
    all[name] = {load_gpu(name), {name, path, load_json(path), {}, {}}};
  }
  for (const TabledGpu& tabled : tabled_gpus()) {
    Rebuilding& gpu = all.at(tabled.profile);
    GpuFit fit = fit_tabled(folder, tabled, options);
    gpu.profile = std::move(fit.profile);
    for (const std::string& block : fitted_blocks())
      if (const auto provenance = tabled_provenance(tabled, fit, block))
        put(gpu, block, *provenance, drift_share);
    gpu.out.reports = std::move(fit.reports);
  }
  for (const InheritedBlock& row : kInherited) inherit(row, all, drift_share);
  std::vector<RebuiltGpu> out;
  for (auto& [name, gpu] : all) out.push_back(std::move(gpu.out));
  return out;
}

}  // namespace kvsim
