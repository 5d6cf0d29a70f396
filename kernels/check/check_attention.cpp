#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention.hpp"
#include "kernels/check/check.hpp"
#include "kernels/device_memory.hpp"

namespace kvsim::kernels {
namespace {

struct AttentionCase {
  int heads;
  int kv_heads;
  int head_dim;
  int block_tokens;
  int chunk;
  std::vector<std::int32_t> kv_lengths;
};

std::string describe(const AttentionCase& c) {
  std::string lengths;
  for (const int length : c.kv_lengths) lengths += " " + std::to_string(length);
  return std::to_string(c.heads) + "/" + std::to_string(c.kv_heads) + " heads of " +
         std::to_string(c.head_dim) + ", blocks of " + std::to_string(c.block_tokens) + ", chunk " +
         std::to_string(c.chunk) + ", lengths" + lengths;
}

// Keys and values with NaN wherever no sequence has a token, so that reading there shows.
struct Inputs {
  explicit Inputs(const AttentionCase& c);

  AttentionShape shape;
  int table_stride;
  std::vector<std::int32_t> tables;
  std::vector<Bf16> keys;
  std::vector<Bf16> values;
  std::vector<Bf16> queries;
};

Inputs::Inputs(const AttentionCase& c)
    : shape{c.heads, c.kv_heads, c.head_dim, c.block_tokens,
            1.0F / std::sqrt(static_cast<float>(c.head_dim))} {
  const int longest = *std::max_element(c.kv_lengths.begin(), c.kv_lengths.end());
  const int sequences = static_cast<int>(c.kv_lengths.size());
  table_stride = longest / c.block_tokens + 1;
  int blocks = sequences * table_stride + 1;
  if (blocks % 7 == 0) ++blocks;
  const auto order = block_table(blocks);
  tables.assign(order.begin(), order.begin() + sequences * table_stride);
  const std::int64_t row = static_cast<std::int64_t>(c.kv_heads) * c.head_dim;
  const std::vector<Bf16> nan(static_cast<std::size_t>(blocks * c.block_tokens * row),
                              to_bf16(std::numeric_limits<float>::quiet_NaN()));
  keys = values = nan;
  for (int s = 0; s < sequences; ++s) {
    for (int t = 0; t < c.kv_lengths[static_cast<std::size_t>(s)]; ++t) {
      const int block = tables[static_cast<std::size_t>(s * table_stride + t / c.block_tokens)];
      const std::int64_t at = (block * c.block_tokens + t % c.block_tokens) * row;
      const unsigned salt = static_cast<unsigned>(s * 100000 + t);
      auto key = numbers(row, salt * 2);
      const auto value = numbers(row, salt * 2 + 1);
      // Some keys stand out, so that the running maximum moves.
      if (t % 37 == 20) {
        for (Bf16& x : key) x = to_bf16(to_float(x) * 8);
      }
      std::copy(key.begin(), key.end(), keys.begin() + at);
      std::copy(value.begin(), value.end(), values.begin() + at);
    }
  }
  queries = numbers(static_cast<std::int64_t>(sequences) * c.chunk * c.heads * c.head_dim, 77);
}

// All |values| are below 1.
bool close(const std::vector<Bf16>& a, const std::vector<Bf16>& b) {
  constexpr float kTolerance = 1.0F / 256;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!(std::abs(to_float(a[i]) - to_float(b[i])) <= kTolerance)) return false;
  }
  return a.size() == b.size();
}

struct OnDevice {
  OnDevice(const AttentionCase& c, const Inputs& in)
      : keys(in.keys),
        values(in.values),
        tables(in.tables),
        lengths(c.kv_lengths),
        queries(in.queries),
        out(std::vector<Bf16>(in.queries.size())),
        sequences{keys.data(),    values.data(),   tables.data(),
                  lengths.data(), in.table_stride, static_cast<int>(c.kv_lengths.size())} {}

  DeviceBuffer<Bf16> keys, values;
  DeviceBuffer<std::int32_t> tables, lengths;
  DeviceBuffer<Bf16> queries, out;
  PagedSequences sequences;
};

