// Configuration of LMCache and vLLM, in the style of the wild: what each option comes out as.
#include "tests/unit/explanations.hpp"

namespace kvsim {
namespace {

// --- LMCache ------------------------------------------------------------------------------------

constexpr const char* kRemoteLmcache = R"(# LMCache in front of a store
chunk_size: 1024
local_cpu: False
max_local_cpu_size: 4.0   # GB
remote_url: "redis://cache-0:6666"
remote_serde: "naive"
save_unfull_chunk: true
use_layerwise: true
blocking_timeout_secs: 60
lookup_timeout_ms: 500
cache_policy: LFU
local_disk: null
extra_config:
  use_mset: true
  enable_batch_writes: true
  redis_batch_size: 64
)";

TEST(ExplainLmcache, TranslatesTheInProcessOptions) {
  const Json config = lmcache(kRemoteLmcache).config;
  EXPECT_EQ(config["kind"], "lmcache");
  EXPECT_EQ(config["chunk_tokens"], 1024);
  EXPECT_EQ(config["local_cpu"], false);
  EXPECT_EQ(config["max_local_cpu_bytes"], 4 * kGibi);
  EXPECT_EQ(config["remote"], "redis");
  EXPECT_EQ(config["client"], "redis");
  EXPECT_EQ(config["serde"], "naive");
  EXPECT_EQ(config["use_layerwise"], true);
  EXPECT_EQ(config["blocking_timeout_s"], 60);
  EXPECT_DOUBLE_EQ(config["lookup_timeout_s"].get<double>(), 0.5);
  EXPECT_EQ(config["cache_policy"], "lfu");
  EXPECT_FALSE(config.contains("local_disk"));
  EXPECT_NE(text_of(lmcache(kRemoteLmcache), "remote_url").find("cache-0:6666"), std::string::npos);
}

TEST(ExplainLmcache, OptionsThatNothingReadsAreIgnored) {
  for (const char* option : {"extra_config.use_mset", "extra_config.enable_batch_writes",
                             "extra_config.redis_batch_size"})
    EXPECT_EQ(effect_of(lmcache(kRemoteLmcache), option), Effect::kIgnoredByReal) << option;
}

TEST(ExplainLmcache, LayerwiseAndAsyncLoadingForbidUnfullChunks) {
  EXPECT_EQ(effect_of(lmcache(kRemoteLmcache), "save_unfull_chunk"), Effect::kIgnoredByReal);
  EXPECT_EQ(lmcache(kRemoteLmcache).config["save_unfull_chunk"], false);
  const Explanation async = lmcache("enable_async_loading: true\nsave_unfull_chunk: true\n");
  EXPECT_EQ(async.config["save_unfull_chunk"], false);
  const Explanation plain = lmcache("save_unfull_chunk: true\n");
  EXPECT_EQ(plain.config["save_unfull_chunk"], true);
  EXPECT_EQ(effect_of(plain, "save_unfull_chunk"), Effect::kModelled);
}

TEST(ExplainLmcache, ASmallStagingBufferIsTold) {
  const Explanation explanation = lmcache(kRemoteLmcache);
  EXPECT_TRUE(says(explanation.contradictions,
                   "4 GiB are only a staging buffer, of 32 chunks of 1024 tokens"))
      << all(explanation);
  EXPECT_TRUE(says(explanation.notes, "128 MiB a chunk")) << all(explanation);
}

TEST(ExplainLmcache, ChunksThatNoServerAcceptsAreTold) {
  const Explanation big = lmcache("chunk_size: 2048\nremote_url: redis://a:1\n");
  EXPECT_TRUE(says(big.contradictions, "A chunk of 2048 tokens of Llama-3-70B")) << all(big);
  EXPECT_FALSE(says(big.contradictions, "tokens of Llama-3-8B (bf16, one GPU) is"));
  const Explanation small = lmcache("chunk_size: 1024\nremote_url: redis://a:1\n");
  EXPECT_FALSE(says(small.contradictions, "proto-max-bulk-len")) << all(small);
}

TEST(ExplainLmcache, TiersThatKeepNothingAreTold) {
  EXPECT_TRUE(says(lmcache("local_cpu: false\n").contradictions, "nothing is kept"));
  const Explanation disk = lmcache("local_disk: \"file:///mnt/kv/\"\n");
  EXPECT_EQ(disk.config["local_disk"], "local-disk");
  EXPECT_TRUE(says(disk.contradictions, "max_local_disk_size is 0 (default)")) << all(disk);
}

TEST(ExplainLmcache, AStubCodecIsNaive) {
  const Explanation explanation = lmcache("remote_serde: kivi\nremote_url: resp://a:6379\n");
  EXPECT_EQ(explanation.config["serde"], "naive");
  EXPECT_EQ(explanation.config["client"], "resp");
  EXPECT_EQ(effect_of(explanation, "remote_serde"), Effect::kIgnoredByReal);
}

TEST(ExplainLmcache, APolicyWithoutAModelIsLeftOut) {
  const Explanation explanation = lmcache("cache_policy: MRU\n");
  EXPECT_EQ(effect_of(explanation, "cache_policy"), Effect::kNotModelled);
  EXPECT_FALSE(explanation.config.contains("cache_policy"));
}

TEST(ExplainLmcache, StoresWithoutAModelAreToldAndLeftOut) {
  const Explanation explanation = lmcache("remote_url: mooncakestore://master:50051\n");
  EXPECT_EQ(effect_of(explanation, "remote_url"), Effect::kNotModelled);
  EXPECT_FALSE(explanation.config.contains("remote"));
}

TEST(ExplainLmcache, TheMultiprocessServerHasItsOwnConnector) {
  const Json yaml = lmcache("chunk_size: 512\nl1_size_gb: 100\neviction_policy: LRU\n").config;
  EXPECT_EQ(yaml["kind"], "lmcache-mp");
  EXPECT_EQ(yaml["l1_bytes"], 100 * kGibi);
  const Explanation line =
      explain_text("",
                   "python3 -m lmcache.v1.multiprocess.http_server --port 6555 \\\n"
                   "  --chunk-size 512 --l1-size-gb 1600 --l1-use-lazy --eviction-policy LRU "
                   "--eviction-trigger-watermark 0.9 --eviction-ratio=0.1",
                   "");
  EXPECT_EQ(line.format, "lmcache-server");
  EXPECT_EQ(line.config, Json({{"kind", "lmcache-mp"},
                               {"chunk_tokens", 512},
                               {"l1_bytes", 1600 * kGibi},
                               {"eviction", "lru"},
                               {"eviction_trigger", 0.9},
                               {"eviction_ratio", 0.1}}));
}

TEST(ExplainLmcache, TheServersMissingSizeIsTold) {
  const Explanation explanation = lmcache("eviction_policy: LRU\n");
  EXPECT_TRUE(says(explanation.contradictions, "l1_size_gb is missing")) << all(explanation);
}

// --- vLLM ---------------------------------------------------------------------------------------

TEST(ExplainVllm, TranslatesFlagsInAnySpelling) {
  const Json config = vllm(
                          "vllm serve meta-llama/Llama-3.1-8B-Instruct -tp 2 --max_num_seqs=256 "
                          "--max-num-batched-tokens 8k --max-model-len 32K "
                          "--gpu-memory-utilization 0.9 --no-enable-prefix-caching "
                          "--async-scheduling --kv-cache-dtype fp8_e4m3 --block-size 32 "
                          "--scheduling-policy priority --long-prefill-token-threshold 512 "
                          "--num-gpu-blocks-override 4096 --disable-log-requests --port 8000")
                          .config;
  EXPECT_EQ(config["llm"], "meta-llama/Llama-3.1-8B-Instruct");
  EXPECT_EQ(config["tensor_parallel"], 2);
  const Json& engine = config["engine"];
  EXPECT_EQ(engine["max_num_seqs"], 256);
  EXPECT_EQ(engine["max_num_batched_tokens"], 8000);
  EXPECT_EQ(engine["max_model_len"], 32768);
  EXPECT_DOUBLE_EQ(engine["gpu_memory_utilization"].get<double>(), 0.9);
  EXPECT_EQ(engine["enable_prefix_caching"], false);
  EXPECT_EQ(engine["async_scheduling"], true);
  EXPECT_EQ(engine["kv_cache_dtype"], "fp8");
  EXPECT_EQ(engine["block_size"], 32);
  EXPECT_EQ(engine["scheduling_policy"], "priority");
  EXPECT_EQ(engine["long_prefill_token_threshold"], 512);
  EXPECT_EQ(engine["num_gpu_blocks_override"], 4096);
}

constexpr const char* kLmcacheCommand = R"(#!/bin/bash
export LMCACHE_CHUNK_SIZE=256   # tokens
export LMCACHE_LOCAL_CPU=True
LMCACHE_MAX_LOCAL_CPU_SIZE=500 LMCACHE_EXTRA_CONFIG='{"use_mset": true}' \
vllm serve some/model \
  --tensor-parallel-size 4 --max-model-len auto \
  --kv-transfer-config '{"kv_connector":"LMCacheConnectorV1", "kv_role":"kv_both"}' 2>&1 | tee log
)";

