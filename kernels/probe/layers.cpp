// Element-wise operators and attention.
#include <algorithm>
#include <cmath>

#include "kernels/attention.hpp"
#include "kernels/elementwise.hpp"
#include "kernels/probe/session.hpp"

namespace kvsim::kernels {
namespace {

constexpr int kBlockTokens = 16;

DeviceBuffer<Bf16> random_numbers(std::int64_t count) {
  DeviceBuffer<Bf16> out(static_cast<std::size_t>(count));
  fill_random(out.data(), out.size() * sizeof(Bf16));
  return out;
}

void measure_rows(Session& session, std::int64_t rows, std::int64_t width) {
  constexpr std::int64_t kHeadDim = 128;
  const std::int64_t heads = width / kHeadDim;
  const auto x = random_numbers(rows * 2 * width);
  const auto out = random_numbers(rows * width);
  const auto weight = random_numbers(width);
  DeviceBuffer<std::int32_t> positions(scattered_blocks(rows, rows));
  const DeviceBuffer<float> table(std::vector<float>(static_cast<std::size_t>(rows * kHeadDim), 1));
  const cudaStream_t stream = session.stream().get();
  const std::vector<Label> labels = {label("rows", static_cast<double>(rows)),
                                     label("width", static_cast<double>(width))};
  const auto numbers = static_cast<double>(rows * width);
  const auto run = [&](const char* operation, double bytes, std::function<void(int)> enqueue) {
    GpuStopwatch stopwatch(session.stream(), std::move(enqueue));
    session.measure({operation, labels, bytes}, stopwatch);
  };
  run("rms-norm", numbers * 4, [&](int) {
    run_device(RmsNorm{x.data(), weight.data(), out.data(), rows, width, 1e-5F}, stream);
  });
  run("silu-multiply", numbers * 6, [&](int) {
    run_device(SiluMultiply{x.data(), out.data(), rows, width}, stream);
  });
  run("rotary", numbers * 4, [&](int) {
    run_device(Rotary{x.data(), positions.data(), table.data(), rows, heads, kHeadDim}, stream);
  });
  run("residual-add", numbers * 6, [&](int) {
    run_device(ResidualAdd{out.data(), x.data(), rows * width}, stream);
  });
}

// Sequences of one length in a pool of blocks; several sets of them where one would stay in the L2
// cache from run to run.
class KvPool {
 public:
  KvPool(const Session& session, int sequences, int kv_len, int kv_heads, int head_dim)
      : per_sequence_((kv_len + kBlockTokens - 1) / kBlockTokens),
        block_numbers_(static_cast<std::int64_t>(kBlockTokens) * kv_heads * head_dim),
        sequences_(sequences),
        set_blocks_(static_cast<std::int64_t>(sequences) * per_sequence_),
        sets_(std::clamp<std::int64_t>(2 * session.device().l2_bytes / set_bytes() + 1, 1, 64)),
        keys_(random_numbers(sets_ * set_blocks_ * block_numbers_)),
        values_(random_numbers(sets_ * set_blocks_ * block_numbers_)),
        tables_(scattered_blocks(sets_ * set_blocks_, sets_ * set_blocks_)),
        lengths_(std::vector<std::int32_t>(static_cast<std::size_t>(sequences), kv_len)) {}

  // Whether there is room; the sets beyond the first are bounded by the L2 cache.
  static bool fits(const Session& session, int sequences, int kv_len, int kv_heads, int head_dim) {
    const std::int64_t bytes =
        std::int64_t{4} * sequences * (kv_len + kBlockTokens) * kv_heads * head_dim;
    return bytes + 3 * session.device().l2_bytes + (std::int64_t{1} << 28) < memory_budget();
  }

  [[nodiscard]] PagedSequences set(int run) const {
    return {keys_.data(),    values_.data(), tables_.data() + run % sets_ * set_blocks_,
            lengths_.data(), per_sequence_,  sequences_};
  }

 private:
  [[nodiscard]] std::int64_t set_bytes() const { return set_blocks_ * block_numbers_ * 4; }

