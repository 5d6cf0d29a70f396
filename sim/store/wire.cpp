#include "sim/store/wire.hpp"

#include <algorithm>

namespace kvsim {

namespace {

// Waits for a transfer over shared links.
struct Transfer {
  Tasks& tasks;
  World::PathId path;
  Bytes bytes;
  [[nodiscard]] bool await_ready() const { return bytes == Bytes(0); }
  void await_suspend(std::coroutine_handle<> handle) {
    tasks.world().transfer(path, bytes, [&owner = tasks, handle](Seconds) { owner.wake(handle); });
  }
  void await_resume() const {}
};

}  // namespace

Task Wire::move(std::optional<World::PathId> path, Bytes bytes) {
  co_await tasks_.sleep(options_.round_trip / 2);
  const Seconds began = tasks_.now();
  if (path) co_await Transfer{tasks_, *path, bytes};
  if (options_.stream <= Bandwidth(0)) co_return;
  co_await tasks_.sleep(began + bytes / options_.stream - tasks_.now());
}

Seconds Wire::estimate(Bytes bytes) const {
  Bandwidth rate = options_.line;
  if (options_.stream > Bandwidth(0) && (rate <= Bandwidth(0) || options_.stream < rate))
    rate = options_.stream;
  return rate > Bandwidth(0) ? bytes / rate : Seconds(0);
}

}  // namespace kvsim
