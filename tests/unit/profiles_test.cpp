#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>

#include "sim/perf/engine_profile.hpp"
#include "sim/perf/gpu_profile.hpp"
#include "sim/perf/llm_profile.hpp"
#include "sim/perf/model_files.hpp"
#include "sim/perf/price_book.hpp"

namespace kvsim {
namespace {

TEST(Profiles, EveryLlmFileHasItsNameProvenanceAndThePublishedSize) {
  for (const std::string& name : model_names("llm")) {
    const LlmProfile llm = load_llm(name);
    EXPECT_EQ(llm.name, name);
    EXPECT_FALSE(llm.provenance.kind.empty()) << name;
    EXPECT_NEAR(llm.parameters() / llm.published_parameters, 1, 0.01) << name;
  }
  EXPECT_GE(model_names("llm").size(), 16u);
}

TEST(Profiles, EveryGpuFileHasItsNameAndProvenanceInEveryBlock) {
  for (const std::string& name : model_names("gpu")) {
    const GpuProfile gpu = load_gpu(name);
    EXPECT_EQ(gpu.name, name);
    for (const Provenance& provenance : gpu.provenances()) EXPECT_FALSE(provenance.kind.empty());
  }
  EXPECT_EQ(model_names("gpu").size(), 13u);
}

TEST(Profiles, EveryPriceBookPricesEveryGpu) {
  for (const std::string& name : model_names("prices")) {
    const PriceBook book = load_prices(name);
    EXPECT_EQ(book.name, name);
    for (const std::string& gpu : model_names("gpu")) EXPECT_GT(book.gpu(gpu).usd_per_hour, 0);
  }
  EXPECT_EQ(model_names("prices").size(), 2u);
}

TEST(Profiles, EveryEngineFileIsReadable) {
  for (const std::string& name : model_names("engine")) EXPECT_EQ(load_engine(name).name, name);
}

TEST(Profiles, EveryFileInModelsHasARowInItsReadme) {
  const std::string readme = [] {
    std::ifstream in(models_folder() + "/README.md");
    return std::string(std::istreambuf_iterator<char>(in), {});
  }();
  for (const char* kind : {"llm", "gpu", "prices", "engine"})
    for (const std::string& name : model_names(kind))
      EXPECT_NE(readme.find(std::string("`") + kind + "/" + name + ".json`"), std::string::npos)
          << kind << "/" << name;
}

TEST(Profiles, KvBytesPerTokenAreThePublishedOnes) {
  const std::vector<std::pair<const char*, std::int64_t>> published = {
      {"llama-3-8b", 131072},      {"llama-3.1-70b", 327680}, {"llama-3.1-405b", 516096},
      {"qwen3-0.6b", 114688},      {"qwen3-1.7b", 114688},    {"qwen3-8b", 147456},
      {"qwen3-14b", 163840},       {"qwen3-32b", 262144},     {"qwen3-30b-a3b", 98304},
      {"qwen3-235b-a22b", 192512}, {"mistral-7b", 131072},    {"mixtral-8x7b", 131072},
      {"deepseek-v3", 70272},      {"gpt-oss-20b", 49152},    {"gpt-oss-120b", 73728},
      {"llama-4-scout", 196608}};
  for (const auto& [name, bytes] : published)
    EXPECT_EQ(load_llm(name).kv_bytes_per_token("bf16").count(), bytes) << name;
}

TEST(Profiles, ActiveParametersOfMixturesAreThePublishedOnes) {
  const std::vector<std::pair<const char*, double>> published = {
      {"qwen3-30b-a3b", 3.3e9}, {"qwen3-235b-a22b", 22.1e9}, {"mixtral-8x7b", 12.9e9},
      {"deepseek-v3", 37.6e9},  {"gpt-oss-20b", 4.2e9},      {"gpt-oss-120b", 5.7e9},
      {"llama-4-scout", 17.2e9}};
  for (const auto& [name, active] : published)
    EXPECT_NEAR(load_llm(name).active_parameters() / active, 1, 0.02) << name;
}

TEST(Profiles, KvHeadsAreReplicatedWhenThereAreMoreRanksThanHeads) {
  const LlmProfile llm = load_llm("qwen3-30b-a3b");
  EXPECT_EQ(llm.kv_bytes_per_token_per_rank("bf16", 4), llm.kv_bytes_per_token("bf16") / 4);
  EXPECT_EQ(llm.kv_bytes_per_token_per_rank("bf16", 8), llm.kv_bytes_per_token("bf16") / 4);
}

TEST(Profiles, LatentVectorsAreReplicatedOnEveryRank) {
  const LlmProfile llm = load_llm("deepseek-v3");
  EXPECT_EQ(llm.kv_bytes_per_token_per_rank("bf16", 8), llm.kv_bytes_per_token("bf16"));
}

TEST(Profiles, Fp8HalvesTheKvCache) {
  const LlmProfile llm = load_llm("llama-3.1-8b");
  EXPECT_EQ(llm.kv_bytes_per_token("fp8") * 2, llm.kv_bytes_per_token("bf16"));
}

TEST(Profiles, QuantisedCheckpointsWeighWhatTheirDtypeSays) {
  // 117 B parameters with 4.25-bit experts: about 65 GB; 70.6 B in fp8 with bf16 embeddings: 72.7.
  EXPECT_NEAR(load_llm("gpt-oss-120b").weight_bytes(1).real(), 65e9, 1.5e9);
  EXPECT_NEAR(load_llm("llama-3.1-70b-fp8").weight_bytes(1).real(), 72.7e9, 0.3e9);
}

TEST(Profiles, AModelIsFoundByItsHubNameInAnyCase) {
  EXPECT_EQ(load_llm("meta-llama/Llama-3.1-70B-Instruct").name, "llama-3.1-70b");
  EXPECT_EQ(load_gpu("H100-SXM").name, "h100-sxm");
}

TEST(Profiles, NoTwoProfilesShareAnAlias) {
  std::map<std::string, std::string> owners;
  for (const std::string& name : model_names("llm"))
    for (const std::string& alias : load_llm(name).aliases)
      EXPECT_TRUE(owners.emplace(alias, name).second) << alias << ": " << name;
  for (const std::string& name : model_names("gpu"))
    for (const std::string& alias : load_gpu(name).aliases)
      EXPECT_TRUE(owners.emplace(alias, name).second) << alias << ": " << name;
}

TEST(Profiles, AnUnknownNameListsWhatExists) {
  try {
    (void)find_model("gpu", "h101");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("found no such profile"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("h100-sxm"), std::string::npos);
  }
}

TEST(Profiles, ATensorParallelismThatDoesNotDivideTheHeadsIsRefused) {
  EXPECT_THROW(check_tensor_parallel(load_llm("qwen2.5-7b"), 8), ConfigError);
  EXPECT_THROW(check_tensor_parallel(load_llm("llama-3.1-8b"), 3), ConfigError);
}

TEST(Profiles, AnEngineVersionPicksTheOverheadsOfItsRange) {
  const EngineProfile engine = load_engine("vllm");
  EXPECT_FALSE(engine.overheads("0.11.2.dev358").async_scheduling);
  EXPECT_TRUE(engine.overheads("v0.15.1").async_scheduling);
  EXPECT_THROW((void)engine.overheads("latest"), ConfigError);
}

}  // namespace
}  // namespace kvsim
