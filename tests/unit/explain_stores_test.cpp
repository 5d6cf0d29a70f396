// Configuration files of stores, in the style of the wild: what each option comes out as.
#include "tests/unit/explanations.hpp"

namespace kvsim {
namespace {

// A tuned Kvrocks in front of two NVMe drives; the options of spec kvrocks_rocksdb section 8.
constexpr const char* kTunedKvrocks = R"(
# ---- cache tier ----
bind 0.0.0.0
workers   32                                  # one for each client connection
rocksdb.block_cache_size 419430               # MB
rocksdb.row_cache_size 113000
rocksdb.write_buffer_size	512
rocksdb.max_write_buffer_number 12
rocksdb.min_write_buffer_number_to_merge 2
ROCKSDB.target_file_size_base "1024"
rocksdb.max_background_jobs 32
rocksdb.max_background_compactions 32
rocksdb.max_background_flushes 16
rocksdb.max_subcompactions 16
rocksdb.max_total_wal_size 8192
rocksdb.wal_ttl_seconds 10800
rocksdb.wal_size_limit_mb 16384
rocksdb.level0_file_num_compaction_trigger 4
rocksdb.level0_slowdown_writes_trigger 20
rocksdb.level0_stop_writes_trigger 40
rocksdb.delayed_write_rate 0
rocksdb.enable_pipelined_write yes
rocksdb.compression lz4   # cheap
rocksdb.compression_start_level 2
rocksdb.block_size 16384
rocksdb.compaction_readahead_size 4194304
rocksdb.enable_blob_files no
rocksdb.min_blob_size 4096
rocksdb.blob_file_size 134217728
rocksdb.enable_blob_garbage_collection yes
rocksdb.blob_garbage_collection_age_cutoff 25
rocksdb.max_open_files -1
rocksdb.dump_malloc_stats yes
rocksdb.partition_filters yes
enable-blob-cache yes
auto-resize-block-and-sst yes
max-db-size 0
)";

TEST(ExplainKvrocks, SizesComeOutInBytesWhateverTheirUnit) {
  const Json config = kvrocks(kTunedKvrocks).config;
  EXPECT_EQ(config["kind"], "kvrocks");
  EXPECT_EQ(config["workers"], 32);
  EXPECT_EQ(config["block_cache_bytes"], 419430 * kMebi);
  EXPECT_EQ(config["row_cache_bytes"], 113000 * kMebi);
  EXPECT_EQ(config["max_db_bytes"], 0);
  const Json& lsm = config["lsm"];
  EXPECT_EQ(lsm["write_buffer_bytes"], 512 * kMebi);
  EXPECT_EQ(lsm["target_file_size_base_bytes"], kGibi);
  EXPECT_EQ(lsm["max_total_wal_bytes"], 8 * kGibi);
  EXPECT_EQ(lsm["wal_size_limit_bytes"], 16 * kGibi);
  EXPECT_EQ(lsm["compaction_readahead_bytes"], 4 * kMebi);
  EXPECT_EQ(lsm["blob_file_bytes"], 128 * kMebi);
  EXPECT_EQ(lsm["block_bytes"], 16384);
  EXPECT_EQ(lsm["min_blob_bytes"], 4096);
}

TEST(ExplainKvrocks, CountsFlagsAndSharesComeOutAsTheyAre) {
  const Json lsm = kvrocks(kTunedKvrocks).config["lsm"];
  EXPECT_EQ(lsm["max_write_buffer_number"], 12);
  EXPECT_EQ(lsm["max_background_jobs"], 32);
  EXPECT_EQ(lsm["max_background_compactions"], 32);
  EXPECT_EQ(lsm["max_background_flushes"], 16);
  EXPECT_EQ(lsm["max_subcompactions"], 16);
  EXPECT_EQ(lsm["level0_file_num_compaction_trigger"], 4);
  EXPECT_EQ(lsm["level0_slowdown_writes_trigger"], 20);
  EXPECT_EQ(lsm["level0_stop_writes_trigger"], 40);
  EXPECT_EQ(lsm["delayed_write_rate_bytes_per_s"], 0);
  EXPECT_EQ(lsm["wal_ttl_s"], 10800);
  EXPECT_EQ(lsm["enable_pipelined_write"], true);
  EXPECT_EQ(lsm["compression"], "lz4");
  EXPECT_EQ(lsm["compression_start_level"], 2);
  EXPECT_EQ(lsm["enable_blob_files"], false);
  EXPECT_EQ(lsm["enable_blob_garbage_collection"], true);
  EXPECT_DOUBLE_EQ(lsm["blob_garbage_collection_age_cutoff"].get<double>(), 0.25);
}

TEST(ExplainKvrocks, TellsWhatTheRealServerReadsOver) {
  const Explanation explanation = kvrocks(kTunedKvrocks);
  for (const char* option :
       {"rocksdb.min_write_buffer_number_to_merge", "rocksdb.dump_malloc_stats",
        "rocksdb.partition_filters", "enable-blob-cache", "auto-resize-block-and-sst"})
    EXPECT_EQ(effect_of(explanation, option), Effect::kIgnoredByReal) << option;
  EXPECT_FALSE(explanation.config["lsm"].contains("min_write_buffer_number_to_merge"));
}

TEST(ExplainKvrocks, EveryOtherOptionOfTheFileIsKnown) {
  const Explanation explanation = kvrocks(kTunedKvrocks);
  for (const Explained& option : explanation.options) {
    EXPECT_NE(option.effect, Effect::kUnknown) << option.option;
    EXPECT_NE(option.effect, Effect::kRefused) << option.option;
    EXPECT_FALSE(option.text.empty()) << option.option;
  }
  EXPECT_EQ(effect_of(explanation, "rocksdb.max_open_files"), Effect::kNotModelled);
  EXPECT_NE(text_of(explanation, "rocksdb.block_size").find("Irrelevant for big values"),
            std::string::npos);
}

TEST(ExplainKvrocks, ContradictionsFollowFromTheNumbers) {
  const Explanation explanation = kvrocks(kTunedKvrocks);
  const auto& lines = explanation.contradictions;
  EXPECT_TRUE(says(lines, "L0 file of 1 GiB (2 x write_buffer_size)")) << all(explanation);
  EXPECT_TRUE(says(lines, "4 L0 files at once would need 4 GiB")) << all(explanation);
  EXPECT_TRUE(says(lines, "delayed_write_rate is 0: ")) << all(explanation);
  EXPECT_TRUE(says(lines, "hard stop at 40")) << all(explanation);
  EXPECT_TRUE(says(lines, "three times")) << all(explanation);
  EXPECT_TRUE(says(lines, "on the disk twice")) << all(explanation);
  EXPECT_TRUE(says(lines, "compression lz4 from level 2")) << all(explanation);
  EXPECT_TRUE(says(lines, "blob_file_size")) << all(explanation);
  EXPECT_TRUE(says(explanation.notes, "memtables up to 6 GiB (12 x 512 MiB)")) << all(explanation);
  EXPECT_TRUE(says(explanation.notes, "nothing is evicted")) << all(explanation);
}

TEST(ExplainKvrocks, AFittingTreeHasNoComplaintOfLevels) {
  const Explanation small = kvrocks("rocksdb.write_buffer_size 64\n");
  EXPECT_FALSE(says(small.contradictions, "makes an L0 file")) << all(small);
  const Explanation blobs =
      kvrocks("rocksdb.write_buffer_size 512\nrocksdb.enable_blob_files yes\n");
  EXPECT_FALSE(says(blobs.contradictions, "makes an L0 file")) << all(blobs);
}

TEST(ExplainKvrocks, ALimitedWriteRateIsASlowdown) {
  const Explanation explanation = kvrocks("rocksdb.delayed_write_rate 16777216\n");
  EXPECT_FALSE(says(explanation.contradictions, "delayed_write_rate")) << all(explanation);
  EXPECT_EQ(explanation.config["lsm"]["delayed_write_rate_bytes_per_s"], 16 * kMebi);
}

TEST(ExplainKvrocks, BytesWhereMebibytesAreMeantAreRefused) {
  const Explanation explanation =
      kvrocks("rocksdb.block_cache_size 8589934592\nrocksdb.write_buffer_size 268435456\n");
  EXPECT_EQ(effect_of(explanation, "rocksdb.block_cache_size"), Effect::kRefused);
  EXPECT_TRUE(says(explanation.contradictions, "8 GiB would be written 8192")) << all(explanation);
  EXPECT_TRUE(says(explanation.contradictions, "256 MiB would be written 256"));
  EXPECT_FALSE(explanation.config.contains(Json::json_pointer("/lsm/write_buffer_bytes")));
  EXPECT_THROW((void)translate_text("kvrocks", "rocksdb.write_buffer_size 268435456\n", "a.conf"),
               ConfigError);
}

TEST(ExplainKvrocks, BytesThatTheParserWouldTakeAreToldToo) {
  const Explanation explanation = kvrocks("rocksdb.row_cache_size 1073741824\n");
  EXPECT_EQ(effect_of(explanation, "rocksdb.row_cache_size"), Effect::kModelled);
  EXPECT_TRUE(says(explanation.contradictions, "1 GiB would be written 1024")) << all(explanation);
}

TEST(ExplainKvrocks, ANumberWithAUnitIsRefusedAsByTheRealParser) {
  EXPECT_EQ(effect_of(kvrocks("rocksdb.write_buffer_size 256MB\n"), "rocksdb.write_buffer_size"),
            Effect::kRefused);
}

TEST(ExplainKvrocks, ManyCompactionsWithFewJobsAreTold) {
  const Explanation explanation = kvrocks("rocksdb.max_background_compactions 16\n");
  EXPECT_TRUE(says(explanation.contradictions,
                   "max_background_compactions 16 is more than max_background_jobs 4 (default)"))
      << all(explanation);
}

TEST(ExplainKvrocks, ALimitOfBackgroundWritesIsHalvedWhileItTunesItself) {
  const auto limit = [](const std::string& text) { return kvrocks(text).config["lsm"]; };
  EXPECT_EQ(limit("max-io-mb 500\n")["rate_limit_bytes_per_s"], 250 * kMebi);
  EXPECT_EQ(limit("max-io-mb 500\nrocksdb.rate_limiter_auto_tuned no\n")["rate_limit_bytes_per_s"],
            500 * kMebi);
  EXPECT_FALSE(limit("max-io-mb 0\n").contains("rate_limit_bytes_per_s"));
}

TEST(ExplainKvrocks, CompressionIsOneOfOurs) {
  const auto compression = [](const std::string& kind) {
    const Explanation explanation = kvrocks("rocksdb.compression " + kind + "\n");
    return explanation.config["lsm"].value("compression", "-");
  };
  EXPECT_EQ(compression("no"), "none");
  EXPECT_EQ(compression("ZSTD"), "zstd");
  EXPECT_EQ(compression("snappy"), "lz4");
  EXPECT_EQ(compression("zlib"), "-");
  EXPECT_EQ(effect_of(kvrocks("rocksdb.compression best\n"), "rocksdb.compression"),
            Effect::kRefused);
}

TEST(ExplainKvrocks, ADisabledLogIsNoLog) {
  EXPECT_EQ(kvrocks("rocksdb.write_options.disable_wal yes\n").config["lsm"]["wal"], false);
}

TEST(ExplainKvrocks, MemtablesBeyondTheLogLimitAreTold) {
  const Explanation explanation =
      kvrocks("rocksdb.write_buffer_size 256\nrocksdb.max_write_buffer_number 8\n");
  EXPECT_TRUE(
      says(explanation.contradictions,
           "max_total_wal_size 512 MiB (default) forces a flush before the memtables' 2 GiB"))
      << all(explanation);
}

TEST(ExplainKvrocks, TheBlockCacheOfOldOptionsAddsUp) {
  const std::string text = "rocksdb.metadata_block_cache_size 4096\n";
  EXPECT_EQ(kvrocks(text).config["block_cache_bytes"], 6 * kGibi);
  EXPECT_EQ(kvrocks(text + "rocksdb.share_metadata_and_subkey_block_cache no\n")
                .config["block_cache_bytes"],
            4 * kGibi);
  EXPECT_FALSE(kvrocks("workers 8\n").config.contains("block_cache_bytes"));
}

TEST(ExplainKvrocks, AnUnknownOptionComesWithTheNearestName) {
  const Explanation explanation = kvrocks("rocksdb.max_write_bufer_number 6\nfrobnicate 1\n");
  EXPECT_EQ(effect_of(explanation, "rocksdb.max_write_bufer_number"), Effect::kUnknown);
  EXPECT_NE(text_of(explanation, "rocksdb.max_write_bufer_number")
                .find("Did you mean rocksdb.max_write_buffer_number?"),
            std::string::npos);
  EXPECT_EQ(text_of(explanation, "frobnicate").find("Did you mean"), std::string::npos);
}

TEST(ExplainKvrocks, TheLastOfTwoValuesHolds) {
  const Explanation explanation = kvrocks("workers 4\nworkers 12\n");
  EXPECT_EQ(explanation.config["workers"], 12);
  EXPECT_TRUE(says(explanation.contradictions, "workers is given more than once (4, 12)"));
}

// --- Redis and Valkey ---------------------------------------------------------------------------

TEST(ExplainRedis, MemoryUnitsAreRedisOwn) {
  const Json config = explain_text("redis",
                                   "maxmemory 64gb\nmaxmemory-policy allkeys-lru\nio-threads 8\n"
                                   "save \"\"\nappendonly no\n",
                                   "redis.conf")
                          .config;
  EXPECT_EQ(config["kind"], "redis");
  EXPECT_EQ(config["maxmemory_bytes"], 64 * kGibi);
  EXPECT_EQ(config["maxmemory_policy"], "allkeys-lru");
  EXPECT_EQ(config["io_threads"], 8);
  EXPECT_EQ(translate_text("redis", "maxmemory 5G", "valkey.conf")["maxmemory_bytes"],
            5'000'000'000);
  EXPECT_EQ(translate_text("redis", "maxmemory 5G", "valkey.conf")["kind"], "valkey");
}

TEST(ExplainRedis, SaveLinesAddUpAndAnEmptyOneClears) {
  const auto snapshots = [](const std::string& text) {
    return says(explain_text("redis", text, "redis.conf").contradictions, "save is on");
  };
  EXPECT_TRUE(snapshots("maxmemory 1gb\n"));
  EXPECT_TRUE(snapshots("save 900 1\nsave 300 10\n"));
  EXPECT_FALSE(snapshots("save 900 1\nsave \"\"\n"));
  EXPECT_TRUE(snapshots("save \"\"\nsave 60 1\n"));
}

TEST(ExplainRedis, NoLimitAsksForOne) {
  const Explanation explanation = explain_text("redis", "maxmemory 0\n", "redis.conf");
  EXPECT_FALSE(explanation.config.contains("maxmemory_bytes"));
  EXPECT_TRUE(says(explanation.notes, "maxmemory_bytes")) << all(explanation);
}

TEST(ExplainRedis, AFullCacheWithoutEvictionIsTold) {
  const Explanation full = explain_text("redis", "maxmemory 1gb\nsave ''\n", "redis.conf");
  EXPECT_TRUE(says(full.contradictions, "noeviction (default)")) << all(full);
  const Explanation endless = explain_text("redis", "maxmemory-policy allkeys-lfu\n", "redis.conf");
  EXPECT_TRUE(says(endless.contradictions, "nothing is ever evicted")) << all(endless);
}

}  // namespace
}  // namespace kvsim
