// Timings of single GPU operators, as the step-time fits take them. Read from CSV tables (the kind
// of a file is told by its header), from the per-layer CSVs of a one-model profile, and from the
// JSON samples of our own GPU probe:
//
//   {"identity": {...}, "samples": [{"operation": "gemm", "m": 16, "n": 6144, "k": 4096,
//                                    "dtype": "bf16", "p50_s": 1.9e-5}, ...]}
//
// Tables may hold several software releases; a fit uses the newest (newest()).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvsim {

// Whose timing: rows of one origin are fitted together. Own samples beat tables, a newer release
// beats an older one, a release beats none.
struct TimingOrigin {
  bool own = false;
  std::string release;  // "0.24.0"; empty = not stated

  bool operator==(const TimingOrigin&) const = default;
};
[[nodiscard]] bool newer(const TimingOrigin& a, const TimingOrigin& b);

// Counts are whole numbers held as double, because the fits multiply them.
struct GemmTiming {  // activations m x k, weights n x k
  TimingOrigin origin;
  std::string dtype;  // "bf16" or "fp8"
  double m = 0, n = 0, k = 0;
  double weight_copies = 1;  // cycled per replay: weights stay in L2 only if all of them fit
  double seconds = 0;
};

struct PrefillTiming {  // causal attention of `batch` prompts of `tokens` after `context` cached
  TimingOrigin origin;
  std::string dtype;  // of the KV cache
  double head_dim = 0, heads = 0, kv_heads = 0, batch = 0, tokens = 0, context = 0;
  double seconds = 0;
};

struct DecodeTiming {  // one query per sequence over kv_len tokens
  TimingOrigin origin;
  std::string dtype;
  double head_dim = 0, heads = 0, kv_heads = 0, batch = 0, kv_len = 0;
  double seconds = 0;
};

struct AllReduceTiming {
  TimingOrigin origin;
  double gpus = 0, bytes = 0;  // message bytes of one GPU
  double seconds = 0;
};

struct MixtureTiming {  // one layer of routed experts
  TimingOrigin origin;
  std::string dtype;
  std::string distribution;  // of the routing: "balanced", "power_law_1.2"
  double hidden = 0, width = 0, used = 0, experts = 0;
  double tensor_parallel = 1, expert_parallel = 1, tokens = 0;
  double seconds = 0;
};

enum class CopyDirection { kToGpu, kToHost, kBoth };

struct CopyTiming {
  CopyDirection direction = CopyDirection::kToGpu;
  std::string method;  // as the probe names it; "" = one plain copy
  double bytes = 0;    // payload, of both directions together for kBoth
  double block_bytes = 0;
  double seconds = 0;
};

struct OperatorTable {
  std::vector<GemmTiming> gemm;
  std::vector<PrefillTiming> prefill;
  std::vector<DecodeTiming> decode;
  std::vector<AllReduceTiming> all_reduce;
  std::vector<MixtureTiming> mixture;
  std::vector<CopyTiming> copies;
  std::vector<std::string> skipped;  // files and operations that no fit uses, for the report

  [[nodiscard]] bool empty() const {
    return gemm.empty() && prefill.empty() && decode.empty() && all_reduce.empty() &&
           mixture.empty() && copies.empty();
  }
};

// Adds what `path` holds: a .csv or .json file, or a folder of such files (not its subfolders, by
// name). Throws TraceError naming file:line, ConfigError naming file and JSON path: what was found
// and what is allowed.
void read_operators(const std::string& path, OperatorTable& table);
// The same for one file of JSON samples, and for text that stands for a CSV file (tests).
void read_operator_samples(const std::string& path, OperatorTable& table);
void read_operator_csv_text(const std::string& name, const std::string& text, OperatorTable& table);

// "bfloat16" is "bf16"; other names stay as they are.
[[nodiscard]] std::string plain_dtype(std::string_view name);

// The rows of the newest origin among those that `wanted` takes.
template <class Timing, class Wanted>
std::vector<Timing> newest(const std::vector<Timing>& all, const Wanted& wanted) {
  const TimingOrigin* best = nullptr;
  for (const Timing& row : all)
    if (wanted(row) && (best == nullptr || newer(row.origin, *best))) best = &row.origin;
  std::vector<Timing> rows;
  for (const Timing& row : all)
    if (wanted(row) && row.origin == *best) rows.push_back(row);
  return rows;
}

}  // namespace kvsim