TEST(ExplainVllm, EnvironmentIsLmcachesConfiguration) {
  const Explanation explanation = vllm(kLmcacheCommand);
  EXPECT_EQ(explanation.config["connector"], Json({{"kind", "lmcache"},
                                                   {"chunk_tokens", 256},
                                                   {"local_cpu", true},
                                                   {"max_local_cpu_bytes", 500 * kGibi}}));
  EXPECT_EQ(effect_of(explanation, "LMCACHE_EXTRA_CONFIG.USE_MSET"), Effect::kIgnoredByReal);
  EXPECT_TRUE(says(explanation.notes, "4 x 500 GiB = 1.953 TiB a replica")) << all(explanation);
  EXPECT_FALSE(explanation.config.contains("engine")) << all(explanation);
}

TEST(ExplainVllm, EnvironmentWithoutAConnectorHasNoEffect) {
  const Explanation explanation = vllm("LMCACHE_CHUNK_SIZE=256 vllm serve some/model");
  EXPECT_EQ(effect_of(explanation, "LMCACHE_CHUNK_SIZE"), Effect::kIgnoredByReal);
  EXPECT_FALSE(explanation.config.contains("connector"));
  EXPECT_TRUE(says(explanation.contradictions, "no effect")) << all(explanation);
}

TEST(ExplainVllm, OptionsOfTheConnectorsExtraConfiguration) {
  const Explanation explanation = vllm(
      R"(--kv-transfer-config '{"kv_connector":"LMCacheConnectorV1","kv_connector_extra_config":)"
      R"({"lmcache.chunk_size": 512}}')");
  EXPECT_EQ(explanation.config["connector"]["chunk_tokens"], 512);
}

