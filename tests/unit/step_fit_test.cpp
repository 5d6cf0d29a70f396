// Fits get back the coefficients that made the timings, and readers name what is wrong.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "sim/base/errors.hpp"
#include "sim/base/rng.hpp"
#include "sim/calibrate/gpu_fit.hpp"
#include "sim/calibrate/gpu_fit_file.hpp"
#include "sim/calibrate/step_fit_forms.hpp"

namespace kvsim {
namespace {

GpuPeaks peaks() {
  GpuPeaks peaks;
  peaks.bf16_flops_per_s = 1e15;
  peaks.memory = Bandwidth(3e12);
  peaks.l2 = Bytes(50'000'000);
  return peaks;
}

// Rows made by the form itself, with a little noise when asked for.
void make_seconds(const StepForm& form, const Coefficients& truth, FitRows& rows, double noise) {
  Rng rng = stream(7, "test/noise");
  for (FitRow& row : rows) row.seconds = form.seconds(truth, row) * std::exp(rng.normal(0, noise));
}

OperatorTable gemm_shapes() {
  OperatorTable table;
  for (const double n : {4096, 6144, 10240, 14336, 28672})
    for (const double k : {4096, 8192, 14336})
      for (double m = 1; m <= 8192; m *= 2) table.gemm.push_back({{}, "bf16", m, n, k, 6, 1e-5});
  return table;
}

FitRows gemm_truth(const Coefficients& truth, double noise) {
  std::string rows_of;
  FitRows rows = gemm_rows(gemm_shapes(), "bf16", peaks(), rows_of);
  make_seconds(gemm_form(false), truth, rows, noise);
  return rows;
}

TEST(StepFit, FindsTheCoefficientsThatMadeExactGemmTimings) {
  const Coefficients truth{3.7e-6, 0.81, 0.88, 3.3};
  const StepFit fit = fit_form(gemm_form(false), gemm_truth(truth, 0), {});
  for (std::size_t i = 0; i < truth.size(); ++i) EXPECT_NEAR(fit.values[i] / truth[i], 1, 1e-3);
  EXPECT_LT(fit.report.held_out.mean, 1e-3);
}

TEST(StepFit, IntervalsHoldTheTruthUnderNoise) {
  const Coefficients truth{3.7e-6, 0.81, 0.88, 3.3};
  FitOptions options;
  options.resamples = 40;
  const StepFit fit = fit_form(gemm_form(false), gemm_truth(truth, 0.05), options);
  for (const std::size_t share : {1U, 2U}) {
    const FitCoefficient& c = fit.report.coefficients[share];
    EXPECT_LT(c.low, truth[share] * 1.01);
    EXPECT_GT(c.high, truth[share] * 0.99);
    EXPECT_LT(c.high - c.low, 0.1);
    EXPECT_GT(c.high - c.low, 1e-4);
  }
}

TEST(StepFit, HeldOutRowsAreOfShapesThatTheFitDidNotSee) {
  const FitRows rows = gemm_truth({3.7e-6, 0.81, 0.88, 3.3}, 0.05);
  const StepFit fit = fit_form(gemm_form(false), rows, {});
  EXPECT_EQ(fit.report.groups, 15U);
  EXPECT_EQ(fit.report.held_out.rows, 3 * 14U);  // 20 % of 15 shapes, whole
  EXPECT_GT(fit.report.held_out.mean, 0.02);
  EXPECT_LT(fit.report.held_out.mean, 0.08);
}

TEST(StepFit, OneRowInTwentyThatIsThreeTimesTooSlowHardlyMatters) {
  const Coefficients truth{3.7e-6, 0.81, 0.88, 3.3};
  FitRows rows = gemm_truth(truth, 0.01);
  for (std::size_t i = 0; i < rows.size(); i += 20) rows[i].seconds *= 3;
  const StepFit fit = fit_form(gemm_form(false), rows, {});
  EXPECT_NEAR(fit.values[1], truth[1], 0.02);
  EXPECT_NEAR(fit.values[2], truth[2], 0.02);
}

TEST(StepFit, WeightsThatFitTheCacheAreLeftOut) {
  OperatorTable table;
  // Six copies of 2 x 2,048 x 2,048 bytes are 50 MB: less than twice the cache.
  table.gemm.push_back({{}, "bf16", 1, 2048, 2048, 6, 1e-5});
  std::string rows_of;
  EXPECT_TRUE(gemm_rows(table, "bf16", peaks(), rows_of).empty());
  table.gemm.push_back({{}, "bf16", 1, 4096, 4096, 6, 1e-5});
  EXPECT_EQ(gemm_rows(table, "bf16", peaks(), rows_of).size(), 1U);
}

TEST(StepFit, DecodesServedByTheCacheAreRaisedToMemorySpeed) {
  OperatorTable table;
  const double per_token = 2 * 8 * 128 * 2;
  for (const double batch : {1, 8, 64})
    for (const double length : {1024, 4096, 16384}) {
      const double bytes = per_token * batch * length;
      const double rate = bytes < 100e6 ? 9e12 : 0.9 * 3e12;
      table.decode.push_back({{}, "bf16", 128, 32, 8, batch, length, 1e-5 + bytes / rate});
    }
  std::string rows_of;
  for (const FitRow& row : decode_rows(table, "bf16", peaks(), rows_of))
    EXPECT_GE(row.seconds, row.x[0] / 0.91);
}

TEST(StepFit, AllReduceOfTwoIsLatencyAndRate) {
  const StepForm form = all_reduce_form(2);
  FitRows rows;
  for (double bytes = 256; bytes <= 64e6; bytes *= 2)
    rows.push_back({{bytes}, 4e-6 + bytes / 2e11, static_cast<std::int64_t>(bytes)});
  const StepFit fit = fit_form(form, rows, {});
  EXPECT_NEAR(fit.values[0], 4e-6, 1e-9);
  EXPECT_NEAR(fit.values[1] / 2e11, 1, 1e-3);
}

TEST(OperatorTable, TheHeaderTellsTheKind) {
  OperatorTable table;
  read_operator_csv_text("gemm.csv", "vllm,dtype,m,n,k,latency_ms\n0.14.0,bfloat16,1,64,32,0.5\n",
                         table);
  read_operator_csv_text(
      "a.csv", "vllm,kernel,gpus,bytes,latency_ms\n0.9,x_eager,2,256,1\n0.9,x_graph,2,256,0.5\n",
      table);
  ASSERT_EQ(table.gemm.size(), 1U);
  EXPECT_EQ(table.gemm[0].dtype, "bf16");
  EXPECT_DOUBLE_EQ(table.gemm[0].seconds, 0.5e-3);
  ASSERT_EQ(table.all_reduce.size(), 1U);
  EXPECT_DOUBLE_EQ(table.all_reduce[0].seconds, 0.5e-3);
}

TEST(OperatorTable, TheNewestReleaseCountsByNumberNotByText) {
  OperatorTable table;
  read_operator_csv_text(
      "gemm.csv",
      "vllm,dtype,m,n,k,latency_ms\n0.9.0,bfloat16,1,64,32,1\n0.24.0,bfloat16,1,64,32,2\n", table);
  const auto rows = newest(table.gemm, [](const GemmTiming&) { return true; });
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].origin.release, "0.24.0");
}

