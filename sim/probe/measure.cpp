#include "sim/probe/measure.hpp"

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

// What the callers of one measurement share.
class Callers {
 public:
  Callers(const Caller& once, std::int64_t count) : once_(once), warm_(count) {
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
  [[nodiscard]] std::vector<double> times() {
    const std::lock_guard lock(mutex_);
    return times_;
  }

 private:
  void join() {
    stopped_ = true;
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  void work(std::int64_t caller) {
    try {
      once_(caller);
      --warm_;
      while (!stopped_) {
        const bool counts = counting_;
        const Seconds time = once_(caller);
        if (!counts) continue;
        const std::lock_guard lock(mutex_);
        times_.push_back(time.count());
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      stopped_ = true;
    }
  }

  const Caller& once_;
  std::atomic<std::int64_t> warm_;
  std::atomic<bool> counting_{false};
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::vector<double> times_;
  std::exception_ptr failure_;
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
  while (!callers.stopped() && !stable) {
    std::this_thread::sleep_for(kLook);
    const Seconds passed = measuring.elapsed();
    if (passed < patience.least) continue;
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
