// A GPU: what its makers promise, what its host link does in practice, and the coefficients of the
// fitted step-time form. Files: models/gpu/*.json; each block states its provenance.
//
// Leaves out clocks and power management (an efficiency stands for them), and NVLink topology
// beyond the groups of the all-reduce table.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/perf/provenance.hpp"

namespace kvsim {

// Dense rates, without sparsity.
struct GpuPeaks {
  double bf16_flops_per_s = 0;
  double fp8_flops_per_s = 0;  // 0: no such units; fp8 weights then only save bytes
  Bandwidth memory{0};
  Bytes capacity{0};  // as the maker counts it
  Bytes usable{0};    // as CUDA reports it: what the engine takes its share of
  std::int64_t multiprocessors = 0;
  Bytes l2{0};
  double compute_capability = 0;
  double power_w = 0;
  Provenance provenance;

  template <class F>
  void fields(F& f) {
    f.required("bf16_flops_per_s", bf16_flops_per_s, Range{1e9, 1e18}, "Dense bf16 rate.");
    f.optional("fp8_flops_per_s", fp8_flops_per_s, Range{0, 1e18}, "Dense fp8 rate; 0 = none.");
    f.required("memory_bytes_per_s", memory, Range{1e9, 1e15}, "HBM or GDDR bandwidth.");
    f.required("capacity_bytes", capacity, Range{1e9, 1e13}, "Memory as sold.");
    f.required("usable_bytes", usable, Range{1e9, 1e13}, "Memory that CUDA reports.");
    f.required("multiprocessors", multiprocessors, Range{1, 1e4}, "Streaming multiprocessors.");
    f.required("l2_bytes", l2, Range{1e5, 1e10}, "Second-level cache.");
    f.required("compute_capability", compute_capability, Range{5, 30}, "CUDA architecture.");
    f.required("power_w", power_w, Range{1, 1e4}, "Board power limit.");
    f.required("provenance", provenance, "Where these come from.");
  }
};

// What the best large matrix product reaches while it repeats for seconds: the board's power limit
// then lowers the clock, which tables of a few replays on an idle GPU do not show. No fitted
// compute efficiency goes beyond it.
struct SustainedRates {
  double bf16_flops_per_s = 0;
  double fp8_flops_per_s = 0;  // 0: not measured
  Provenance provenance;

  template <class F>
  void fields(F& f) {
    f.required("bf16_flops_per_s", bf16_flops_per_s, Range{1e9, 1e18}, "Best bf16 product.");
    f.optional("fp8_flops_per_s", fp8_flops_per_s, Range{0, 1e18},
               "Best fp8 product; 0 = not measured.");
    f.required("provenance", provenance, "Who measured it.");
  }
};

// A copy rate that holds for descriptors of at least this size.
struct DescriptorRate {
  Bytes size{0};
  Bandwidth rate{0};

  template <class F>
  void fields(F& f) {
    f.required("descriptor_bytes", size, Range{0, 1e12}, "Smallest descriptor this holds for.");
    f.required("bytes_per_s", rate, Range{1e6, 1e13}, "Copy rate.");
  }
};

// The link to host memory. A copy takes descriptors * descriptor_s + bytes / rate(descriptor size).
struct HostLink {
  Bandwidth peak{0};
  Bandwidth to_gpu_alone{0};
  Bandwidth to_host_alone{0};
  Bandwidth to_gpu_both{0};  // while the other direction is busy too
  Bandwidth to_host_both{0};
  Seconds descriptor{0};                        // processor time to submit one copy descriptor
  std::vector<DescriptorRate> small_transfers;  // by rising size; above the last: the rates above
  Bandwidth switch_limit{0};  // one way, over all GPUs below one switch or host bridge; 0 = none
  std::int64_t switch_gpus = 0;
  Provenance provenance;

  template <class F>
  void fields(F& f) {
    f.required("peak_bytes_per_s", peak, Range{1e8, 1e13}, "Nominal rate, one way.");
    f.required("to_gpu_alone_bytes_per_s", to_gpu_alone, Range{1e8, 1e13}, "Host to GPU, alone.");
    f.required("to_host_alone_bytes_per_s", to_host_alone, Range{1e8, 1e13}, "GPU to host, alone.");
    f.required("to_gpu_both_bytes_per_s", to_gpu_both, Range{1e8, 1e13}, "Host to GPU, both busy.");
    f.required("to_host_both_bytes_per_s", to_host_both, Range{1e8, 1e13},
               "GPU to host, both busy.");
    f.required("descriptor_s", descriptor, Range{0, 1e-3}, "Submitting one copy descriptor.");
    f.optional("small_transfers", small_transfers, "Rates of small descriptors, rising size.");
    f.optional("switch_limit_bytes_per_s", switch_limit, Range{0, 1e14},
               "One way, shared by the GPUs of a PCIe switch or host bridge; 0 = no limit known.");
    f.optional("switch_gpus", switch_gpus, Range{0, 64}, "GPUs that share this limit.");
    f.required("provenance", provenance, "Where these come from.");
  }
};

struct GpuLink {
  std::string type = "none";
  Bandwidth peak{0};
  Provenance provenance;

