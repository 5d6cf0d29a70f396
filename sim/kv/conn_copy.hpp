// Waiting for a copy engine.
#pragma once

#include "sim/des/lane.hpp"
#include "sim/des/waiting.hpp"

namespace kvsim {

// Comes back when the lane has done the job; its `done` is set here.
inline Task copy_over(Tasks& tasks, Lane& lane, Lane::Job job) {
  Signal done(tasks);
  job.done = [&done](Seconds) { done.fire(); };
  lane.submit(std::move(job));
  co_await done.wait();
}

}  // namespace kvsim
