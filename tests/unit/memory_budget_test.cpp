#include "sim/perf/memory_budget.hpp"

#include <gtest/gtest.h>

namespace kvsim {
namespace {

MemoryBudget budget(const char* llm, const char* gpu, std::int64_t tp, const char* version) {
  MemoryOptions options;
  options.tensor_parallel = tp;
  options.version = version;
  return memory_budget(load_llm(llm), load_gpu(gpu), options);
}

TEST(MemoryBudget, PartsAddUpToWhatWasRequested) {
  const MemoryBudget b = budget("llama-3.1-70b", "h100-sxm", 4, "0.26");
  EXPECT_EQ(b.weights + b.activations + b.collectives + b.other + b.graphs + b.kv, b.requested);
  EXPECT_GT(b.graphs, Bytes(0));
}

// What deployments of vLLM reported, as their publishers state it.
struct Published {
  const char* llm;
  const char* gpu;
  std::int64_t tp;
  const char* version;
  std::int64_t max_num_seqs;
  std::int64_t max_num_batched_tokens;
  std::int64_t kv_tokens;
};

TEST(MemoryBudget, KvTokensOfPublishedDeploymentsAreWithinFivePercent) {
  const Published published[] = {{"llama-3.1-70b", "h100-sxm", 4, "0.10", 1024, 8192, 461376},
                                 {"qwen3-32b", "h100-sxm", 2, "0.10", 1024, 8192, 307328},
                                 {"llama-2-7b", "h100-sxm", 1, "0.15", 128, 2048, 119392},
                                 {"codellama-34b", "h100-sxm", 2, "0.15", 128, 2048, 425632},
                                 {"qwen2.5-7b", "h100-sxm", 1, "0.15", 128, 2048, 1045632},
                                 {"mistral-nemo-12b", "h100-sxm", 2, "0.15", 128, 1024, 768144},
                                 {"llama-3.1-70b", "h100-sxm", 4, "0.15", 128, 8192, 484016},
                                 {"llama-3.1-70b", "h200-sxm", 2, "0.13", 1024, 8192, 358016},
                                 {"qwen3-8b", "l40s", 2, "0.11", 1024, 2048, 390704},
                                 {"qwen3-14b", "l40s", 2, "0.11", 1024, 2048, 269712}};
  for (const Published& p : published) {
    MemoryOptions options;
    options.tensor_parallel = p.tp;
    options.version = p.version;
    options.gpu_memory_utilization = 0.9;
    options.max_num_seqs = p.max_num_seqs;
    options.max_num_batched_tokens = p.max_num_batched_tokens;
    const auto tokens = memory_budget(load_llm(p.llm), load_gpu(p.gpu), options).kv_tokens();
    const double ratio = tokens.real() / static_cast<double>(p.kv_tokens);
    std::printf("%-17s %-9s tp%d: %8ld KV tokens, published %8ld, %+5.1f %%\n", p.llm, p.gpu,
                static_cast<int>(p.tp), static_cast<long>(tokens.count()),
                static_cast<long>(p.kv_tokens), (ratio - 1) * 100);
    EXPECT_NEAR(ratio, 1, 0.05) << p.llm << " " << p.gpu;
  }
}

TEST(MemoryBudget, DefaultsFollowVersionAndGpu) {
  const auto defaults = [](const char* version, const char* gpu) {
    return engine_defaults(version, load_gpu(gpu));
  };
  EXPECT_EQ(defaults("0.11", "h100-sxm").max_num_batched_tokens, 8192);
  EXPECT_EQ(defaults("0.11", "h100-sxm").max_num_seqs, 1024);
  EXPECT_EQ(defaults("0.11", "a100-80-sxm").max_num_batched_tokens, 2048);
  EXPECT_EQ(defaults("0.11", "l4").max_num_seqs, 256);
  EXPECT_EQ(defaults("0.11", "b200-sxm").max_num_batched_tokens, 8192);
  EXPECT_EQ(defaults("0.26", "b200-sxm").max_num_batched_tokens, 16384);
  EXPECT_EQ(defaults("0.26", "h200-sxm").max_num_batched_tokens, 8192);
  EXPECT_DOUBLE_EQ(defaults("0.11", "l4").gpu_memory_utilization, 0.90);
  EXPECT_DOUBLE_EQ(defaults("0.26", "l4").gpu_memory_utilization, 0.92);
  EXPECT_FALSE(defaults("0.13", "l4").async_scheduling);
  EXPECT_TRUE(defaults("0.14", "l4").async_scheduling);
}

TEST(MemoryBudget, GraphSizesRiseInStepsOfEightThenSixteen) {
  const auto older = graph_sizes("0.11", 512);
  EXPECT_EQ(older.size(), 67u);
  EXPECT_EQ(older[3], 8);
  EXPECT_EQ(older.back(), 512);
  const auto newer = graph_sizes("0.15", 512);
  EXPECT_EQ(newer.size(), 51u);
  EXPECT_EQ(newer[34], 256);
  EXPECT_EQ(newer[35], 272);
  EXPECT_EQ(graph_tokens_max("0.26", load_gpu("b200-sxm"), 1024), 1024);
  EXPECT_EQ(graph_tokens_max("0.26", load_gpu("l4"), 16), 32);
}

TEST(MemoryBudget, AModelThatDoesNotFitSaysByHowMuch) {
  try {
    (void)budget("llama-3.1-70b", "h100-sxm", 1, "0.15");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("GiB too much"), std::string::npos) << error.what();
  }
}

TEST(MemoryBudget, AnAskedContextThatDoesNotFitIsRefusedAndTheModelsOwnLowered) {
  MemoryOptions options;
  const LlmProfile llm = load_llm("llama-3.1-8b");
  const GpuProfile gpu = load_gpu("l4");
  const MemoryBudget lowered = memory_budget(llm, gpu, options);
  EXPECT_TRUE(lowered.max_model_len_lowered);
  options.max_model_len = lowered.max_model_len;
  EXPECT_EQ(memory_budget(llm, gpu, options).max_model_len, lowered.max_model_len);
  options.max_model_len = lowered.max_model_len + options.block_size;
  EXPECT_THROW((void)memory_budget(llm, gpu, options), ConfigError);
}

TEST(MemoryBudget, ClientsTimesTheirBlocksFitAndOneMoreDoesNot) {
  const MemoryBudget b = budget("llama-3.1-8b", "l4", 1, "0.15");
  const std::int64_t clients = b.clients(Tokens(1000));
  const std::int64_t each = b.blocks_per_request(Tokens(1000)).count();
  EXPECT_EQ(each, 63);
  EXPECT_LE(clients * each, b.blocks.count() - 1);
  EXPECT_GT((clients + 1) * each, b.blocks.count() - 1);
}

TEST(MemoryBudget, ASlidingWindowNearlyDoublesTheClientsAtLongContext) {
  const MemoryBudget b = budget("gpt-oss-20b", "h100-sxm", 1, "0.15");
  LlmProfile unwindowed = load_llm("gpt-oss-20b");
  unwindowed.window.reset();
  const MemoryBudget full = memory_budget(unwindowed, load_gpu("h100-sxm"), {});
  const double gain = static_cast<double>(b.clients(Tokens(100000))) /
                      static_cast<double>(full.clients(Tokens(100000)));
  EXPECT_NEAR(gain, 2, 0.1);
}

TEST(MemoryBudget, Fp8KvHoldsTwiceTheTokens) {
  MemoryOptions options;
  const LlmProfile llm = load_llm("llama-3.1-8b");
  const GpuProfile gpu = load_gpu("h100-sxm");
  const auto bf16 = memory_budget(llm, gpu, options).kv_tokens();
  options.kv_dtype = "fp8";
  EXPECT_NEAR(memory_budget(llm, gpu, options).kv_tokens().real() / bf16.real(), 2, 0.001);
}

}  // namespace
}  // namespace kvsim
