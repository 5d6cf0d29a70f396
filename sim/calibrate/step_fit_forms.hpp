// The forms of the fitted step time (sim/perf/matrix_time.cpp, sim/perf/attention_time.cpp) as
// functions of coefficients, and the rows of an operator table that suit them. Peaks are the
// datasheet's. Rows that the second-level cache may have served are left out or raised to memory
// speed: a step reads every weight and every block from memory.
#pragma once

#include <string>

#include "sim/calibrate/operator_table.hpp"
#include "sim/calibrate/step_fit.hpp"
#include "sim/perf/gpu_profile.hpp"

namespace kvsim {

// t0 + quantise + [compute^p + memory^p]^(1/p); start: grid over p and t0, 2 x 2 least squares.
// fp8: of the rows with m > 2, those whose number is a multiple of 4. The share of the peak stays
// below `largest_share`: what the GPU sustains, which timings of a few products may exceed.
constexpr double kUnboundedShare = 1.2;
StepForm gemm_form(bool fp8, double largest_share = kUnboundedShare);
// What one row more than a multiple of 4 takes, in rows of `fit`: the median over shapes, from 513
// to 2,049 rows; 0 without such timings.
double unaligned_rows(const OperatorTable& table, const GemmFit& fit, const GpuPeaks& peaks);
FitRows gemm_rows(const OperatorTable& table, const std::string& dtype, const GpuPeaks& peaks,
                  std::string& rows_of);

// max(floor, t0 + KV bytes / (e W))
StepForm decode_form();
FitRows decode_rows(const OperatorTable& table, const std::string& dtype, const GpuPeaks& peaks,
                    std::string& rows_of);

// t0 + operations / (eA P) + activations / (eT W)
StepForm prefill_form();
FitRows prefill_rows(const OperatorTable& table, const std::string& dtype, const GpuPeaks& peaks,
                     std::string& rows_of);

// latency + bytes / rate of two; of more, min(latency + bytes of the others / rate, latency + bytes
// / rate): one step or two.
StepForm all_reduce_form(std::int64_t gpus);
FitRows all_reduce_rows(const OperatorTable& table, std::int64_t gpus, std::string& rows_of);

// The matrix form over the experts touched, with skewed routing.
StepForm mixture_form();
FitRows mixture_rows(const OperatorTable& table, const GpuPeaks& peaks, std::string& rows_of);

}  // namespace kvsim
