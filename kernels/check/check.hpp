// The checks of the kernels, without a test framework so that they also run on a bare GPU machine.
// One source, two builds: on the emulation (kernels_check, everywhere) and on a GPU
// (gpu_probe --check).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/host_device.hpp"

namespace kvsim::kernels {

class Report {
 public:
  void expect(bool condition, const std::string& what) {
    ++comparisons_;
    if (condition) return;
    ++failures_;
    std::fprintf(stderr, "FAILED %s\n", what.c_str());
  }

  template <class Action>
  void expect_refused(Action action, const std::string& what) {
    bool refused = false;
    try {
      action();
    } catch (const std::invalid_argument&) {
      refused = true;
    }
    expect(refused, what);
  }

  [[nodiscard]] int comparisons() const { return comparisons_; }
  [[nodiscard]] int failures() const { return failures_; }

 private:
  int comparisons_ = 0;
  int failures_ = 0;
};

// Pure host code: the same wherever it runs.
void check_numbers(Report& report);
void check_bench(Report& report);
void check_probe_parts(Report& report);

// Kernels against references. `large` adds cases that are quick only on a GPU.
void check_paged_kv(Report& report, bool large);
void check_packed_kv(Report& report, bool large);
void check_bytes(Report& report, bool large);
void check_copy_paths(Report& report, bool large);
void check_attention(Report& report, bool large);
void check_elementwise(Report& report, bool large);

// All kernels in turn, one line each on stdout. How many comparisons failed.
int check_kernels(bool large);

// --- data ---------------------------------------------------------------------------------------

using Memory = std::vector<std::byte>;

// Bytes that differ from their neighbours at every stride that occurs (Knuth's multiplier).
inline Memory pattern(std::int64_t bytes, unsigned salt) {
  Memory out(static_cast<std::size_t>(bytes));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<std::byte>(((static_cast<unsigned>(i) + salt) * 2654435761U) >> 24);
  }
  return out;
}

// Numbers in (-1, 1), the same on every machine.
inline std::vector<Bf16> numbers(std::int64_t count, unsigned salt) {
  std::vector<Bf16> out(static_cast<std::size_t>(count));
  std::uint32_t state = salt * 747796405U + 2891336453U;
  for (Bf16& x : out) {
    state = state * 1664525U + 1013904223U;
    x = to_bf16(static_cast<float>(static_cast<std::int32_t>(state)) * 4.656612873e-10F);
  }
  return out;
}

// Distinct blocks in no order; `blocks` must not be a multiple of 7.
inline std::vector<std::int32_t> block_table(std::int64_t blocks) {
  std::vector<std::int32_t> table(static_cast<std::size_t>(blocks));
  for (std::size_t i = 0; i < table.size(); ++i) {
    table[i] = static_cast<std::int32_t>((i * 7 + 2) % table.size());
  }
  return table;
}

inline bool same(const std::vector<Bf16>& a, const std::vector<Bf16>& b) {
  bool equal = a.size() == b.size();
  for (std::size_t i = 0; equal && i < a.size(); ++i) equal = a[i].bits == b[i].bits;
  return equal;
}

}  // namespace kvsim::kernels
