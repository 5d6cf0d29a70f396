#include "sim/kv/kv_events.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace kvsim {
namespace {

constexpr double kEps = 1e-9;

KvEventOptions delays(double publish, double network, double apply) {
  KvEventOptions options;
  options.publish = Seconds(publish);
  options.network = Seconds(network);
  options.apply = Seconds(apply);
  return options;
}

// Hashes visible by then, which are read; negative: removed.
std::vector<std::int64_t> read(KvEventLog& log, double now) {
  std::vector<std::int64_t> out;
  for (const KvEvent* event; (event = log.front(Seconds(now))) != nullptr; log.pop()) {
    const auto hash = static_cast<std::int64_t>(event->hash);
    out.push_back(event->kind == KvEvent::Kind::kRemoved ? -hash : hash);
  }
  return out;
}
using Hashes = std::vector<std::int64_t>;

TEST(KvEventLog, AChangeIsVisibleOncePublishedSentAndApplied) {
  KvEventLog log(delays(0.1, 0.2, 0.3), 1, 0);
  log.tier(0)->cached(7);
  EXPECT_TRUE(log.collecting());
  EXPECT_EQ(read(log, 100), Hashes{});  // its step has not ended
  log.step_ended(Seconds(1));
  EXPECT_FALSE(log.collecting());
  EXPECT_EQ(read(log, 1.6 - kEps), Hashes{});
  EXPECT_EQ(read(log, 1.6 + kEps), Hashes{7});
  EXPECT_EQ(read(log, 2), Hashes{});
}

TEST(KvEventLog, ChangesKeepTheirOrderAndTier) {
  KvEventLog log(delays(0, 0, 0), 1, 0);
  log.tier(2)->cached(1);
  log.tier(0)->evicted(2);
  log.step_ended(Seconds(1));
  const auto events = log.visible(Seconds(1));
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].tier, 2);
  EXPECT_EQ(events[0].kind, KvEvent::Kind::kStored);
  EXPECT_EQ(events[1].tier, 0);
  EXPECT_EQ(events[1].kind, KvEvent::Kind::kRemoved);
}

TEST(KvEventLog, AStepWithoutChangesPublishesNothing) {
  KvEventLog log(delays(0, 0, 0), 1, 0);
  log.step_ended(Seconds(1));
  EXPECT_EQ(log.batches(), 0);
}

TEST(KvEventLog, ClearingVoidsWhatWasNotPublished) {
  KvEventLog log(delays(0, 0, 0), 1, 0);
  log.tier(0)->cached(7);
  log.cleared();
  log.step_ended(Seconds(1));
  const auto events = log.visible(Seconds(1));
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].kind, KvEvent::Kind::kCleared);
}

TEST(KvEventLog, ChangesBelowHbmComeAfterStepsThatHaveEnded) {
  KvEventLog log(delays(0, 0, 0), 1, 0);
  log.set_catch_up([&log] { log.step_ended(Seconds(1)); });
  log.tier(0)->cached(1);
  log.tier(1)->cached(2);  // at 1.5, before anybody asked the engine
  log.step_ended(Seconds(2));
  EXPECT_EQ(read(log, 2 - kEps), Hashes{1});
  EXPECT_EQ(read(log, 2), Hashes{2});
}

// A log that loses some batches: the seed is found by trial.
struct Lossy {
  explicit Lossy(std::int64_t replay_batches) {
    options = delays(0, 0, 0);
    options.replay = Seconds(0.25);
    options.replay_batches = replay_batches;
    options.loss = 0.5;
  }
  // Batches of one hash each, 1, 2, ..., at times 1, 2, ...; the log of a seed that loses just
  // those in `lost`.
  std::unique_ptr<KvEventLog> log(std::int64_t batches, const std::vector<std::int64_t>& lost) {
    for (std::uint64_t seed = 0;; ++seed) {
      Rng rng = stream(seed, "kv-events/3");
      bool fits = true;
      for (std::int64_t i = 1; i <= batches; ++i) {
        const bool loses = rng.uniform() < options.loss;
        fits = fits && loses == (std::find(lost.begin(), lost.end(), i) != lost.end());
      }
      if (!fits) continue;
      auto log = std::make_unique<KvEventLog>(options, seed, 3);
      for (std::int64_t i = 1; i <= batches; ++i) {
        log->tier(0)->cached(static_cast<BlockHash>(i));
        log->step_ended(Seconds(static_cast<double>(i)));
      }
      return log;
    }
  }
  KvEventOptions options;
};

TEST(KvEventLog, AGapIsFilledWhenTheNextBatchShowsIt) {
  const auto log = Lossy(10).log(4, {2, 3});
  EXPECT_EQ(read(*log, 1), Hashes{1});
  EXPECT_EQ(read(*log, 4.25 - kEps), Hashes{});
  EXPECT_EQ(read(*log, 4.25), (Hashes{2, 3, 4}));
  EXPECT_EQ(log->lost_batches(), 0);
}

TEST(KvEventLog, WithoutReplayWhatIsLostStaysLost) {
  const auto log = Lossy(0).log(4, {2, 3});
  EXPECT_EQ(read(*log, 4), (Hashes{1, 4}));
  EXPECT_EQ(log->lost_batches(), 2);
}

TEST(KvEventLog, OnlyTheBatchesThatAPublisherKeepsAreReplayed) {
  const auto log = Lossy(2).log(4, {2, 3});  // when it is asked it keeps the third and fourth
  EXPECT_EQ(read(*log, 4.25), (Hashes{1, 3, 4}));
  EXPECT_EQ(log->lost_batches(), 1);
}

TEST(KvEventLog, NoBatchOvertakesAReplay) {
  Lossy lossy(10);
  lossy.options.replay = Seconds(1.5);
  const auto log = lossy.log(4, {2});  // the third waits for the second, the fourth for the third
  EXPECT_EQ(read(*log, 4.5 - kEps), Hashes{1});
  EXPECT_EQ(read(*log, 4.5), (Hashes{2, 3, 4}));
}

TEST(KvEventLog, LongLogsAreReadInPieces) {
  KvEventLog log(delays(0, 0, 0), 1, 0);
  std::int64_t stored = 0;
  std::int64_t seen = 0;
  for (int step = 1; step <= 300; ++step) {
    for (int i = 0; i < 100; ++i) log.tier(0)->cached(static_cast<BlockHash>(++stored));
    log.step_ended(Seconds(step));
    for (int i = 0; i < 70; ++i, log.pop())
      ASSERT_EQ(static_cast<std::int64_t>(log.front(Seconds(step))->hash), ++seen);
  }
  while (log.front(Seconds(300)) != nullptr) {
    ASSERT_EQ(static_cast<std::int64_t>(log.front(Seconds(300))->hash), ++seen);
    log.pop();
  }
  EXPECT_EQ(seen, stored);
}

}  // namespace
}  // namespace kvsim
