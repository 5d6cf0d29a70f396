#include "sim/store/lsm_tree.hpp"

#include <gtest/gtest.h>

#include "sim/base/rng.hpp"

namespace kvsim {
namespace {

constexpr Bytes kKiB{1024};
constexpr Bytes kValue{4 * 1024};

LsmOptions small_options() {
  LsmOptions options;
  options.write_buffer = kKiB * 256;
  options.min_write_buffer_number_to_merge = 1;
  options.memtable_bloom_ratio = 0;
  options.target_file_size_base = kKiB * 256;
  options.max_bytes_for_level_base = kKiB * 1024;
  options.max_bytes_for_level_multiplier = 4;
  options.blob_file = kKiB * 256;
  options.min_blob = kKiB;
  options.wal_ttl = Seconds(0);
  options.wal_size_limit = Bytes(0);
  options.key = Bytes(16);
  return options;
}

// Runs jobs at once until there is nothing to do.
void settle(LsmTree& tree) {
  while (const auto job = tree.take_job()) tree.finish(job->id);
}

void put_random(LsmTree& tree, int count, Rng& random, std::uint64_t keys = 0) {
  for (int i = 0; i < count; ++i) {
    const std::uint64_t key = keys > 0 ? mix64(random.below(keys)) : random.bits();
    tree.put(key, kValue);
    settle(tree);
  }
}

Rng draws() { return stream(1, "test"); }

// Without draining: fills memtables until so many wait.
void fill_memtables(LsmTree& tree, int immutable) {
  Rng random = stream(static_cast<std::uint64_t>(immutable), "fill");
  while (tree.memtables().immutable() < immutable) tree.put(random.bits(), kValue);
}

WriteCondition condition_of(int memtables, int files, Bytes pending) {
  LsmOptions options;
  options.max_write_buffer_number = 6;
  return write_condition(options, {memtables, files, pending});
}

constexpr Bytes kGiB{kGibibyte};
using State = WriteCondition::State;
using Cause = WriteCondition::Cause;

TEST(WriteConditionTest, StopsComeBeforeDelaysAndMemtablesBeforeFilesBeforeDebt) {
  EXPECT_EQ(condition_of(6, 40, kGiB * 256).cause, Cause::kMemtables);
  EXPECT_EQ(condition_of(5, 40, kGiB * 256).cause, Cause::kLevel0Files);
  EXPECT_EQ(condition_of(5, 20, kGiB * 256).cause, Cause::kPendingBytes);
  EXPECT_EQ(condition_of(5, 20, kGiB * 256).state, State::kStopped);
  EXPECT_EQ(condition_of(5, 20, kGiB * 64).cause, Cause::kMemtables);
  EXPECT_EQ(condition_of(4, 20, kGiB * 64).cause, Cause::kLevel0Files);
  EXPECT_EQ(condition_of(4, 19, kGiB * 64).cause, Cause::kPendingBytes);
  EXPECT_EQ(condition_of(4, 19, kGiB * 64).state, State::kDelayed);
  EXPECT_EQ(condition_of(4, 19, kGiB * 63).state, State::kNormal);
}

TEST(WriteConditionTest, ThreeMemtablesOrFewerAreNeverDelayed) {
  LsmOptions options;
  options.max_write_buffer_number = 3;
  EXPECT_EQ(write_condition(options, {2, 0, Bytes(0)}).state, State::kNormal);
  EXPECT_EQ(write_condition(options, {3, 0, Bytes(0)}).state, State::kStopped);
}

LsmOptions delayed_at(double bytes_per_s) {
  LsmOptions options;
  options.delayed_write_rate = Bandwidth(bytes_per_s);
  return options;
}

const WriteCondition kDelayedByFiles{State::kDelayed, Cause::kLevel0Files, false};
const WriteCondition kNearStop{State::kDelayed, Cause::kLevel0Files, true};
const WriteCondition kStoppedByFiles{State::kStopped, Cause::kLevel0Files, false};

TEST(WriteControllerTest, TheRateFollowsTheDebt) {
  WriteController controller(delayed_at(1e6));
  controller.update(kDelayedByFiles, Bytes(100));
  EXPECT_DOUBLE_EQ(controller.rate().count(), 1e6);
  controller.update(kDelayedByFiles, Bytes(100));  // did not shrink
  EXPECT_DOUBLE_EQ(controller.rate().count(), 0.8e6);
  controller.update(kNearStop, Bytes(90));
  EXPECT_DOUBLE_EQ(controller.rate().count(), 0.48e6);
  controller.update(kDelayedByFiles, Bytes(80));  // shrank
  EXPECT_DOUBLE_EQ(controller.rate().count(), 0.6e6);
  controller.update({}, Bytes(80));  // recovered
  EXPECT_DOUBLE_EQ(controller.rate().count(), 0.84e6);
}

TEST(WriteControllerTest, TheRateStaysBetweenItsBounds) {
  WriteController controller(delayed_at(1e6));
  for (int i = 0; i < 100; ++i) controller.update(kNearStop, Bytes(100));
  EXPECT_DOUBLE_EQ(controller.rate().count(), 16 * 1024);
  for (int i = 0; i < 100; ++i) controller.update(kDelayedByFiles, Bytes(99 - i));
  EXPECT_DOUBLE_EQ(controller.rate().count(), 1e6);
}

TEST(WriteControllerTest, DelayedWritesProceedAtTheRate) {
  WriteController controller(delayed_at(1e6));
  EXPECT_EQ(controller.delay(Bytes(5000), Seconds(0)), Seconds(0));  // not delayed at all
  controller.update(kDelayedByFiles, Bytes(0));
  Seconds now(0);
  for (int i = 0; i < 100; ++i) now += controller.delay(Bytes(5000), now);
  EXPECT_NEAR(now.count(), 0.5, 0.01);
  controller.update(kStoppedByFiles, Bytes(0));
  EXPECT_EQ(controller.delay(Bytes(5000), now), Seconds(0));  // the condition says to wait
}

TEST(WriteControllerTest, WithoutARateOfItsOwnTheLimitersCounts) {
  EXPECT_DOUBLE_EQ(WriteController(LsmOptions{}).rate().count(), 512'000.0 * kMebibyte);
  LsmOptions options;
  options.rate_limit = Bandwidth(0);
  EXPECT_DOUBLE_EQ(WriteController(options).rate().count(), 16.0 * kMebibyte);
}

TEST(LsmTreeTest, AFlushWaitsForAsManyMemtablesAsItMerges) {
  LsmOptions options = small_options();
  options.min_write_buffer_number_to_merge = 2;
  LsmTree tree(options);
  fill_memtables(tree, 1);
  EXPECT_FALSE(tree.take_job());
  fill_memtables(tree, 2);
  const auto job = tree.take_job();
  ASSERT_TRUE(job);
  EXPECT_EQ(job->kind, LsmJob::Kind::kFlush);
  EXPECT_NEAR(job->written.real(), 2 * 224.0 * 1024, 16.0 * 1024);  // 7 of 8 arena blocks each
  EXPECT_EQ(tree.levels().files(0).size(), 0U);
  tree.finish(job->id);
  EXPECT_EQ(tree.levels().files(0).size(), 1U);
  EXPECT_EQ(tree.memtables().immutable(), 0);
}

TEST(LsmTreeTest, AMemtableIsSwitchedByTheWriteAfterTheOneThatFillsIt) {
  LsmTree tree(small_options());
  Rng random = draws();
  while (!tree.memtables().switch_due()) tree.put(random.bits(), kValue);
  EXPECT_EQ(tree.memtables().immutable(), 0);
  EXPECT_TRUE(tree.begin_write());
  EXPECT_EQ(tree.memtables().immutable(), 1);
  EXPECT_FALSE(tree.begin_write());
}

TEST(LsmTreeTest, WritesStopWhenMemtablesAreNotFlushed) {
  LsmTree tree(small_options());
  fill_memtables(tree, 3);
  EXPECT_EQ(tree.condition(), (WriteCondition{State::kDelayed, Cause::kMemtables}));
  fill_memtables(tree, 4);
  EXPECT_EQ(tree.condition(), (WriteCondition{State::kStopped, Cause::kMemtables}));
  const auto job = tree.take_job();
  ASSERT_TRUE(job);
  EXPECT_EQ(tree.condition().state, State::kStopped);
  tree.finish(job->id);
  EXPECT_EQ(tree.condition().state, State::kNormal);
}

TEST(LsmTreeTest, FlushesInstallInTheOrderOfTheirMemtables) {
  LsmTree tree(small_options());
  fill_memtables(tree, 1);
  const auto first = tree.take_job();
  fill_memtables(tree, 2);
  const auto second = tree.take_job();
  ASSERT_TRUE(first && second);
  tree.finish(second->id);
  EXPECT_EQ(tree.levels().files(0).size(), 0U);
  tree.finish(first->id);
  EXPECT_EQ(tree.levels().files(0).size(), 2U);
}

TEST(LsmTreeTest, ALongLogForcesAFlush) {
  LsmOptions options = small_options();
  options.write_buffer = kKiB * 4096;
  options.min_write_buffer_number_to_merge = 2;
  options.max_total_wal = kKiB * 64;
  LsmTree tree(options);
  for (LsmKey key = 0; key < 15; ++key) tree.put(key, kValue);
  EXPECT_FALSE(tree.take_job());
  for (LsmKey key = 20; key < 23; ++key) tree.put(key, kValue);
  const auto job = tree.take_job();
  ASSERT_TRUE(job);
  EXPECT_NEAR(job->written.real(), 64 * 1024.0, 6000);
}

TEST(LsmTreeTest, OldLogsAreArchivedUpToTheirLimitAndAge) {
  LsmOptions options = small_options();
  options.wal_size_limit = kKiB * 1024;
  options.wal_ttl = Seconds(100);
  LsmTree tree(options);
  Rng random = draws();
  put_random(tree, 1000, random);
  EXPECT_GT(tree.memtables().archived_wal(), kKiB * 3000);
  tree.purge_archived_wal(Seconds(10));
  EXPECT_LE(tree.memtables().archived_wal(), kKiB * 1024);
  EXPECT_GT(tree.memtables().archived_wal(), kKiB * 700);
  tree.purge_archived_wal(Seconds(110));
  EXPECT_GT(tree.memtables().archived_wal(), Bytes(0));
  tree.purge_archived_wal(Seconds(110.1));
  EXPECT_EQ(tree.memtables().archived_wal(), Bytes(0));
}

TEST(LsmTreeTest, FindSeesTheNewestVersionInEveryPlace) {
  LsmTree tree(small_options());
  tree.put(7, kKiB);
  EXPECT_EQ(tree.find(7).found->place, LsmTree::Found::Place::kMemtable);
  Rng random = draws();
  put_random(tree, 2000, random);
  const auto deep = tree.find(7).found;
  ASSERT_TRUE(deep);
  EXPECT_EQ(deep->place, LsmTree::Found::Place::kTable);
  EXPECT_GT(deep->level, 0);
  EXPECT_EQ(deep->value, kKiB);
  tree.put(7, kKiB * 2);
  EXPECT_EQ(tree.find(7).found->value, kKiB * 2);
  put_random(tree, 80, random);
  EXPECT_EQ(tree.find(7).found->value, kKiB * 2);
  tree.erase(7);
  EXPECT_FALSE(tree.contains(7));
  put_random(tree, 2000, random);
  EXPECT_FALSE(tree.contains(7));
}

TEST(LsmTreeTest, EveryKeyIsFoundWhileJobsRun) {
  for (const bool blobs : {false, true}) {
    LsmOptions options = small_options();
    options.enable_blob_files = blobs;
    options.max_background_compactions = 4;
    LsmTree tree(options);
    Rng random = draws();
    std::map<LsmKey, Bytes> truth;
    std::vector<std::uint64_t> jobs;
    for (int i = 0; i < 6000; ++i) {
      const LsmKey key = mix64(random.below(2000));
      if (random.below(10) == 0) {
        tree.erase(key);
        truth.erase(key);
      } else {
        const Bytes value(static_cast<std::int64_t>(random.below(8000)));
        tree.put(key, value);
        truth[key] = value;
      }
      while (const auto job = tree.take_job()) jobs.push_back(job->id);
      if (!jobs.empty() && random.below(8) == 0) {
        const auto at = static_cast<std::ptrdiff_t>(random.below(jobs.size()));
        tree.finish(jobs[static_cast<std::size_t>(at)]);
        jobs.erase(jobs.begin() + at);
      }
      const LsmKey asked = mix64(random.below(2000));
      const auto found = tree.find(asked).found;
      ASSERT_EQ(found.has_value(), truth.count(asked) > 0);
      if (found) {
        ASSERT_EQ(found->value, truth[asked]);
      }
    }
    Bytes live(0);
    for (const auto& [key, value] : truth) live += Bytes(16) + value;
    EXPECT_EQ(tree.live_bytes(), live);
  }
}

TEST(LsmTreeTest, AFileMovesIntoAnEmptyLevelUnread) {
  LsmOptions options = small_options();
  options.level0_file_num_compaction_trigger = 1;
  LsmTree tree(options);
  fill_memtables(tree, 1);
  tree.finish(tree.take_job()->id);
  const auto move = tree.take_job();
  ASSERT_TRUE(move);
  EXPECT_TRUE(move->trivial_move);
  EXPECT_EQ(move->all_read() + move->all_written(), Bytes(0));
  tree.finish(move->id);
  EXPECT_EQ(tree.levels().files(1).size(), 1U);
  EXPECT_TRUE(tree.take_deleted_files().empty());
}

TEST(LsmTreeTest, ALevel0FileAboveTheTargetOfLevel1IsCompactedAtOnce) {
  LsmOptions options = small_options();
  options.max_bytes_for_level_base = kKiB * 64;  // a quarter of a flush
  LsmTree tree(options);
  fill_memtables(tree, 1);
  tree.finish(tree.take_job()->id);
  ASSERT_EQ(tree.levels().files(0).size(), 1U);
  const auto job = tree.take_job();  // far below the trigger of 4 files
  ASSERT_TRUE(job);
  EXPECT_EQ(job->from_level, 0);
  tree.finish(job->id);
  // Level 1 is over its target from then on, and is emptied into level 2 at once.
  EXPECT_EQ(tree.take_job()->from_level, 1);
}

TEST(LsmTreeTest, BlobFilesMakeCompactionTrafficVanish) {
  LsmOptions options = small_options();
  LsmTree plain(options);
  options.enable_blob_files = true;
  options.enable_blob_garbage_collection = false;
  LsmTree blobs(options);
  Rng random = draws();
  put_random(plain, 5000, random);
  put_random(blobs, 5000, random);
  EXPECT_GT(plain.write_amplification(), 5);
  EXPECT_LT(blobs.write_amplification(), 2.2);
  EXPECT_LT(blobs.totals().compaction_written.real(),
            0.05 * plain.totals().compaction_written.real());
}

// RocksDB goes by age alone: what is old is rewritten whether or not there is garbage beside it, at
// each compaction that meets it. Where the whole index fits into level 1 that is every compaction.
TEST(LsmTreeTest, GarbageCollectionRewritesOldBlobsEvenWithoutGarbage) {
  LsmOptions options = small_options();
  options.enable_blob_files = true;
  LsmTree tree(options);
  Rng random = draws();
  put_random(tree, 5000, random);
  EXPECT_GT(tree.totals().blob_collected_written.real(), tree.totals().blob_flushed.real());
  EXPECT_NEAR(tree.blob_bytes().real(), 5000 * 4144.0, 0.04 * 5000 * 4144);
}

TEST(LsmTreeTest, GarbageCollectionRewritesOldLiveBlobsOnly) {
  LsmOptions options = small_options();
  options.enable_blob_files = true;
  options.max_bytes_for_level_base = kKiB * 4;
  LsmTree tree(options);
  Rng random = draws();
  put_random(tree, 8000, random, 1000);
  const LsmTotals& totals = tree.totals();
  EXPECT_GT(totals.blob_collected_written, Bytes(0));
  EXPECT_EQ(totals.blob_collected_read.real() > 0, true);
  // Overwritten values leave: what is kept is a small multiple of what is alive.
  EXPECT_LT(tree.blob_bytes().real(), 3 * tree.live_bytes().real());
  EXPECT_FALSE(tree.take_deleted_files().empty());
}

TEST(LsmTreeTest, WithoutCollectionNoLiveBlobIsRewritten) {
  LsmOptions options = small_options();
  options.enable_blob_files = true;
  options.enable_blob_garbage_collection = false;
  LsmTree tree(options);
  Rng random = draws();
  put_random(tree, 4000, random);
  EXPECT_EQ(tree.totals().blob_collected_written, Bytes(0));
  EXPECT_NEAR(tree.totals().blob_flushed.real(), 4000 * 4144.0, 0.04 * 4000 * 4144);
}

TEST(LsmTreeTest, TombstonesDisappearWithWhatTheyHide) {
  LsmTree tree(small_options());
  Rng random = draws();
  std::vector<LsmKey> keys;
  for (int i = 0; i < 1500; ++i) {
    keys.push_back(random.bits());
    tree.put(keys.back(), kValue);
    settle(tree);
  }
  const Bytes full = tree.table_bytes();
  for (const LsmKey key : keys) {
    tree.erase(key);
    settle(tree);
  }
  put_random(tree, 1500, random);
  EXPECT_EQ(tree.live_bytes(), Bytes(1500 * (4096 + 16)));
  EXPECT_LT(tree.table_bytes().real(), 1.3 * full.real());
}

TEST(LsmTreeTest, LevelsStayWithinTheirTargetsWhenSettled) {
  LsmTree tree(small_options());
  Rng random = draws();
  put_random(tree, 10000, random);
  EXPECT_LT(tree.levels().files(0).size(), 4U);
  for (int level = 1; level < 6; ++level) {
    EXPECT_LE(tree.levels().bytes(level), tree.levels().target(level)) << level;
  }
  EXPECT_EQ(tree.pending_compaction(), Bytes(0));
  EXPECT_EQ(tree.live_bytes(), Bytes(10000 * (4096 + 16)));
}

TEST(LsmTreeTest, WithDynamicTargetsTheLastLevelHoldsMost) {
  LsmOptions options = small_options();
  options.level_compaction_dynamic_level_bytes = true;
  LsmTree tree(options);
  Rng random = draws();
  put_random(tree, 10000, random);
  EXPECT_GT(tree.levels().bytes(6).real(), 0.65 * tree.table_bytes().real());
  EXPECT_EQ(tree.levels().bytes(1), Bytes(0));
}

TEST(LsmTreeTest, APreloadedTreeIsSettledAndCountsNoTraffic) {
  for (const bool dynamic : {false, true}) {
    for (const bool blobs : {false, true}) {
      LsmOptions options = small_options();
      options.level_compaction_dynamic_level_bytes = dynamic;
      options.enable_blob_files = blobs;
      LsmTree tree(options);
      Rng random = draws();
      std::vector<LsmTree::Preload> entries;
      for (int i = 0; i < 10000; ++i) entries.push_back({random.bits(), kValue});
      tree.preload(entries);
      EXPECT_FALSE(tree.take_job());
      EXPECT_EQ(tree.live_bytes(), Bytes(10000 * (4096 + 16)));
      EXPECT_EQ(tree.write_amplification(), 0);
      for (int i = 0; i < 10000; i += 500) {
        EXPECT_TRUE(tree.contains(entries[static_cast<std::size_t>(i)].key));
      }
      put_random(tree, 1000, random);
      EXPECT_GT(tree.write_amplification(), blobs ? 1.9 : 5.0);
    }
  }
}

TEST(LsmOptionsTest, AreReadByTheNamesOfTheirUnits) {
  const Json json = {{"write_buffer_bytes", 536870912},
                     {"enable_blob_files", true},
                     {"max_background_flushes", -1},
                     {"compression", "lz4"},
                     {"delayed_write_rate_bytes_per_s", 1e6}};
  const ConfigNode node(json, "lsm");
  const LsmOptions options = read_config<LsmOptions>(node);
  EXPECT_EQ(options.write_buffer, kKiB * 512 * 1024);
  EXPECT_EQ(options.max_background_flushes, -1);
  EXPECT_TRUE(options.enable_blob_files && options.compresses(2) && !options.compresses(1));
  EXPECT_EQ(options.delayed_write_rate_or_default(), Bandwidth(1e6));
}

TEST(LsmTreeTest, DeletedFilesAreReportedOnce) {
  LsmTree tree(small_options());
  Rng random = draws();
  put_random(tree, 1000, random);
  EXPECT_FALSE(tree.take_deleted_files().empty());
  EXPECT_TRUE(tree.take_deleted_files().empty());
}

}  // namespace
}  // namespace kvsim