void check_case(Report& report, const AttentionCase& c) {
  const Inputs in(c);
  std::vector<Bf16> expected(in.queries.size());
  const PagedSequences sequences{in.keys.data(),   in.values.data(),
                                 in.tables.data(), c.kv_lengths.data(),
                                 in.table_stride,  static_cast<int>(c.kv_lengths.size())};
  attention_reference(in.shape, sequences, c.chunk, in.queries.data(), expected.data());
  const OnDevice device(c, in);
  prefill_attention_device(in.shape, device.sequences, c.chunk, device.queries.data(),
                           device.out.data(), nullptr);
  report.expect(close(device.out.fetch(), expected), "prefill attention: " + describe(c));
  if (c.chunk != 1) return;
  for (const int splits : {1, 3}) {
    const DeviceBuffer<float> workspace(static_cast<std::size_t>(
        decode_workspace(in.shape, static_cast<int>(c.kv_lengths.size()), splits)));
    require(cudaMemset(device.out.data(), 0xff, in.queries.size() * 2), "memset");
    decode_attention_device(in.shape, device.sequences, splits, device.queries.data(),
                            workspace.data(), device.out.data(), nullptr);
    report.expect(close(device.out.fetch(), expected),
                  "decode attention, " + std::to_string(splits) + " splits: " + describe(c));
  }
}

// With equal keys all weights are equal, so the result is the mean of the values.
void check_the_reference(Report& report) {
  const AttentionShape shape{1, 1, 2, 4, 1};
  std::vector<Bf16> keys(16, to_bf16(0.5F));
  std::vector<Bf16> values(16);
  for (int i = 0; i < 16; ++i) values[static_cast<std::size_t>(i)] = to_bf16(static_cast<float>(i));
  const std::int32_t table[] = {1, 0};
  const std::int32_t lengths[] = {5};
  const std::vector<Bf16> queries(2 * 2, to_bf16(1));
  std::vector<Bf16> out(4);
  attention_reference(shape, {keys.data(), values.data(), table, lengths, 2, 1}, 2, queries.data(),
                      out.data());
  // Tokens 0..3 are in block 1 (values 8, 10, 12, 14), token 4 in block 0 (value 0).
  report.expect(to_float(out[0]) == 11.0F, "the first token of the chunk sees four");
  report.expect(std::abs(to_float(out[2]) - 8.8F) < 0.05F, "the second token sees five");
}

}  // namespace

void check_attention(Report& report, bool large) {
  check_the_reference(report);
  std::vector<AttentionCase> cases = {
      {2, 2, 64, 16, 1, {1, 16, 17}}, {8, 2, 64, 4, 1, {70, 3}}, {4, 1, 128, 16, 1, {33}},
      {20, 1, 64, 16, 1, {40}},  // more heads in a group than rows of a warp
      {8, 2, 64, 16, 5, {5, 42}},     {2, 1, 128, 16, 40, {47}}, {1, 1, 64, 8, 66, {66}},
  };
  if (large) {
    cases.push_back({32, 8, 128, 16, 1, {1000, 4097, 15}});
    cases.push_back({64, 8, 128, 16, 1, {2048}});
    cases.push_back({32, 8, 128, 16, 200, {200, 711}});
    cases.push_back({24, 2, 64, 32, 129, {400}});
  }
  for (const AttentionCase& c : cases) check_case(report, c);
  const AttentionShape uneven{3, 2, 64, 16, 1};
  PagedSequences one;
  one.sequences = one.table_stride = 1;
  report.expect_refused([&] { check_attention(uneven, one, 1); }, "3 heads over 2 KV heads");
  const AttentionShape odd{2, 2, 80, 16, 1};
  report.expect_refused([&] { prefill_attention_device(odd, one, 1, nullptr, nullptr, nullptr); },
                        "head_dim of 80");
  report.expect(decode_splits({32, 8, 128, 16, 1}, 1, 32768, 132) == 64, "one long sequence");
  report.expect(decode_splits({32, 8, 128, 16, 1}, 256, 32768, 132) == 1, "a full batch");
  report.expect(decode_splits({32, 8, 128, 16, 1}, 1, 100, 132) == 1, "a short sequence");
}

}  // namespace kvsim::kernels
