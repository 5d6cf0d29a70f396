// What configuration formats translate into is what stores, connectors and the LSM tree take: a key
// that one side renames fails here. A kind that is not linked is skipped.
#include <gtest/gtest.h>

#include "sim/base/registry.hpp"
#include "sim/experiment/config.hpp"
#include "sim/explain/translate.hpp"
#include "sim/kv/connector.hpp"
#include "sim/store/lsm_options.hpp"
#include "sim/store/store.hpp"

namespace kvsim {
namespace {

// Every option that is translated, at a value that differs from the default.
constexpr const char* kKvrocks = R"(
workers 16
max-db-size 2000
proto-max-bulk-len 1gb
max-io-mb 4000
rocksdb.block_cache_size 4096
rocksdb.row_cache_size 128
rocksdb.block_size 32768
rocksdb.write_buffer_size 256
rocksdb.max_write_buffer_number 8
rocksdb.max_total_wal_size 4096
rocksdb.wal_ttl_seconds 60
rocksdb.wal_size_limit_mb 1024
rocksdb.enable_pipelined_write yes
rocksdb.delayed_write_rate 16777216
rocksdb.write_options.disable_wal no
rocksdb.target_file_size_base 256
rocksdb.max_bytes_for_level_base 2147483648
rocksdb.max_bytes_for_level_multiplier 8
rocksdb.level_compaction_dynamic_level_bytes yes
rocksdb.level0_file_num_compaction_trigger 6
rocksdb.level0_slowdown_writes_trigger 24
rocksdb.level0_stop_writes_trigger 48
rocksdb.max_background_jobs 8
rocksdb.max_background_compactions -1
rocksdb.max_background_flushes -1
rocksdb.max_subcompactions 0
rocksdb.compression snappy
rocksdb.compression_start_level 3
rocksdb.compaction_readahead_size 4194304
rocksdb.max_compaction_bytes 1073741824
rocksdb.enable_blob_files yes
rocksdb.min_blob_size 65536
rocksdb.blob_file_size 1073741824
rocksdb.enable_blob_garbage_collection no
rocksdb.blob_garbage_collection_age_cutoff 50
)";

constexpr const char* kRedis = R"(
maxmemory 10gb
maxmemory-policy allkeys-lfu
maxmemory-samples 10
io-threads 4
proto-max-bulk-len 1gb
save ""
)";

constexpr const char* kLmcache = R"(
chunk_size: 512
local_cpu: false
max_local_cpu_size: 20
local_disk: "file:///mnt/kv/"
max_local_disk_size: 100
remote_url: "resp://cache:6379"
remote_serde: naive
use_layerwise: false
save_decode_cache: true
save_unfull_chunk: true
enable_async_loading: false
blocking_timeout_secs: 20
lookup_timeout_ms: 1000
min_retrieve_tokens: 256
cache_policy: FIFO
)";

template <class Contract>
void expect_accepted(const Json& config) {
  const auto& registry = Registry<Contract>::instance();
  if (!registry.entries().contains(config.at("kind").get<std::string>()))
    GTEST_SKIP() << config.at("kind") << " is not registered";
  const ConfigNode node(config, "translated");
  EXPECT_NO_THROW((void)registry.find(node).resolve(node)) << config.dump(2);
}

TEST(TranslatedConfig, KvrocksIsAStore) {
  Json store = translate_text("kvrocks", kKvrocks, "kvrocks.conf");
  store["disk"] = "data";  // where its directory lies is ours to say
  expect_accepted<Store>(store);
}

TEST(TranslatedConfig, TheTreeOfKvrocksIsOurTree) {
  const Json config = translate_text("kvrocks", kKvrocks, "kvrocks.conf")["lsm"];
  const auto options = read_config<LsmOptions>(ConfigNode(config, "translated"));
  EXPECT_EQ(options.write_buffer, Bytes(256LL << 20));
  EXPECT_EQ(options.max_subcompactions, 1);
  EXPECT_EQ(options.flush_limit(), 2);
  EXPECT_EQ(options.compaction_limit(), 6);
}

TEST(TranslatedConfig, RedisAndValkeyAreStores) {
  expect_accepted<Store>(translate_text("redis", kRedis, "redis.conf"));
  expect_accepted<Store>(translate_text("redis", kRedis, "valkey.conf"));
}

TEST(TranslatedConfig, LmcacheIsAConnector) {
  expect_accepted<Connector>(translate_text("lmcache", kLmcache, "lmcache.yaml"));
}

TEST(TranslatedConfig, TheLmcacheServerIsAConnector) {
  expect_accepted<Connector>(
      translate_text("lmcache-server",
                     "lmcache server --l1-size-gb 100 --chunk-size 512 --eviction-policy LRU "
                     "--eviction-trigger-watermark 0.9 --eviction-ratio 0.1",
                     "text"));
}

TEST(TranslatedConfig, OffloadingIsAConnector) {
  expect_accepted<Connector>(translate_text(
      "vllm",
      R"(--kv-transfer-config '{"kv_connector":"OffloadingConnector","kv_connector_extra_config":)"
      R"({"cpu_bytes_to_use":1000000000,"blocks_per_chunk":2,"store_threshold":1,)"
      R"("offload_prompt_only":true,"eviction_policy":"arc"}}')",
      "text")["connector"]);
}

TEST(TranslatedConfig, FlagsOfVllmAreAPool) {
  Json config = translate_text(
      "vllm",
      "vllm serve a/b -tp 2 --max-num-batched-tokens 4096 --max-num-seqs 128 "
      "--gpu-memory-utilization 0.9 --max-model-len 8192 --block-size 32 "
      "--num-gpu-blocks-override 1000 --no-async-scheduling --no-enable-prefix-caching "
      "--no-enable-chunked-prefill --long-prefill-token-threshold 1024 --kv-cache-dtype fp8 "
      "--scheduling-policy priority --api-server-count 2 --watermark 0.01 --quantization fp8 "
      "--kv-offloading-size 10",
      "text");
  config["gpu"] = "h100";
  const auto pool = read_config<PoolConfig>(ConfigNode(config, "translated"));
  EXPECT_EQ(pool.llm, "a/b");
  EXPECT_EQ(pool.tensor_parallel, 2);
  EXPECT_EQ(pool.engine.max_num_seqs, 128);
  EXPECT_EQ(pool.engine.async_scheduling, false);
  EXPECT_EQ(pool.engine.kv_cache_dtype, "fp8");
  expect_accepted<Connector>(*pool.connector);
}

}  // namespace
}  // namespace kvsim
