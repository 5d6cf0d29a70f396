// Matrix products by cuBLASLt, as engines run them: row-major activations times the transpose of
// row-major weights, the first algorithm of the library's heuristic, 32 MiB of workspace.
#include <cublasLt.h>

#include <algorithm>

#include "kernels/probe/session.hpp"

namespace kvsim::kernels {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;
constexpr std::int64_t kWeightCopies = 6;  // cycled, so that weights come from memory

void require_lt(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw DeviceError(std::string("cuBLASLt, ") + what + ": " + cublasLtGetStatusString(status));
  }
}

class Handle {
 public:
  Handle() { require_lt(cublasLtCreate(&handle_), "start"); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { cublasLtDestroy(handle_); }
  [[nodiscard]] cublasLtHandle_t get() const { return handle_; }

 private:
  cublasLtHandle_t handle_ = nullptr;
};

class Matrix {
 public:
  Matrix(cudaDataType_t type, std::int64_t rows, std::int64_t columns) {
    require_lt(cublasLtMatrixLayoutCreate(&layout_, type, static_cast<std::uint64_t>(rows),
                                          static_cast<std::uint64_t>(columns), rows),
               "layout");
  }
  Matrix(const Matrix&) = delete;
  Matrix& operator=(const Matrix&) = delete;
  ~Matrix() { cublasLtMatrixLayoutDestroy(layout_); }
  [[nodiscard]] cublasLtMatrixLayout_t get() const { return layout_; }

 private:
  cublasLtMatrixLayout_t layout_ = nullptr;
};

// cuBLASLt counts columns first, so it computes out^T[n][m] = weight[n][k] * in^T[k][m]: the
// weights are "transposed", which is also the only form that FP8 has.
class Product {
 public:
  Product(const Handle& handle, const GemmShape& shape)
      : handle_(handle),
        input_type_(shape.dtype == "fp8" ? CUDA_R_8F_E4M3 : CUDA_R_16BF),
        weight_(input_type_, shape.k, shape.n),
        in_(input_type_, shape.k, shape.m),
        out_(CUDA_R_16BF, shape.n, shape.m) {
    require_lt(cublasLtMatmulDescCreate(&what_, CUBLAS_COMPUTE_32F, CUDA_R_32F), "product");
    const cublasOperation_t transposed = CUBLAS_OP_T;
    require_lt(cublasLtMatmulDescSetAttribute(what_, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                              sizeof(transposed)),
               "transposition");
    cublasLtMatmulPreference_t preference = nullptr;
    require_lt(cublasLtMatmulPreferenceCreate(&preference), "preference");
    const std::size_t bytes = kWorkspaceBytes;
    cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                         &bytes, sizeof(bytes));
    int found = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle.get(), what_, weight_.get(), in_.get(), out_.get(),
                                       out_.get(), preference, 1, &algorithm_, &found);
    cublasLtMatmulPreferenceDestroy(preference);
    supported_ = status == CUBLAS_STATUS_SUCCESS && found > 0;
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;
  ~Product() { cublasLtMatmulDescDestroy(what_); }

  [[nodiscard]] bool supported() const { return supported_; }

  void run(const void* weight, const void* in, void* out, void* workspace, cudaStream_t stream) {
    const float one = 1;
    const float zero = 0;
    require_lt(cublasLtMatmul(handle_.get(), what_, &one, weight, weight_.get(), in, in_.get(),
                              &zero, out, out_.get(), out, out_.get(), &algorithm_.algo, workspace,
                              kWorkspaceBytes, stream),
               "matrix product");
  }

 private:
  const Handle& handle_;
  cudaDataType_t input_type_;
  cublasLtMatmulDesc_t what_ = nullptr;
  Matrix weight_;
  Matrix in_;
  Matrix out_;
  cublasLtMatmulHeuristicResult_t algorithm_{};
  bool supported_ = false;
};

std::string name_of(const GemmShape& shape) {
  return "gemm " + std::to_string(shape.m) + " " + std::to_string(shape.n) + " " +
         std::to_string(shape.k) + " " + shape.dtype;
}

void measure_gemm(Session& session, const GemmShape& shape) {
  const bool fp8 = shape.dtype == "fp8";
  if (fp8 && session.device().capability < 89) {
    return session.skip(name_of(shape), "FP8 needs compute capability 8.9");
  }
  const std::int64_t number_bytes = fp8 ? 1 : 2;
  const std::int64_t weight_bytes = shape.n * shape.k * number_bytes;
  const std::int64_t rest_bytes = shape.m * (shape.k + shape.n) * 2 + (std::int64_t{256} << 20);
  // Small weights need more copies to overflow the L2 cache.
  const std::int64_t wanted =
      std::max(kWeightCopies, 2 * session.device().l2_bytes / weight_bytes + 1);
  const std::int64_t copies = std::min(wanted, (memory_budget() - rest_bytes) / weight_bytes);
  if (copies < 1) return session.skip(name_of(shape), "more weights than memory");
  const Handle handle;
  Product product(handle, shape);
  if (!product.supported()) return session.skip(name_of(shape), "cuBLASLt has no algorithm");

  const DeviceBuffer<std::byte> weights(static_cast<std::size_t>(copies * weight_bytes));
  const DeviceBuffer<std::byte> in(static_cast<std::size_t>(shape.m * shape.k * number_bytes));
  const DeviceBuffer<std::byte> out(static_cast<std::size_t>(shape.m * shape.n * 2));
  const DeviceBuffer<std::byte> workspace(kWorkspaceBytes);
  fill_random(weights.data(), weights.size());
  fill_random(in.data(), in.size());
  GpuStopwatch stopwatch(session.stream(), [&](int run) {
    product.run(weights.data() + run % copies * weight_bytes, in.data(), out.data(),
                workspace.data(), session.stream().get());
  });
  Work work{"gemm",
            {label("dtype", shape.dtype), label("m", static_cast<double>(shape.m)),
             label("n", static_cast<double>(shape.n)), label("k", static_cast<double>(shape.k)),
             label("weight_copies", static_cast<double>(copies))}};
  work.bytes =
      static_cast<double>(weight_bytes + shape.m * shape.k * number_bytes + shape.m * shape.n * 2);
  work.flops = 2.0 * static_cast<double>(shape.m) * static_cast<double>(shape.n) *
               static_cast<double>(shape.k);
  session.measure(work, stopwatch);
}

}  // namespace

void add_gemm(std::vector<Step>& steps, const Shapes& shapes) {
  for (const GemmShape& shape : shapes.gemm) {
    steps.push_back({name_of(shape), [=](Session& session) { measure_gemm(session, shape); }});
  }
}

}  // namespace kvsim::kernels
