#include "kernels/bench/shapes.hpp"

#include <algorithm>
#include <sstream>

#include "kernels/bench/arguments.hpp"

namespace kvsim::kernels {
namespace {

struct Model {
  std::int64_t hidden;
  std::int64_t heads;
  std::int64_t kv_heads;
  std::int64_t head_dim;
  std::int64_t intermediate;
  std::int64_t vocabulary;
};

constexpr Model kModels[] = {
    {4096, 32, 8, 128, 14336, 128256},  // Llama-3-8B
    {8192, 64, 8, 128, 28672, 128256},  // Llama-3-70B
    {4096, 32, 8, 128, 12288, 151936},  // Qwen3-8B
    {5120, 40, 8, 128, 17408, 151936},  // Qwen3-14B
    {5120, 64, 8, 128, 25600, 151936},  // Qwen3-32B
};

void add_products(const Model& model, std::int64_t tp, const std::vector<std::int64_t>& rows,
                  const std::string& dtype, std::vector<GemmShape>& out) {
  const std::int64_t q = model.heads * model.head_dim / tp;
  const std::int64_t kv = model.kv_heads * model.head_dim / tp;
  const std::int64_t sizes[][2] = {
      {q + 2 * kv, model.hidden},                   // queries, keys, values
      {model.hidden, q},                            // attention's output
      {2 * model.intermediate / tp, model.hidden},  // gate and up
      {model.hidden, model.intermediate / tp},      // down
      {model.vocabulary / tp, model.hidden},        // logits
  };
  for (const auto& [n, k] : sizes) {
    for (const std::int64_t m : rows) {
      const GemmShape shape{m, n, k, dtype};
      if (std::find(out.begin(), out.end(), shape) == out.end()) out.push_back(shape);
    }
  }
}

struct Heads {
  int heads;
  int kv_heads;
};

}  // namespace

Shapes model_shapes(bool full, bool fp8) {
  Shapes out;
  const std::vector<std::int64_t> rows =
      full
          ? std::vector<std::int64_t>{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192}
          : std::vector<std::int64_t>{1, 64, 512, 4096};
  std::vector<std::string> dtypes = {"bfloat16"};
  if (fp8) dtypes.emplace_back("fp8");
  for (const std::string& dtype : dtypes) {
    if (!full) {
      add_products(kModels[0], 1, rows, dtype, out.gemm);
      continue;
    }
    for (const Model& model : kModels) {
      for (const std::int64_t tp : {1, 2, 4, 8}) add_products(model, tp, rows, dtype, out.gemm);
    }
  }
  // 8B and 32B-like heads per GPU at TP 1, and one KV head at TP 8.
  const std::vector<Heads> heads =
      full ? std::vector<Heads>{{32, 8}, {64, 8}, {40, 8}, {16, 4}, {8, 2}, {8, 1}, {4, 1}}
           : std::vector<Heads>{{32, 8}, {8, 1}};
  const std::vector<int> batches =
      full ? std::vector<int>{1, 4, 16, 64, 128, 256} : std::vector<int>{1, 32};
  const std::vector<int> lengths =
      full ? std::vector<int>{128, 512, 2048, 8192, 32768, 131072} : std::vector<int>{512, 8192};
  const std::vector<int> chunks = full ? std::vector<int>{16, 64, 256, 512, 1024, 2048, 4096, 8192}
                                       : std::vector<int>{256, 2048};
  const std::vector<int> contexts =
      full ? std::vector<int>{0, 1024, 4096, 16384, 65536} : std::vector<int>{0, 8192};
  for (const Heads& h : heads) {
    for (const int batch : batches) {
      for (const int length : lengths) {
        out.decode.push_back({batch, length, h.heads, h.kv_heads, 128});
      }
    }
    for (const int chunk : chunks) {
      for (const int context : contexts) {
        out.prefill.push_back({chunk, context, h.heads, h.kv_heads, 128});
      }
    }
  }
  return out;
}

Shapes parse_shapes(const std::string& text, const std::string& name) {
  Shapes out;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream words(line.substr(0, line.find('#')));
    std::string kind;
    if (!(words >> kind)) continue;
    GemmShape gemm;
    DecodeShape decode;
    PrefillShape prefill;
    bool good = false;
    if (kind == "gemm" && words >> gemm.m >> gemm.n >> gemm.k >> gemm.dtype) {
      good = gemm.m > 0 && gemm.n > 0 && gemm.k > 0 &&
             (gemm.dtype == "bfloat16" || gemm.dtype == "fp8");
      if (good) out.gemm.push_back(gemm);
    } else if (kind == "decode" && words >> decode.batch >> decode.kv_len >> decode.heads >>
                                       decode.kv_heads >> decode.head_dim) {
      good = decode.batch > 0 && decode.kv_len > 0 && decode.heads > 0 && decode.kv_heads > 0;
      if (good) out.decode.push_back(decode);
    } else if (kind == "prefill" && words >> prefill.chunk >> prefill.context >> prefill.heads >>
                                        prefill.kv_heads >> prefill.head_dim) {
      good = prefill.chunk > 0 && prefill.context >= 0 && prefill.heads > 0 && prefill.kv_heads > 0;
      if (good) out.prefill.push_back(prefill);
    }
    if (!good) {
      throw UsageError(name + ":" + std::to_string(number) + ": '" + line +
                       "' is no shape; --help shows how they are written");
    }
  }
  return out;
}

}  // namespace kvsim::kernels
