// Which matrix products and attentions are timed: those of the models, or those of a file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvsim::kernels {

// out[m][n] = in[m][k] * weight[n][k]
struct GemmShape {
  std::int64_t m = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
  std::string dtype;  // "bfloat16" or "fp8" (E4M3, result in bf16)
  bool operator==(const GemmShape&) const = default;
};

struct DecodeShape {
  int batch = 0;
  int kv_len = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
};

struct PrefillShape {
  int chunk = 0;
  int context = 0;  // tokens before the chunk
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
};

struct Shapes {
  std::vector<GemmShape> gemm;
  std::vector<DecodeShape> decode;
  std::vector<PrefillShape> prefill;
};

// Llama-3-8B/70B and Qwen3-8B/14B/32B at TP 1, 2, 4, 8 (quick: a few of them), each shape once.
// Sizes from the models' config.json.
Shapes model_shapes(bool full, bool fp8);
// The lines that usage_text() describes. Throws UsageError with the line's number. `name` is for
// messages.
Shapes parse_shapes(const std::string& text, const std::string& name);

}  // namespace kvsim::kernels
