#include "sim/perf/gpu_profile.hpp"

#include <fmt/format.h>

#include "sim/perf/model_files.hpp"

namespace kvsim {

void GpuProfile::check(const ConfigNode& node) const {
  for (const Provenance& provenance : provenances()) require_provenance(node, provenance);
  if (peaks.usable > peaks.capacity)
    node.at("peaks").fail("usable_bytes above capacity_bytes", "at most capacity_bytes");
  if (gemm_fp8.has_value() && peaks.fp8_flops_per_s == 0)
    node.at("gemm_fp8").fail("fp8 coefficients", "none without fp8_flops_per_s");
  if (sustained && (sustained->bf16_flops_per_s > peaks.bf16_flops_per_s ||
                    sustained->fp8_flops_per_s > peaks.fp8_flops_per_s))
    node.at("sustained").fail("rates above the peaks", "at most those of peaks");
  for (std::size_t i = 1; i < host_link.small_transfers.size(); ++i)
    if (host_link.small_transfers[i].size <= host_link.small_transfers[i - 1].size)
      node.at("host_link").at("small_transfers").fail("sizes out of order", "rising sizes");
}

std::optional<double> GpuProfile::sustained_share(bool fp8) const {
  if (!sustained) return std::nullopt;
  const double rate = fp8 ? sustained->fp8_flops_per_s : sustained->bf16_flops_per_s;
  if (rate == 0) return std::nullopt;
  return rate / (fp8 ? peaks.fp8_flops_per_s : peaks.bf16_flops_per_s);
}

const AllReduceFit& GpuProfile::all_reduce_of(std::int64_t gpus) const {
  std::vector<std::string> known = {"1"};
  for (const AllReduceFit& fit : all_reduce.groups) {
    if (fit.gpus == gpus) return fit;
    known.push_back(std::to_string(fit.gpus));
  }
  throw ConfigError(fmt::format("tensor parallelism on {}: found {}; allowed: {}", name, gpus,
                                join_names(known)));
}

std::vector<Provenance> GpuProfile::provenances() const {
  std::vector<Provenance> all = {
      peaks.provenance,   host_link.provenance,      gpu_link.provenance,   gemm_bf16.provenance,
      mixture.provenance, attention_bf16.provenance, all_reduce.provenance, elementwise.provenance};
  if (sustained) all.push_back(sustained->provenance);
  if (gemm_fp8) all.push_back(gemm_fp8->provenance);
  if (attention_fp8) all.push_back(attention_fp8->provenance);
  return all;
}

GpuProfile load_gpu(const std::string& name) { return load_profile<GpuProfile>("gpu", name); }

}  // namespace kvsim