std::string complaint(const std::string& csv) {
  OperatorTable table;
  try {
    read_operator_csv_text("ops.csv", csv, table);
  } catch (const TraceError& error) {
    return error.what();
  }
  return "";
}

TEST(OperatorTable, ErrorsNameLineFoundAndAllowed) {
  const std::string header = "vllm,dtype,m,n,k,latency_ms\n";
  const std::string zero = complaint(header + "0.1,bfloat16,1,1,1,1\n0.1,bfloat16,1,1,1,0\n");
  EXPECT_NE(zero.find("ops.csv:3"), std::string::npos) << zero;
  EXPECT_NE(zero.find("above 0"), std::string::npos) << zero;
  const std::string unknown = complaint("a,b\n1,2\n");
  EXPECT_NE(unknown.find("ops.csv:1"), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("m,n,k"), std::string::npos) << unknown;
}

TEST(GpuFit, LargeCopiesGiveTheRatesOfTheHostLink) {
  OperatorTable table;
  const double mib = 1024 * 1024;
  table.copies = {{CopyDirection::kToGpu, "", 64 * mib, 64 * mib, 64 * mib / 5e10},
                  {CopyDirection::kToHost, "", 64 * mib, 64 * mib, 64 * mib / 4e10},
                  {CopyDirection::kBoth, "memcpy", 128 * mib, 64 * mib, 128 * mib / 6e10}};
  const GpuFit fit = fit_gpu(table, load_gpu("h100-sxm"), {});
  EXPECT_NEAR(fit.profile.host_link.to_gpu_alone.count(), 5e10, 1);
  EXPECT_NEAR(fit.profile.host_link.to_host_alone.count(), 4e10, 1);
  EXPECT_NEAR(fit.profile.host_link.to_gpu_both.count(), 3e10, 1);
}

TEST(GpuFit, SmallDescriptorsCostWhatWasMeasured) {
  OperatorTable table;
  const double total = 64.0 * 1024 * 1024, block = 16384, seconds = total / 8e9;
  table.copies = {{CopyDirection::kToGpu, "batch", total, block, seconds}};
  const HostLink link = fit_gpu(table, load_gpu("h100-sxm"), {}).profile.host_link;
  ASSERT_EQ(link.small_transfers.size(), 1U);
  const double modelled =
      total / block * link.descriptor.count() + total / link.small_transfers[0].rate.count();
  EXPECT_NEAR(modelled / seconds, 1, 1e-9);
}

TEST(GpuFit, ProfilesAreWrittenInTheLayoutOfTheirFiles) {
  for (const char* name : {"h100-sxm", "l4", "b200-sxm"}) {
    const std::string path = std::string(KVSIM_SOURCE_DIR) + "/models/gpu/" + name + ".json";
    std::ifstream in(path);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    EXPECT_EQ(profile_text(load_json(path)), text) << name;
  }
}

TEST(GpuFit, DriftIsToldByCoefficient) {
  const Json file = {{"gemm_bf16", {{"launch_s", 4e-6}, {"exponent", 2.0}}}};
  EXPECT_TRUE(
      drift_of(file, "gemm_bf16", {{"launch_s", 4.005e-6}, {"exponent", 2.009}}, 0.005).empty());
  const auto drifts = drift_of(file, "gemm_bf16", {{"launch_s", 4e-6}, {"exponent", 2.02}}, 0.005);
  ASSERT_EQ(drifts.size(), 1U);
  EXPECT_EQ(drifts[0].path, "gemm_bf16/exponent");
}

}  // namespace
}  // namespace kvsim
