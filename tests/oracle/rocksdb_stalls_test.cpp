// How long writes are stalled: LsmTree and WriteController in a small loop of simulated time
// against the RocksDB library in real time, both with the same writer and the same limit on
// background writes. The limit is far below what the machine can do, so that the limit is what is
// measured.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/oracle/rocksdb_harness.hpp"

namespace kvsim {
namespace {

constexpr Bytes kKiB{1024};
constexpr Bandwidth kBackground{40e6};

struct Load {
  std::string name;
  Seconds think{0};  // between the end of a write and the next
  int writes = 0;
  LsmOptions options;
  Bytes value = kKiB * 32;
};

void PrintTo(const Load& load, std::ostream* out) { *out << load.name; }

struct Outcome {
  double stalled_s = 0;
  double elapsed_s = 0;
  double write_amplification = 0;
  [[nodiscard]] double share() const { return stalled_s / elapsed_s; }
};

// Time, the jobs under way and their common bandwidth. As the rate limiter's priorities have it,
// flushes go first and compactions share what is left; while writes are stalled all are equal.
class Background {
 public:
  Background(LsmTree& tree, WriteController& controller) : tree_(tree), controller_(controller) {}

  [[nodiscard]] Seconds now() const { return now_; }

  void start_jobs() {
    while (const auto job = tree_.take_job()) {
      jobs_.push_back({job->id, job->kind == LsmJob::Kind::kFlush, job->all_written().real()});
      if (job->trivial_move) advance(Seconds(0));
    }
  }

  void changed() {
    controller_.update(tree_.condition(), tree_.pending_compaction());
    start_jobs();
  }

  // Until `until`, or until a job has finished; false if the time was reached first.
  bool advance(Seconds until) {
    const auto next = first_to_end();
    if (next == jobs_.end()) return pass(until), false;
    const Seconds ends = now_ + Seconds(next->left / rate(*next));
    if (ends > until && next->left > 0) return pass(until), false;
    pass(std::max(ends, now_));
    tree_.finish(next->id);
    jobs_.erase(next);
    changed();
    return true;
  }

 private:
  struct Work {
    std::uint64_t id = 0;
    bool flush = false;
    double left = 0;
  };
  using Works = std::vector<Work>;

  [[nodiscard]] double rate(const Work& work) const {
    const auto flushes = std::count_if(jobs_.begin(), jobs_.end(), [](auto& w) { return w.flush; });
    const auto others = static_cast<std::ptrdiff_t>(jobs_.size()) - flushes;
    const bool stalled = controller_.condition().state != WriteCondition::State::kNormal;
    if (stalled || flushes == 0) return kBackground.count() / static_cast<double>(flushes + others);
    return work.flush ? kBackground.count() / static_cast<double>(flushes) : 0;
  }

  Works::iterator first_to_end() {
    auto first = jobs_.end();
    for (auto work = jobs_.begin(); work != jobs_.end(); ++work) {
      if (work->left <= 0) return work;
      if (rate(*work) <= 0) continue;
      if (first == jobs_.end() || work->left / rate(*work) < first->left / rate(*first)) {
        first = work;
      }
    }
    return first;
  }

  void pass(Seconds until) {
    if (until <= now_) return;
    std::vector<double> rates;
    for (const Work& work : jobs_) rates.push_back(rate(work));
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      jobs_[i].left = std::max(0.0, jobs_[i].left - rates[i] * (until - now_).count());
    }
    now_ = until;
  }

  LsmTree& tree_;
  WriteController& controller_;
  Works jobs_;
  Seconds now_{0};
};

Outcome simulate(const Load& load) {
  using State = WriteCondition::State;
  LsmTree tree(load.options);
  WriteController controller(load.options);
  Background background(tree, controller);
  Rng random = stream(3, load.name);
  double stalled_s = 0;
  const auto wait_until = [&](Seconds until) {
    while (background.now() < until) background.advance(until);
  };
  for (int i = 0; i < load.writes; ++i) {
    if (tree.begin_write()) background.changed();
    const Seconds start = background.now();
    const Seconds due = start + controller.delay(load.value, start);
    while (background.now() < due && controller.condition().state == State::kDelayed) {
      background.advance(due);
    }
    while (controller.condition().state == State::kStopped) background.advance(Seconds(1e9));
    stalled_s += (background.now() - start).count();
    tree.put(random.bits(), load.value);
    wait_until(background.now() + load.think);
  }
  return {stalled_s, background.now().count(), tree.write_amplification()};
}

Outcome measure(const Load& load) {
  RealLsm real(load.options, kBackground.count());
  Rng random = stream(3, load.name);
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  // Of a write only stalls count, as in the model: what it costs besides is taken from the pause.
  for (int i = 0; i < load.writes; ++i) {
    real.put(random.bits(), load.value);
    const double due_s = real.stalled_s() + (i + 1) * load.think.count();
    std::this_thread::sleep_until(start + std::chrono::duration<double>(due_s));
  }
  const double elapsed_s = std::chrono::duration<double>(Clock::now() - start).count();
  return {real.stalled_s(), elapsed_s, real.report().write_amplification()};
}

LsmOptions options_of_loads() {
  LsmOptions options;
  options.write_buffer = kKiB * 1024;
  options.max_write_buffer_number = 4;
  options.min_write_buffer_number_to_merge = 1;
  options.memtable_bloom_ratio = 0;
  options.target_file_size_base = kKiB * 1024;
  options.max_bytes_for_level_base = kKiB * 4096;
  options.max_bytes_for_level_multiplier = 4;
  options.level0_slowdown_writes_trigger = 8;
  options.level0_stop_writes_trigger = 12;
  options.delayed_write_rate = Bandwidth(4e6);
  options.max_subcompactions = 1;
  options.max_total_wal = Bytes(0);
  options.speedup_by_debt = false;
  options.key = Bytes(16);
  options.block = kKiB * 4;
  return options;
}

Load load_of(const char* name, double think_s, int writes) {
  return {name, Seconds(think_s), writes, options_of_loads()};
}

Load without_delays(Load load) {
  load.options.level0_slowdown_writes_trigger = 12;
  return load;
}

class RocksDbStallsTest : public testing::TestWithParam<Load> {};

TEST_P(RocksDbStallsTest, WritesAreStalledAsLongAsInTheLibrary) {
  const Load& load = GetParam();
  const Outcome model = simulate(load);
  const Outcome real = measure(load);
  fmt::print(
      "{}: stalled {:.1f} % of {:.2f} s, RocksDB {:.1f} % of {:.2f} s; written {:.2f} and {:.2f}\n",
      load.name, 100 * model.share(), model.elapsed_s, 100 * real.share(), real.elapsed_s,
      model.write_amplification, real.write_amplification);
  EXPECT_NEAR(model.share(), real.share(), 0.1);
  EXPECT_NEAR(model.elapsed_s, real.elapsed_s, 0.2 * real.elapsed_s);
}

INSTANTIATE_TEST_SUITE_P(, RocksDbStallsTest,
                         testing::Values(load_of("small", 0.006, 800),
                                         load_of("medium", 0.0025, 1200),
                                         load_of("large", 0.0005, 1500),
                                         without_delays(load_of("stops_only", 0.0015, 1500))),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace kvsim