  int per_sequence_;
  std::int64_t block_numbers_;
  int sequences_;
  std::int64_t set_blocks_;
  std::int64_t sets_;
  DeviceBuffer<Bf16> keys_;
  DeviceBuffer<Bf16> values_;
  DeviceBuffer<std::int32_t> tables_;
  DeviceBuffer<std::int32_t> lengths_;
};

AttentionShape attention_shape(int heads, int kv_heads, int head_dim) {
  return {heads, kv_heads, head_dim, kBlockTokens, 1.0F / std::sqrt(static_cast<float>(head_dim))};
}

std::vector<Label> head_labels(int heads, int kv_heads, int head_dim) {
  return {label("heads", heads), label("kv_heads", kv_heads), label("head_dim", head_dim),
          label("dtype", "bfloat16"), label("kv_dtype", "bfloat16")};
}

void measure_decode(Session& session, const DecodeShape& d, const std::string& name) {
  if (!KvPool::fits(session, d.batch, d.kv_len, d.kv_heads, d.head_dim)) {
    return session.skip(name, "more KV than memory");
  }
  const AttentionShape shape = attention_shape(d.heads, d.kv_heads, d.head_dim);
  const KvPool pool(session, d.batch, d.kv_len, d.kv_heads, d.head_dim);
  const auto queries = random_numbers(static_cast<std::int64_t>(d.batch) * d.heads * d.head_dim);
  const DeviceBuffer<Bf16> out(queries.size());
  const int splits = decode_splits(shape, d.batch, d.kv_len, session.device().multiprocessors);
  const DeviceBuffer<float> workspace(
      static_cast<std::size_t>(decode_workspace(shape, d.batch, splits)));
  GpuStopwatch stopwatch(session.stream(), [&](int run) {
    decode_attention_device(shape, pool.set(run), splits, queries.data(), workspace.data(),
                            out.data(), session.stream().get());
  });
  Work work{"decode-attention", head_labels(d.heads, d.kv_heads, d.head_dim)};
  work.labels.push_back(label("batch", d.batch));
  work.labels.push_back(label("kv_len", d.kv_len));
  work.labels.push_back(label("splits", splits));
  const double tokens = static_cast<double>(d.batch) * d.kv_len;
  work.bytes = tokens * d.kv_heads * d.head_dim * 4;
  work.flops = tokens * d.heads * d.head_dim * 4;
  session.measure(work, stopwatch);
}

void measure_prefill(Session& session, const PrefillShape& p, const std::string& name) {
  const int kv_len = p.context + p.chunk;
  if (!KvPool::fits(session, 1, kv_len, p.kv_heads, p.head_dim)) {
    return session.skip(name, "more KV than memory");
  }
  const AttentionShape shape = attention_shape(p.heads, p.kv_heads, p.head_dim);
  const KvPool pool(session, 1, kv_len, p.kv_heads, p.head_dim);
  const auto queries = random_numbers(static_cast<std::int64_t>(p.chunk) * p.heads * p.head_dim);
  const DeviceBuffer<Bf16> out(queries.size());
  GpuStopwatch stopwatch(session.stream(), [&](int run) {
    prefill_attention_device(shape, pool.set(run), p.chunk, queries.data(), out.data(),
                             session.stream().get());
  });
  Work work{"prefill-attention", head_labels(p.heads, p.kv_heads, p.head_dim)};
  work.labels.push_back(label("chunk", p.chunk));
  work.labels.push_back(label("context", p.context));
  const double chunk = p.chunk;
  const double pairs = chunk * p.context + chunk * (chunk + 1) / 2;  // a token sees itself too
  work.flops = pairs * p.heads * p.head_dim * 4;
  work.bytes =
      static_cast<double>(kv_len) * p.kv_heads * p.head_dim * 4 + chunk * p.heads * p.head_dim * 4;
  session.measure(work, stopwatch);
}

}  // namespace

void add_elementwise(std::vector<Step>& steps, const Scale& scale) {
  const std::vector<std::int64_t> rows =
      scale.full ? std::vector<std::int64_t>{1, 4, 16, 64, 256, 1024, 4096, 8192}
                 : std::vector<std::int64_t>{1, 256, 4096};
  for (const std::int64_t width : {4096, 5120, 8192}) {
    for (const std::int64_t count : rows) {
      if (count * width * 2 > scale.payload_bytes) continue;
      steps.push_back({"element-wise " + std::to_string(count) + " x " + std::to_string(width),
                       [=](Session& session) { measure_rows(session, count, width); }});
    }
  }
}

void add_attention(std::vector<Step>& steps, const Shapes& shapes) {
  for (const DecodeShape& d : shapes.decode) {
    const std::string name = "decode attention " + std::to_string(d.batch) + " x " +
                             std::to_string(d.kv_len) + ", heads " + std::to_string(d.heads) + "/" +
                             std::to_string(d.kv_heads);
    steps.push_back({name, [=](Session& session) { measure_decode(session, d, name); }});
  }
  for (const PrefillShape& p : shapes.prefill) {
    const std::string name = "prefill attention " + std::to_string(p.chunk) + " after " +
                             std::to_string(p.context) + ", heads " + std::to_string(p.heads) +
                             "/" + std::to_string(p.kv_heads);
    steps.push_back({name, [=](Session& session) { measure_prefill(session, p, name); }});
  }
}

}  // namespace kvsim::kernels
