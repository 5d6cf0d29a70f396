// The part of nvcuda::wmma that the attention kernels use, on the CPU: every lane holds whole
// matrices and computes all of them, but stores only its share, so that a missing __syncwarp()
// shows as wrong results.
#pragma once

#include <type_traits>

#include "kernels/emulated/cuda_runtime.hpp"
#include "kernels/host_device.hpp"

namespace kvsim::kernels::emulated::wmma {

struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
enum layout_t { mem_row_major, mem_col_major };

template <class Use, int kM, int kN, int kK, class T, class Layout = row_major>
struct fragment {
  static_assert(kM == 16 && kN == 16 && kK == 16);
  static constexpr int num_elements = 256;
  float x[256];  // [row][column]
};

inline float number(float x) { return x; }
inline float number(Bf16 x) { return to_float(x); }

template <class T>
void load(float* x, const T* from, unsigned stride, bool rows) {
  for (unsigned r = 0; r < 16; ++r) {
    for (unsigned c = 0; c < 16; ++c) {
      x[r * 16 + c] = number(from[rows ? r * stride + c : c * stride + r]);
    }
  }
}

template <class Use, class T, class Layout>
void load_matrix_sync(fragment<Use, 16, 16, 16, T, Layout>& to, const T* from, unsigned stride) {
  load(to.x, from, stride, std::is_same_v<Layout, row_major>);
}

inline void load_matrix_sync(fragment<accumulator, 16, 16, 16, float>& to, const float* from,
                             unsigned stride, layout_t layout) {
  load(to.x, from, stride, layout == mem_row_major);
}

inline void store_matrix_sync(float* to, const fragment<accumulator, 16, 16, 16, float>& from,
                              unsigned stride, layout_t layout) {
  for (unsigned i = lane(); i < 256; i += 32) {
    const unsigned r = i / 16;
    const unsigned c = i % 16;
    to[layout == mem_row_major ? r * stride + c : c * stride + r] = from.x[i];
  }
}

template <class F>
void fill_fragment(F& to, float value) {
  for (float& x : to.x) x = value;
}

template <class A, class B>
void mma_sync(fragment<accumulator, 16, 16, 16, float>& to, const A& a, const B& b,
              const fragment<accumulator, 16, 16, 16, float>& c) {
  for (unsigned i = 0; i < 16; ++i) {
    for (unsigned j = 0; j < 16; ++j) {
      float sum = c.x[i * 16 + j];
      for (unsigned k = 0; k < 16; ++k) sum += a.x[i * 16 + k] * b.x[k * 16 + j];
      to.x[i * 16 + j] = sum;
    }
  }
}

}  // namespace kvsim::kernels::emulated::wmma
