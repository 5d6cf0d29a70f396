// What a step takes beyond single kernels: exchange of ranks, quantising, shared prefixes, filters.
#include <gtest/gtest.h>

#include "sim/perf/step_context.hpp"
#include "tests/step_shapes.hpp"

namespace kvsim {
namespace {

double seconds(const StepTime::Context& context, const StepShape& shape) {
  return make_step_time("fitted", context)->gpu(shape).count();
}

TEST(AllReduce, SmallMessagesGoInOneStepAndLargeOnesInTwo) {
  // vLLM's custom all-reduce on H100, operator tables of ai-dynamo/aiconfigurator 095f58a5.
  const GpuProfile gpu = load_gpu("h100-sxm");
  constexpr double kKib = 1024;
  for (const auto& [gpus, kib, measured] : {std::tuple<int, double, double>{8, 64, 6.4e-6},
                                            {8, 256, 10.8e-6},
                                            {8, 1024, 15.0e-6},
                                            {8, 4096, 30.8e-6},
                                            {4, 256, 7.2e-6},
                                            {4, 1024, 12.8e-6},
                                            {2, 256, 5.2e-6}})
    EXPECT_NEAR(gpu.all_reduce_of(gpus).seconds(kib * kKib) / measured, 1, 0.1)
        << gpus << " GPUs, " << kib << " KiB";
}

TEST(AllReduce, BeginsWithTheLastRank) {
  auto context = kernels_only("llama-3.1-70b", "h100-sxm", 8);
  const double together = seconds(context, decodes(4, 1000));
  context.overheads.rank_skew = Seconds(1e-6);
  // The largest of eight normal numbers is 1.42; 2 x 80 layers, embedding and head.
  EXPECT_NEAR(seconds(context, decodes(4, 1000)) - together, 162 * 1.42e-6, 3e-6);
}

TEST(AllReduce, OneRankWaitsForNobody) {
  auto context = kernels_only("llama-3.1-8b", "h100-sxm");
  const double before = seconds(context, decodes(4, 1000));
  context.overheads.rank_skew = Seconds(1e-3);
  EXPECT_EQ(seconds(context, decodes(4, 1000)), before);
}

TEST(Fp8, QuantisingThatIsFusedAwayCostsNothing) {
  auto context = kernels_only("llama-3.1-70b-fp8", "h200-sxm", 2);
  const double apart = seconds(context, decodes(1, 10000));
  context.overheads.quantise_share = 0;
  const double fused = seconds(context, decodes(1, 10000));
  const double launches = 80 * 4 * context.gpu.gemm_fp8->quantise_launch.count();
  EXPECT_GT(launches, 1e-3);
  EXPECT_NEAR(apart - fused, launches, 0.1 * launches);
  // Of bf16 weights nothing is quantised.
  context = kernels_only("llama-3.1-70b", "h200-sxm", 2);
  const double bf16 = seconds(context, decodes(1, 10000));
  context.overheads.quantise_share = 0;
  EXPECT_EQ(seconds(context, decodes(1, 10000)), bf16);
}

TEST(Fp8, UnalignedBatchesBeyondTheGraphsCostMore) {
  const auto fp8 = kernels_only("llama-3.1-70b-fp8", "h200-sxm", 2);
  EXPECT_GT(seconds(fp8, prompt(1025)) / seconds(fp8, prompt(1024)), 1.15);
  EXPECT_LT(seconds(fp8, prompt(1088)) / seconds(fp8, prompt(1024)), 1.1);
  EXPECT_LT(seconds(fp8, prompt(505)) / seconds(fp8, prompt(504)), 1.05);
  const auto bf16 = kernels_only("llama-3.1-70b", "h200-sxm", 2);
  EXPECT_LT(seconds(bf16, prompt(1025)) / seconds(bf16, prompt(1024)), 1.1);
}

TEST(SharedPrefix, IsReadFromMemoryOnce) {
  const auto context = kernels_only("llama-3.1-8b", "h100-sxm");
  StepShape shape = decodes(64, 10000);
  const double apart = seconds(context, shape);
  shape.repeated_context = shape.decode_context - 10000;
  const double kv = 131072.0 * static_cast<double>(shape.repeated_context) /
                    (context.gpu.attention_bf16.decode_memory * 3.35e12);
  EXPECT_NEAR(apart - seconds(context, shape), (1 - context.gpu.attention_bf16.repeated_read) * kv,
              1e-5);
  // More than all that is read cannot be read again.
  shape.repeated_context = 2 * shape.decode_context;
  EXPECT_GT(seconds(context, shape), apart / 2);
}

TEST(Sampling, FiltersCostWhereTheModelsSettingsAskForThem) {
  auto context = kernels_only("llama-3.1-8b", "h100-sxm");
  context.overheads.filter_sort = {Seconds(4e-4), Seconds(1e-8)};
  const double filtered = seconds(context, decodes(32, 1000));
  context.llm.sampling_filter = false;
  EXPECT_NEAR(filtered - seconds(context, decodes(32, 1000)), 4e-4 + 32 * 128256 * 1e-8 / 132,
              1e-9);
}

TEST(Sampling, GreedyRequestsAreNotFiltered) {
  auto context = kernels_only("llama-3.1-8b", "h100-sxm");
  const double plain = seconds(context, decodes(32, 1000));
  context.overheads.filter_sort = {Seconds(4e-4), Seconds(1e-8)};
  const Json greedy = Json::parse(R"({"kind": "fitted", "greedy": true})");
  const auto step = Registry<StepTime>::instance().make(ConfigNode(greedy, "step time"), context);
  EXPECT_DOUBLE_EQ(step->gpu(decodes(32, 1000)).count(), plain);
}

TEST(Sampling, OneKernelFiltersLargeBatchesOfLaterVersions) {
  // vllm-project/vllm#40376: 128 rows of 131,072 words by sorting and by a kernel of their own.
  auto context = kernels_only("llama-3.1-8b", "h100-sxm");
  context.llm.vocabulary = 131072;
  const auto filter = [&](const std::string& version, std::int32_t rows) {
    context.overheads = EngineOverheads{};
    const double plain = seconds(context, decodes(rows, 1000));
    const EngineOverheads overheads = load_engine("vllm").overheads(version);
    context.overheads.filter_sort = overheads.filter_sort;
    context.overheads.filter_fused = overheads.filter_fused;
    context.overheads.fused_rows = overheads.fused_rows;
    return seconds(context, decodes(rows, 1000)) - plain;
  };
  EXPECT_NEAR(filter("0.15", 128) / 2.35e-3, 1, 0.15);
  EXPECT_NEAR(filter("0.18", 128) / 0.45e-3, 1, 0.15);
  EXPECT_LT(filter("0.18", 8), filter("0.18", 7));
}

TEST(EngineVersions, DecodesWaitForTheHostInEveryLayerUntilTheyAreWholeGraphs) {
  const double before =
      seconds(step_context("llama-3.1-70b", "h100-sxm", 4, "0.10"), decodes(8, 99));
  const double after =
      seconds(step_context("llama-3.1-70b", "h100-sxm", 4, "0.11"), decodes(8, 99));
  const double gap = load_engine("vllm").overheads("0.10").gap_layer.count();
  EXPECT_GT(gap, 0);
  EXPECT_NEAR(before - after, 80 * gap, 1e-4);
}

}  // namespace
}  // namespace kvsim