  template <class F>
  void fields(F& f) {
    f.choice("type", type, {"nvlink", "pcie", "none"}, "How GPUs of a node reach each other.");
    f.optional("peak_bytes_per_s", peak, Range{0, 1e14}, "Per GPU, one way.");
    f.required("provenance", provenance, "Where these come from.");
  }
};

// t(m, n, k) = t0 + [(2 rows n k / (compute P))^p + (bytes / (memory W))^p]^(1/p), rows = m padded
// to a tile: of 64, of 16 with fp8 weights (sim/perf/matrix_time.cpp).
struct GemmFit {
  Seconds launch{0};
  double compute = 1;
  double memory = 1;
  double exponent = 1;
  double quantise = 0;  // fp8: 5 m k bytes at this share of W turn activations into fp8; 0 = free
  Seconds quantise_launch{0};  // fp8: the part of t0 that the quantising kernel takes
  double unaligned_rows = 0;   // fp8: rows more when m is no multiple of what the kernels want
  Provenance provenance;

  template <class F>
  void fields(F& f) {
    f.required("launch_s", launch, Range{0, 1e-3}, "t0: what the smallest call takes.");
    f.required("compute_efficiency", compute, Range{0.01, 1.2}, "Reached share of the peak rate.");
    f.required("memory_efficiency", memory, Range{0.01, 1.2}, "Reached share of the bandwidth.");
    f.required("exponent", exponent, Range{1, 20}, "p: 1 adds both, large takes the larger.");
    f.optional("quantise_efficiency", quantise, Range{0, 5}, "Share of W for quantisation.");
    f.optional("quantise_launch_s", quantise_launch, Range{0, 1e-3},
               "Part of launch_s that the quantising kernel takes.");
    f.optional("unaligned_rows", unaligned_rows, Range{0, 1e4},
               "What an unaligned number of rows costs, in rows.");
    f.required("provenance", provenance, "Where these come from.");
  }
};

// The routed experts of one layer, one grouped kernel pair; same form as GemmFit.
struct MixtureFit {
  Seconds launch{0};
  double compute = 0.5;
  double memory = 0.8;
  double exponent = 1;
  double routing_skew = 0;  // fewer distinct experts: d (1 - 4 skew x (1 - x)), x = d / experts
  double fp8_speedup = 1;   // of the compute term over bf16
  Provenance provenance;

  template <class F>
  void fields(F& f) {
    f.required("launch_s", launch, Range{0, 1e-2}, "t0: what the smallest call takes.");
    f.required("compute_efficiency", compute, Range{0.01, 1.2}, "Reached share of the peak rate.");
    f.required("memory_efficiency", memory, Range{0.01, 1.2}, "Reached share of the bandwidth.");
    f.required("exponent", exponent, Range{1, 20}, "p: 1 adds both, large takes the larger.");
    f.optional("routing_skew", routing_skew, Range{0, 1}, "Uneven routing: fewer experts touched.");
    f.optional("fp8_speedup", fp8_speedup, Range{0.5, 2}, "Compute with fp8 weights over bf16.");
    f.required("provenance", provenance, "Where these come from.");
  }
};

struct AttentionFit {
  Seconds decode_floor{0};
  Seconds decode_launch{0};
  double decode_memory = 1;
  Seconds prefill_launch{0};
  double prefill_compute = 1;
  double prefill_transfer = 1;
  double latent_compute = 0.5;  // decode of latent attention in absorbed form
  double repeated_read = 1;     // a KV token that another sequence of the step reads too, over one
  // Of kernels that pack the query heads of a group; none: FlashAttention 2 (attention_time.cpp).
  std::optional<double> mixed_factor;
  Provenance provenance;

  template <class F>
  void fields(F& f) {
    f.required("decode_floor_s", decode_floor, Range{0, 1e-2}, "Shortest decode attention.");
    f.required("decode_launch_s", decode_launch, Range{0, 1e-2}, "t0d beside the KV read.");
    f.required("decode_memory_efficiency", decode_memory, Range{0.01, 1.2}, "eD of the KV read.");
    f.required("prefill_launch_s", prefill_launch, Range{0, 1e-2}, "t0c of prefill attention.");
    f.required("prefill_compute_efficiency", prefill_compute, Range{0.01, 1.2}, "eA.");
    f.required("prefill_transfer_efficiency", prefill_transfer, Range{0.01, 5}, "eT.");
    f.optional("latent_compute_efficiency", latent_compute, Range{0.01, 1.2},
               "Of the peak, decoding with latent attention.");
    f.optional("repeated_read", repeated_read, Range{0.1, 1},
               "Reading a KV token once more in the same decode step, over reading it first.");
    f.optional("mixed_factor", mixed_factor, Range{0.5, 10},
               "Decode attention in a batch that also prefills, over decode alone. Default: as "
               "FlashAttention 2 does it, a block for each head.");
    f.required("provenance", provenance, "Where these come from.");
  }
};

// One all-reduce inside a CUDA graph. Small messages go in one step, every rank reading those of
// all others; large ones in two (reduce-scatter, all-gather), which for two ranks is the same:
//   min(latency + (gpus - 1) bytes / one_step, two_step_latency + bytes / rate)
// Without a one-step rate: latency + bytes / rate.
struct AllReduceFit {
  std::int64_t gpus = 0;
  Seconds latency{0};
  Bandwidth rate{0};
  Bandwidth one_step{0};
  Seconds two_step_latency{0};