TEST(ExplainVllm, OffloadingBecomesTheNativeConnector) {
  const Explanation extra =
      vllm(R"(--kv-transfer-config '{"kv_connector":"OffloadingConnector","kv_role":"kv_both",)"
           R"("kv_connector_extra_config":{"cpu_bytes_to_use":10737418240,"block_size":64,)"
           R"("eviction_policy":"ARC","offload_prompt_only":false}}')");
  EXPECT_EQ(extra.config["connector"], Json({{"kind", "native"},
                                             {"cpu_bytes", 10 * kGibi},
                                             {"eviction", "arc"},
                                             {"prompt_only", false},
                                             {"blocks_per_chunk", 4}}));
  const Explanation flag = vllm("vllm serve m --kv-offloading-size 64.5");
  EXPECT_EQ(flag.config["connector"],
            Json({{"kind", "native"}, {"cpu_bytes", 64 * kGibi + kGibi / 2}}));
}

TEST(ExplainVllm, DottedFlagsAreTheSameAsJson) {
  const Json config = vllm(
                          "--kv-transfer-config.kv_connector OffloadingConnector "
                          "--kv-transfer-config.kv_connector_extra_config.cpu_bytes_to_use 1000")
                          .config;
  EXPECT_EQ(config["connector"], Json({{"kind", "native"}, {"cpu_bytes", 1000}}));
}

TEST(ExplainVllm, BlocksInsteadOfBytesAreTold) {
  const Explanation explanation =
      vllm(R"(--kv-transfer-config '{"kv_connector":"OffloadingConnector",)"
           R"("kv_connector_extra_config":{"num_cpu_blocks":1000}}')");
  EXPECT_TRUE(says(explanation.notes, "16000 tokens")) << all(explanation);
  EXPECT_TRUE(says(explanation.contradictions, "no size in bytes")) << all(explanation);
}

TEST(ExplainVllm, LmcacheAsOffloadingBackendSharesTheSizeAmongRanks) {
  const Json config =
      vllm("vllm serve m -tp 4 --kv-offloading-size 100 --kv-offloading-backend lmcache").config;
  EXPECT_EQ(config["connector"]["kind"], "lmcache");
  EXPECT_EQ(config["connector"]["max_local_cpu_bytes"], 25 * kGibi);
}

