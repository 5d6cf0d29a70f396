#include <gtest/gtest.h>

#include <cmath>

#include "sim/perf/model_files.hpp"
#include "sim/perf/step_context.hpp"

namespace kvsim {
namespace {

StepShape decode(std::int32_t sequences, std::int64_t context) {
  StepShape shape;
  shape.decode_sequences = sequences;
  shape.decode_context = sequences * context;
  shape.decode_window_context = sequences * std::min<std::int64_t>(context, 128);
  shape.sampled = sequences;
  return shape;
}

StepShape prefill(std::int64_t tokens, std::int64_t context = 0) {
  StepShape shape;
  shape.prefill_sequences = 1;
  shape.prefill_tokens = tokens;
  shape.prefill_context = context;
  const double q = static_cast<double>(tokens);
  shape.prefill_pairs = q * (static_cast<double>(context) + q / 2);
  shape.prefill_window_pairs = q * std::min(q / 2, 128.0);
  shape.sampled = 1;
  return shape;
}

StepShape sum(const StepShape& a, const StepShape& b) {
  StepShape shape;
  shape.prefill_sequences = a.prefill_sequences + b.prefill_sequences;
  shape.prefill_tokens = a.prefill_tokens + b.prefill_tokens;
  shape.prefill_context = a.prefill_context + b.prefill_context;
  shape.prefill_pairs = a.prefill_pairs + b.prefill_pairs;
  shape.prefill_window_pairs = a.prefill_window_pairs + b.prefill_window_pairs;
  shape.decode_sequences = a.decode_sequences + b.decode_sequences;
  shape.decode_context = a.decode_context + b.decode_context;
  shape.decode_window_context = a.decode_window_context + b.decode_window_context;
  shape.sampled = a.sampled + b.sampled;
  return shape;
}

// Kernels alone, as in the published composed steps: no gaps, no sampler, no graph padding.
StepTime::Context kernels_only(const std::string& llm, const std::string& gpu,
                               std::int64_t tp = 1) {
  StepTime::Context context = step_context(llm, gpu, tp, "0.15");
  context.overheads = EngineOverheads{};
  context.graph_sizes.clear();
  return context;
}

double milliseconds(const std::string& plugin, const StepTime::Context& context,
                    const StepShape& shape) {
  return make_step_time(plugin, context)->gpu(shape).count() * 1e3;
}

// Composed steps of Llama-3-8B, milliseconds: own analysis of published operator tables.
struct Composed {
  const char* gpu;
  double decode[6];  // 1, 8, 32, 128 sequences at 1k; 32, 128 at 4k
  double mfu[5];     // prefill of 128, 512, 2048, 8192, 16384 tokens
};
constexpr Composed kComposed[] = {
    {"a100-80-sxm", {11.3, 11.9, 14.9, 24.0, 24.4, 54.3}, {.43, .68, .78, .75, .73}},
    {"l40s", {21.9, 23.7, 31.3, 53.3, 48.4, 121.8}, {.19, .53, .55, .53, .51}},
    {"h100-sxm", {6.1, 6.6, 8.3, 12.7, 12.4, 28.7}, {.25, .63, .70, .67, .68}},
    {"h200-sxm", {4.8, 4.9, 6.3, 9.8, 9.1, 20.8}, {.33, .67, .69, .67, .67}},
    {"b200-sxm", {3.4, 3.3, 4.1, 6.1, 5.8, 13.0}, {.21, .51, .60, .61, .60}},
    {"rtx-pro-6000", {10.9, 11.5, 13.9, 24.2, 23.1, 57.7}, {.31, .62, .73, .74, .73}}};

double model_flops(const LlmProfile& llm, double tokens) {
  const double weights = llm.parameters() - static_cast<double>(2 * llm.vocabulary * llm.hidden);
  return 2 * weights * tokens +
         static_cast<double>(2 * llm.layers * llm.heads * llm.head_dim) * tokens * tokens;
}

TEST(FittedStepTime, ReproducesComposedDecodeSteps) {
  const std::pair<int, int> shapes[] = {{1, 1024},   {8, 1024},  {32, 1024},
                                        {128, 1024}, {32, 4096}, {128, 4096}};
  for (const Composed& row : kComposed) {
    double error_sum = 0;
    const auto context = kernels_only("llama-3-8b", row.gpu);
    for (int i = 0; i < 6; ++i) {
      const double ms = milliseconds("fitted", context, decode(shapes[i].first, shapes[i].second));
      const double error = ms / row.decode[i] - 1;
      std::printf("%-13s decode %3d x %4d: %6.2f ms, composed %6.2f, %+5.1f %%\n", row.gpu,
                  shapes[i].first, shapes[i].second, ms, row.decode[i], error * 100);
      EXPECT_LT(std::abs(error), 0.15) << row.gpu << " " << i;
      error_sum += std::abs(error);
    }
    EXPECT_LT(error_sum / 6, 0.08) << row.gpu;
  }
}

TEST(FittedStepTime, ReproducesComposedPrefillUse) {
  const int prompts[] = {128, 512, 2048, 8192, 16384};
  for (const Composed& row : kComposed) {
    const auto context = kernels_only("llama-3-8b", row.gpu);
    for (int i = 0; i < 5; ++i) {
      const double ms = milliseconds("fitted", context, prefill(prompts[i]));
      const double mfu =
          model_flops(context.llm, prompts[i]) / (ms * 1e-3 * context.gpu.peaks.bf16_flops_per_s);
      std::printf("%-13s prefill %5d: use %.3f, composed %.2f, %+5.1f %%\n", row.gpu, prompts[i],
                  mfu, row.mfu[i], (mfu / row.mfu[i] - 1) * 100);
      EXPECT_NEAR(mfu / row.mfu[i], 1, 0.12) << row.gpu << " " << prompts[i];
    }
  }
}

TEST(FittedStepTime, NeverFallsWithBatchContextOrTokens) {
  for (const char* gpu : {"l4", "h100-sxm", "b200-sxm"}) {
    const auto step = make_step_time("fitted", step_context("llama-3-8b", gpu, 1, "0.15"));
    Seconds last{0};
    for (int batch = 1; batch <= 1024; ++batch) {
      const Seconds now = step->gpu(decode(batch, 1024));
      EXPECT_GE(now, last) << gpu << " batch " << batch;
      last = now;
    }
    last = Seconds(0);
    for (int context = 1; context < 100000; context += 997) {
      const Seconds now = step->gpu(decode(16, context));
      EXPECT_GE(now, last) << gpu << " context " << context;
      last = now;
    }
    last = Seconds(0);
    for (int tokens = 1; tokens <= 16384; tokens += 31) {
      const Seconds now = step->gpu(prefill(tokens));
      EXPECT_GE(now, last) << gpu << " tokens " << tokens;
      last = now;
    }
  }
}

TEST(FittedStepTime, TwoRanksAreFasterThanOneButNotTwice) {
  for (const char* gpu : {"a100-80-sxm", "h100-sxm", "l40s"}) {
    const auto one = kernels_only("qwen3-14b", gpu, 1);
    const auto two = kernels_only("qwen3-14b", gpu, 2);
    const StepShape shape = decode(16, 2048);
    EXPECT_LT(milliseconds("fitted", two, shape), milliseconds("fitted", one, shape)) << gpu;
    EXPECT_GT(2 * milliseconds("fitted", two, shape), milliseconds("fitted", one, shape)) << gpu;
  }
}

TEST(FittedStepTime, PrefillOnFourPcieGpusIsSlowerThanOnTwo) {
  const auto two = kernels_only("llama-3.1-70b", "l40s", 2);
  const auto four = kernels_only("llama-3.1-70b", "l40s", 4);
  EXPECT_GT(milliseconds("fitted", four, prefill(8192)),
            milliseconds("fitted", two, prefill(8192)));
}

TEST(FittedStepTime, AMixedStepIsNeverCheaperThanEitherPart) {
  for (const char* llm : {"llama-3-8b", "gpt-oss-20b", "deepseek-v3"}) {
    const bool huge = std::string(llm) == "deepseek-v3";
    const auto step = make_step_time("fitted", step_context(llm, "h200-sxm", huge ? 8 : 1, "0.15"));
    for (const int batch : {1, 7, 64, 300, 700})
      for (const int context : {16, 1000, 30000})
        for (const int tokens : {1, 16, 130, 2048, 8192}) {
          const StepShape d = decode(batch, context);
          const StepShape p = prefill(tokens, context);
          const Seconds mixed = step->gpu(sum(d, p));
          EXPECT_GE(mixed, step->gpu(d)) << llm << batch << " " << context << " " << tokens;
          EXPECT_GE(mixed, step->gpu(p)) << llm << batch << " " << context << " " << tokens;
        }
  }
}

TEST(FittedStepTime, IsNeverFasterThanTheRoofline) {
  for (const std::string& gpu : model_names("gpu"))
    for (const char* llm : {"llama-3-8b", "llama-3.1-8b-fp8", "qwen3-30b-a3b", "gpt-oss-20b"}) {
      const auto context = kernels_only(llm, gpu);
      for (const StepShape& shape : {decode(1, 100), decode(64, 2000), prefill(64), prefill(4096),
                                     sum(decode(32, 8000), prefill(512, 20000))})
        EXPECT_LE(milliseconds("roofline", context, shape), milliseconds("fitted", context, shape))
            << gpu << " " << llm;
    }
}

TEST(FittedStepTime, DecodeBatchesCostWhatTheNextCapturedGraphCosts) {
  const auto step = make_step_time("fitted", step_context("llama-3-8b", "h100-sxm", 1, "0.15"));
  StepShape nine = decode(9, 0);
  StepShape sixteen = decode(16, 0);
  nine.sampled = sixteen.sampled = 0;
  const EngineOverheads overheads = step_context("llama-3-8b", "h100-sxm", 1, "0.15").overheads;
  EXPECT_NEAR((step->gpu(sixteen) - step->gpu(nine)).count(), 7 * overheads.gap_sequence.count(),
              1e-12);
}

TEST(FittedStepTime, Fp8PrefillIsFasterButNotTwice) {
  for (const char* gpu : {"h100-sxm", "h200-sxm", "l40s"}) {
    const double bf16 = milliseconds("fitted", kernels_only("llama-3.1-70b", gpu), prefill(4096));
    auto context = kernels_only("llama-3.1-70b-fp8", gpu);
    const double apart = milliseconds("fitted", context, prefill(4096));
    EXPECT_GT(bf16 / apart, 1.15) << gpu;
    context.overheads.quantise_share = 0;  // fused into the kernels before
    const double fused = milliseconds("fitted", context, prefill(4096));
    EXPECT_LT(bf16 / fused, 2) << gpu;
    EXPECT_GT(apart, fused) << gpu;
  }
}

TEST(FittedStepTime, Fp8WeightsWithoutFp8UnitsStillSpeedUpTheDecode) {
  const double bf16 =
      milliseconds("fitted", kernels_only("llama-3.1-70b", "a100-80-sxm"), decode(1, 10));
  const double fp8 =
      milliseconds("fitted", kernels_only("llama-3.1-70b-fp8", "a100-80-sxm"), decode(1, 10));
  EXPECT_GT(bf16 / fp8, 1.4);
}

TEST(FittedStepTime, AHitPrefixStillCostsAttentionOverIt) {
  const auto context = kernels_only("llama-3-8b", "h100-sxm");
  const double cold = milliseconds("fitted", context, prefill(512));
  const double hit = milliseconds("fitted", context, prefill(512, 30000));
  const double whole = milliseconds("fitted", context, prefill(30512));
  EXPECT_GT(hit, cold * 1.2);
  EXPECT_LT(hit, whole / 10);
}

TEST(FittedStepTime, ASlidingWindowFlattensTheCostOfContext) {
  const auto context = kernels_only("gpt-oss-20b", "h100-sxm");
  auto unwindowed = context;
  unwindowed.llm.window.reset();
  const double with = milliseconds("fitted", context, decode(64, 30000)) -
                      milliseconds("fitted", context, decode(64, 1000));
  const double without = milliseconds("fitted", unwindowed, decode(64, 30000)) -
                         milliseconds("fitted", unwindowed, decode(64, 1000));
  EXPECT_NEAR(with / without, 0.5, 0.02);
}

TEST(FittedStepTime, LatentDecodeMatchesTheMeasuredPoint) {
  // 128 heads on one GPU, batch 128, 8,192 tokens of context: 588 us a layer measured on H100.
  const auto context = kernels_only("deepseek-v3", "h100-sxm");
  const double growth = milliseconds("fitted", context, decode(128, 8192)) -
                        milliseconds("fitted", context, decode(128, 1));
  EXPECT_NEAR(growth / 61 * 1e3, 588, 60);
}

TEST(FittedStepTime, ExpertsCostWhatTheTablesMeasured) {
  // One MoE layer of Qwen3-30B-A3B on H100, power-law routing, us: published operator tables.
  const auto context = kernels_only("qwen3-30b-a3b", "h100-sxm");
  auto twice = context;
  twice.llm.mixture->expert_ff *= 2;
  for (const auto& [tokens, measured] :
       {std::pair<int, double>{64, 444}, {1024, 554}, {4096, 984}, {16384, 3097}}) {
    // Doubling the expert width doubles all but the launch; the difference is one layer's growth.
    const double growth = (milliseconds("fitted", twice, prefill(tokens)) -
                           milliseconds("fitted", context, prefill(tokens))) /
                          48 * 1e3;
    EXPECT_NEAR(growth / (measured - 30), 1, 0.30) << tokens;
  }
}

TEST(FittedStepTime, DoesNotDependOnWhatWasAskedBefore) {
  const auto context = step_context("qwen3-32b", "h100-sxm", 2, "0.15");
  const auto warm = make_step_time("fitted", context);
  for (int n = 1; n < 3000; n += 7) (void)warm->gpu(sum(prefill(n), decode(n % 200 + 1, n)));
  for (const StepShape& shape : {decode(37, 999), prefill(700, 64), sum(decode(3, 9), prefill(5))})
    EXPECT_EQ(warm->gpu(shape), make_step_time("fitted", context)->gpu(shape));
}

TEST(FittedStepTime, AnAllReduceGroupWithoutFiguresIsRefused) {
  EXPECT_THROW(make_step_time("fitted", kernels_only("llama-3.1-70b", "h100-sxm", 16)),
               ConfigError);
}

TEST(ConstantStepTime, IsLinearInTheShape) {
  const Json json = {{"kind", "constant"},
                     {"fixed_s", 0.25},
                     {"prefill_s_per_token", 0.5},
                     {"decode_s_per_sequence", 2.0},
                     {"decode_s_per_context_token", 0.125}};
  const auto step = Registry<StepTime>::instance().make(ConfigNode(json, "x"), StepTime::Context{});
  EXPECT_DOUBLE_EQ(step->gpu(sum(prefill(3), decode(2, 4))).count(), 0.25 + 1.5 + 4 + 1);
}

TEST(CpuTime, GrowsWithTheSequences) {
  const auto step = make_step_time("fitted", step_context("llama-3-8b", "h100-sxm", 1, "0.11"));
  EXPECT_GT(step->cpu(decode(100, 10)), step->cpu(decode(1, 10)));
  EXPECT_GT(step->cpu(decode(1, 10)), Seconds(0));
}

}  // namespace
}  // namespace kvsim