  template <class F>
  void fields(F& f) {
    f.required("gpus", gpus, Range{2, 64}, "Ranks of the group.");
    f.required("latency_s", latency, Range{0, 1e-2}, "alpha.");
    f.required("bytes_per_s", rate, Range{1e6, 1e13}, "Message bytes per second, large messages.");
    f.optional("one_step_bytes_per_s", one_step, Range{0, 1e14},
               "Rate of reading the other ranks' small messages; 0 = one form for all sizes.");
    f.optional("two_step_latency_s", two_step_latency, Range{0, 1e-2},
               "alpha of large messages, where there is a one-step rate.");
  }

  [[nodiscard]] double seconds(double bytes) const {
    const double others = static_cast<double>(gpus - 1);
    if (one_step.count() == 0) return latency.count() + bytes / rate.count();
    return std::min(latency.count() + others * bytes / one_step.count(),
                    two_step_latency.count() + bytes / rate.count());
  }
};

struct AllReduceTable {
  std::vector<AllReduceFit> groups;
  Provenance provenance;

  template <class F>
  void fields(F& f) {
    f.required("groups", groups, "One entry per group size.");
    f.required("provenance", provenance, "Where these come from.");
  }
};

// The small kernels of a layer: bytes / (memory W) + kernels * launch.
struct ElementwiseFit {
  double memory = 0.8;
  double kernels = 4;
  Seconds launch{1.5e-6};
  Provenance provenance;

  template <class F>
  void fields(F& f) {
    f.required("memory_efficiency", memory, Range{0.01, 1.2}, "Reached share of the bandwidth.");
    f.required("kernels_per_layer", kernels, Range{0, 100}, "Fused kernels a layer.");
    f.required("launch_s", launch, Range{0, 1e-3}, "What the smallest one takes.");
    f.required("provenance", provenance, "Where these come from.");
  }
};

struct GpuProfile {
  std::string schema;
  std::string name;
  std::vector<std::string> aliases;
  GpuPeaks peaks;
  std::optional<SustainedRates> sustained;
  HostLink host_link;
  GpuLink gpu_link;
  GemmFit gemm_bf16;
  std::optional<GemmFit> gemm_fp8;
  MixtureFit mixture;
  AttentionFit attention_bf16;
  std::optional<AttentionFit> attention_fp8;  // fp8 KV cache; none = bf16's coefficients
  AllReduceTable all_reduce;
  ElementwiseFit elementwise;

  template <class F>
  void fields(F& f) {
    f.choice("schema", schema, {"kvsim.gpu/1"}, "What this file is.");
    f.required("name", name, "The profile's name: that of its file.");
    f.optional("aliases", aliases, "Other names in use.");
    f.required("peaks", peaks, "Datasheet.");
    f.optional("sustained", sustained, "Rates under continuous load.");
    f.required("host_link", host_link, "PCIe or C2C to host memory.");
    f.required("gpu_link", gpu_link, "GPU to GPU within a node.");
    f.required("gemm_bf16", gemm_bf16, "Matrix products with bf16 weights.");
    f.optional("gemm_fp8", gemm_fp8, "Matrix products with fp8 weights and activations.");
    f.required("mixture", mixture, "Routed experts.");
    f.required("attention_bf16", attention_bf16, "Attention over a bf16 KV cache.");
    f.optional("attention_fp8", attention_fp8, "Attention over an fp8 KV cache.");
    f.required("all_reduce", all_reduce, "Tensor-parallel sums.");
    f.required("elementwise", elementwise, "Norms, rotary, activation, residual.");
  }
  void check(const ConfigNode& node) const;

  // The largest share of the peak that a matrix product may be fitted to; none = no bound.
  [[nodiscard]] std::optional<double> sustained_share(bool fp8) const;
  // The entry for a group of `gpus`; ConfigError listing the known sizes otherwise.
  [[nodiscard]] const AllReduceFit& all_reduce_of(std::int64_t gpus) const;
  // Every block's provenance, in file order.
  [[nodiscard]] std::vector<Provenance> provenances() const;
};

GpuProfile load_gpu(const std::string& name);

}  // namespace kvsim
