#include "sim/calibrate/twin_callers.hpp"

namespace kvsim {

namespace {

struct Sum {
  Seconds time{0};
  Countdown left;
};

Task call(Tasks& tasks, std::int64_t caller, std::int64_t each,
          const std::function<Task(std::int64_t)>& once, Sum& sum, Seconds after) {
  co_await tasks.sleep(after);
  for (std::int64_t i = 0; i < each; ++i) {
    const Seconds began = tasks.now();
    co_await once(caller);
    sum.time += tasks.now() - began;
  }
  sum.left.one_less();
}

}  // namespace

Task run_callers(Tasks& tasks, std::int64_t callers, std::int64_t each,
                 const std::function<Task(std::int64_t)>& once, Seconds& mean, Seconds spread) {
  Sum sum{Seconds(0), Countdown(tasks, callers)};
  for (std::int64_t caller = 0; caller < callers; ++caller)
    tasks.start(call(tasks, caller, each, once, sum,
                     spread * (static_cast<double>(caller) / static_cast<double>(callers))));
  co_await sum.left.wait();
  mean = sum.time / static_cast<double>(callers * each);
}

}  // namespace kvsim