TEST(ExplainVllm, ConnectorsWithoutAModelAreLeftOut) {
  const Explanation explanation =
      vllm(R"(--kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_both"}')");
  EXPECT_EQ(effect_of(explanation, "--kv-transfer-config.kv_connector"), Effect::kNotModelled);
  EXPECT_FALSE(explanation.config.contains("connector"));
}

TEST(ExplainVllm, TwoConnectorsAreTold) {
  const Explanation explanation =
      vllm("vllm serve m --kv-offloading-size 4 --kv-transfer-config.kv_connector NixlConnector");
  EXPECT_TRUE(says(explanation.contradictions, "Both --kv-offloading-size")) << all(explanation);
  EXPECT_FALSE(explanation.config.contains("connector"));
}

TEST(ExplainVllm, LimitsThatVllmRefusesAreTold) {
  EXPECT_TRUE(says(vllm("--max-num-batched-tokens 128 --max-num-seqs 256").contradictions,
                   "less than max-num-seqs 256"));
  EXPECT_TRUE(says(vllm("--no-enable-chunked-prefill --max-num-batched-tokens 2048 "
                        "--max-model-len 8192")
                       .contradictions,
                   "must hold max-model-len 8192"));
  EXPECT_TRUE(
      says(vllm("--num-gpu-blocks-override 100 --max-model-len 8192").contradictions, "1600"));
}

TEST(ExplainVllm, AContextShorterThanAChunkIsTold) {
  const Explanation explanation = vllm(
      "LMCACHE_CHUNK_SIZE=4096 vllm serve m --max-model-len 2048 "
      "--kv-transfer-config.kv_connector LMCacheConnectorV1");
  EXPECT_TRUE(says(explanation.contradictions, "no chunk ever fills")) << all(explanation);
}

TEST(ExplainVllm, AChunkThatCutsBlocksIsTold) {
  const Explanation explanation = vllm(
      "LMCACHE_CHUNK_SIZE=256 vllm serve m --block-size 48 "
      "--kv-transfer-config.kv_connector LMCacheConnectorV1");
  EXPECT_TRUE(says(explanation.contradictions, "no multiple of the KV block")) << all(explanation);
}

TEST(ExplainVllm, OptionsOfTheOldEngineAreIgnored) {
  EXPECT_EQ(effect_of(vllm("vllm serve m --swap-space 16"), "--swap-space"),
            Effect::kIgnoredByReal);
}

TEST(ExplainVllm, AVariableIsNeitherReadNorRefused) {
  const Explanation explanation = vllm("vllm serve $MODEL --max-num-seqs ${SEQS:-64}");
  EXPECT_EQ(effect_of(explanation, "--max-num-seqs"), Effect::kNotModelled);
  EXPECT_FALSE(explanation.config.contains("engine"));
}

TEST(ExplainVllm, AnUnknownFlagComesWithTheNearestName) {
  EXPECT_NE(text_of(vllm("vllm serve m --max-num-seq 5"), "--max-num-seq")
                .find("Did you mean --max-num-seqs?"),
            std::string::npos);
}

TEST(ExplainVllm, BrokenJsonIsRefused) {
  const std::string text = "vllm serve m --kv-transfer-config '{kv_connector: x'";
  EXPECT_EQ(effect_of(vllm(text), "--kv-transfer-config"), Effect::kRefused);
  EXPECT_THROW((void)translate_text("vllm", text, "vllm_args"), ConfigError);
}

// --- Units --------------------------------------------------------------------------------------

TEST(UnitText, ReadsWhatRealParsersRead) {
  EXPECT_EQ(parse_unit("100mb", Unit::kRedisMemory), Json(100 * kMebi));
  EXPECT_EQ(parse_unit("100M", Unit::kRedisMemory), Json(100'000'000));
  EXPECT_EQ(parse_unit("0.5", Unit::kGibibytes), Json(kGibi / 2));
  EXPECT_EQ(parse_unit("Yes", Unit::kFlag), Json(true));
  EXPECT_EQ(parse_unit("-1", Unit::kInteger), Json(-1));
  for (const char* text : {"", "abc", "1e3", "1.5", "0x10", "nan", " 1", "1 "})
    EXPECT_FALSE(parse_unit(text, Unit::kMebibytes).has_value()) << text;
}

}  // namespace
}  // namespace kvsim
