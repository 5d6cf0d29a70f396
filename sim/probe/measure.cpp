#include "sim/probe/measure.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

// One time, and when it ended.
struct Timed {
  double end;
  double time;
};

// What the callers of one measurement share: nothing that they wait for, as they would then give
// their core up between operations, and their times would not show that they share it.
class Callers {
 public:
  Callers(const Caller& once, std::int64_t count)
      : once_(once), warm_(count), times_(static_cast<std::size_t>(count)) {
    for (std::int64_t i = 0; i < count; ++i) threads_.emplace_back([this, i] { work(i); });
  }
  ~Callers() { join(); }
  Callers(const Callers&) = delete;
  Callers& operator=(const Callers&) = delete;

  // Rethrows what a caller threw.
  void stop() {
    join();
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }
  [[nodiscard]] bool stopped() const { return stopped_; }
  // Every caller has done one.
  [[nodiscard]] bool warm() const { return warm_ <= 0; }
  // From now on times count.
  void begin() { counting_ = true; }
  // In the order in which they ended.
  [[nodiscard]] std::vector<double> times() {
    std::vector<Timed> all;
    for (OfCaller& one : times_) {
      const std::lock_guard lock(one.mutex);
      all.insert(all.end(), one.times.begin(), one.times.end());
    }
    std::sort(all.begin(), all.end(), [](const Timed& a, const Timed& b) { return a.end < b.end; });
    std::vector<double> out;
    out.reserve(all.size());
    for (const Timed& one : all) out.push_back(one.time);
    return out;
  }

 private:
  struct OfCaller {
    std::mutex mutex;
    std::vector<Timed> times;
  };

  void join() {
    stopped_ = true;
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  void work(std::int64_t caller) {
    OfCaller& own = times_[static_cast<std::size_t>(caller)];
    try {
      once_(caller);
      --warm_;
      while (!stopped_) {
        const bool counts = counting_;
        const Seconds time = once_(caller);
        if (!counts) continue;
        const std::lock_guard lock(own.mutex);
        own.times.push_back({watch_.elapsed().count(), time.count()});
      }
    } catch (...) {
      const std::lock_guard lock(failing_);
      if (!failure_) failure_ = std::current_exception();
      stopped_ = true;
    }
  }

  const Caller& once_;
  const Stopwatch watch_;
  std::atomic<std::int64_t> warm_;
  std::atomic<bool> counting_{false};
  std::atomic<bool> stopped_{false};
  std::mutex failing_;
  std::exception_ptr failure_;
  std::vector<OfCaller> times_;
  std::vector<std::thread> threads_;
};

constexpr auto kLook = std::chrono::milliseconds(5);

}  // namespace

Sample measure(const BenchOperation& operation, const Patience& patience, const Caller& once) {
  KV_CHECK(operation.at_once > 0, "{} callers of {}", operation.at_once, operation.name);
  Callers callers(once, operation.at_once);
  const Stopwatch warming;
  while (!callers.stopped() && (!callers.warm() || warming.elapsed() < patience.warm_up))
    std::this_thread::sleep_for(kLook);
  callers.begin();
  const Stopwatch measuring;
  bool stable = false;
  // Looking takes time too: the more there is, the rarer.
  Seconds next = patience.least;
  constexpr double kRarer = 1.2;
  while (!callers.stopped() && !stable) {
    std::this_thread::sleep_for(kLook);
    const Seconds passed = measuring.elapsed();
    if (passed < next) continue;
    next = std::min(passed * kRarer, std::max(patience.most, passed));
    const std::vector<double> times = callers.times();
    const bool enough = static_cast<std::int64_t>(times.size()) >= patience.operations;
    stable = enough && summarise(operation, times).noise <= patience.noise;
    // A slow operation still needs one by each caller.
    if (passed >= patience.most && !times.empty()) break;
  }
  callers.stop();
  Sample out = summarise(operation, callers.times());
  out.noisy = !stable;
  return out;
}

}  // namespace kvsim
