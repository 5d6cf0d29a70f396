// Attention of batches that prefill and decode, by FlashAttention 2: a block for each head.
#include <gtest/gtest.h>

#include "sim/perf/attention_time.hpp"
#include "tests/step_shapes.hpp"

namespace kvsim {
namespace {

AttentionTime attention(const std::string& llm, const std::string& gpu, std::int64_t ranks = 1) {
  const StepTime::Context context = kernels_only(llm, gpu, ranks);
  return AttentionTime(context, rank_shape(context.llm, ranks), {});
}

StepShape beside(StepShape shape, std::int64_t tokens) {
  const StepShape chunk = prompt(tokens);
  shape.prefill_sequences = 1;
  shape.prefill_tokens = chunk.prefill_tokens;
  shape.prefill_pairs = chunk.prefill_pairs;
  return shape;
}

// What decodes add to a chunk, one layer of 32, in microseconds.
double added(const AttentionTime& time, std::int32_t sequences, std::int64_t context) {
  constexpr std::int64_t kChunk = 512;
  const double both = time.seconds(beside(decodes(sequences, context), kChunk));
  return (both - time.seconds(prompt(kChunk))) / 32 * 1e6;
}

TEST(MixedAttention, IsWhatKernelsTookFromFewDecodesToMany) {
  // Medians of casys-kaist/LLMServingSim 5daddb21 (MIT), Llama-3.1-8B, chunks of 16 to 2,048.
  const AttentionTime ada = attention("llama-3.1-8b", "rtx-4090");
  EXPECT_NEAR(added(ada, 8, 8192) / 560, 1, 0.15);
  EXPECT_NEAR(added(ada, 32, 1024) / 317, 1, 0.15);
  EXPECT_NEAR(added(ada, 32, 8192) / 2104, 1, 0.15);
  EXPECT_NEAR(added(ada, 128, 4096) / 9023, 1, 0.15);
  const AttentionTime blackwell = attention("llama-3.1-8b", "rtx-pro-6000");
  EXPECT_NEAR(added(blackwell, 16, 8192) / 548, 1, 0.2);
  EXPECT_NEAR(added(blackwell, 64, 8192) / 2903, 1, 0.15);
  EXPECT_NEAR(added(blackwell, 128, 8192) / 8684, 1, 0.15);
}

TEST(MixedAttention, ReadsContextsOnceForAGroupOnlyWhileTheCacheHoldsThemBetweenItsHeads) {
  // 128 sequences on 128 multiprocessors: the next head of a group comes a wave later. One KV head
  // of 1,024 tokens each is 67 MB of a cache of 72, of 2,048 it is more.
  const AttentionTime time = attention("llama-3.1-8b", "rtx-4090");
  EXPECT_GT(added(time, 128, 2048), 3 * added(time, 128, 1024));
  EXPECT_NEAR(added(time, 64, 2048) / added(time, 64, 1024), 2, 0.3);
}

TEST(MixedAttention, CostsLessBesideDecodingAloneTheFewerHeadsShareAContext) {
  const auto factor = [](const char* llm) {
    const AttentionTime time = attention(llm, "l40s", 2);
    const StepShape alone = decodes(40, 10'000);
    return (time.seconds(beside(alone, 512)) - time.seconds(prompt(512))) / time.seconds(alone);
  };
  EXPECT_LT(factor("qwen3-0.6b"), 1.4);  // two heads a group
  EXPECT_GT(factor("qwen3-8b"), 1.7);    // four
}

TEST(MixedAttention, OfLatentModelsIsPromptAndDecodesApart) {
  const AttentionTime time = attention("deepseek-v3", "a100-80-sxm", 8);
  const StepShape alone = decodes(64, 4000);
  const double both = time.seconds(beside(alone, 512));
  EXPECT_NEAR(both, time.seconds(alone) + time.seconds(prompt(512)), 1e-9 * both);
}

}  // namespace
}  // namespace kvsim
