// A GPU without tables takes its datasheet and other GPUs' coefficients. What that costs is
// measured on GPUs that have tables, as if they had none. All-reduces are those of the composed
// steps.
#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <map>

#include "sim/base/check.hpp"
#include "sim/calibrate/gpu_fit_recipes.hpp"
#include "sim/calibrate/gpu_fit_tables.hpp"
#include "sim/workload/csv_reader.hpp"

namespace kvsim {

namespace {

using Sources = std::vector<const GpuProfile*>;

double mean(const Sources& sources, const std::function<double(const GpuProfile&)>& value) {
  KV_CHECK(!sources.empty(), "nothing to take coefficients from");
  double sum = 0;
  for (const GpuProfile* source : sources) sum += value(*source);
  return sum / static_cast<double>(sources.size());
}

// `to` keeps its peaks.
GpuProfile borrowed(GpuProfile to, const Sources& sources) {
  const auto of_gemm = [&](auto member) {
    return mean(sources, [&](const GpuProfile& gpu) { return gpu.gemm_bf16.*member; });
  };
  const auto of_attention = [&](auto member) {
    return mean(sources, [&](const GpuProfile& gpu) { return gpu.attention_bf16.*member; });
  };
  const auto launch = [&](auto part, auto member) {
    return Seconds(
        mean(sources, [&](const GpuProfile& gpu) { return (gpu.*part.*member).count(); }));
  };
  to.gemm_bf16.launch = launch(&GpuProfile::gemm_bf16, &GemmFit::launch);
  to.gemm_bf16.compute = of_gemm(&GemmFit::compute);
  to.gemm_bf16.memory = of_gemm(&GemmFit::memory);
  to.gemm_bf16.exponent = of_gemm(&GemmFit::exponent);
  AttentionFit& fit = to.attention_bf16;
  fit.decode_floor = launch(&GpuProfile::attention_bf16, &AttentionFit::decode_floor);
  fit.decode_launch = launch(&GpuProfile::attention_bf16, &AttentionFit::decode_launch);
  fit.decode_memory = of_attention(&AttentionFit::decode_memory);
  fit.prefill_launch = launch(&GpuProfile::attention_bf16, &AttentionFit::prefill_launch);
  fit.prefill_compute = of_attention(&AttentionFit::prefill_compute);
  fit.prefill_transfer = of_attention(&AttentionFit::prefill_transfer);
  return to;
}

// Compute shares from the best matrix product measured on the part.
void use_matmul_rate(GpuProfile& gpu, double rate) {
  gpu.attention_bf16.prefill_compute *= rate / gpu.gemm_bf16.compute;
  gpu.gemm_bf16.compute = rate;
}

std::map<std::string, double> read_matmul_rates(const std::string& folder) {
  CsvReader csv(
      ByteStream::open((std::filesystem::path(folder) / "matmul_peak_bf16.csv").string()));
  const std::size_t gpu = csv.column("gpu"), ratio = csv.column("ratio");
  std::map<std::string, double> rates;
  while (csv.next()) rates[std::string(csv.text(gpu))] = csv.number(ratio, 0.01);
  return rates;
}

}  // namespace

std::vector<TransferErrors> leave_one_out(const std::string& folder, const FitOptions& options) {
  const auto steps =
      read_composed_steps((std::filesystem::path(folder) / "composed_steps.csv").string());
  const auto rates = read_matmul_rates(folder);
  std::vector<std::pair<const TabledGpu*, GpuProfile>> fitted;
  for (const TabledGpu& gpu : tabled_gpus())
    if (!gpu.layers) fitted.emplace_back(&gpu, fit_tabled(folder, gpu, options).profile);
  std::vector<TransferErrors> out;
  for (const auto& [gpu, profile] : fitted) {
    Sources others, relatives;
    for (const auto& [other, theirs] : fitted) {
      if (other == gpu) continue;
      others.push_back(&theirs);
      if (theirs.gpu_link.type == profile.gpu_link.type) relatives.push_back(&theirs);
    }
    const auto errors = [&, folder_of = gpu->folder](const GpuProfile& with) {
      return step_errors(with, steps, folder_of, AllReduce::kComposed);
    };
    const GpuProfile related = borrowed(profile, relatives);
    GpuProfile measured = related;
    if (const auto rate = rates.find(gpu->matmul); rate != rates.end())
      use_matmul_rate(measured, rate->second);
    out.push_back({gpu->profile, errors(profile), errors(borrowed(profile, others)),
                   errors(related), errors(measured)});
  }
  return out;
}

}  // namespace kvsim
