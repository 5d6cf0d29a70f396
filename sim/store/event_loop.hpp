// Threads that serve what is ready in turns, a piece of a large value at a time: Redis' one thread,
// a Python client's asyncio loop. All that is ready shares them evenly; a small command does not
// wait for large ones to end. They run on their host's cores, and share these with what else runs.
#pragma once

#include <string>

#include "sim/des/shared_server.hpp"
#include "sim/store/host.hpp"

namespace kvsim {

class EventLoop final : private Processor::Runner {
 public:
  EventLoop(Host& host, std::string name, std::string kind, std::int64_t threads);
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // One thread's time for one command.
  [[nodiscard]] Task compute(Seconds work);
  // What takes one thread so long alone, moving so many bytes; `copies`: how often it moves them.
  [[nodiscard]] Task copy(Seconds work, Bytes bytes, double copies);
  // Busy: with something to do, summed over threads, up to now.
  [[nodiscard]] ResourceUse use_so_far() const;

 private:
  // While something is served.
  class Served;
  [[nodiscard]] Task serve(Seconds work, bool copies);
  void change(int count, int copies);
  [[nodiscard]] double active() const;
  void at_rate(double rate) override;

  Host& host_;
  std::int64_t threads_;
  std::int64_t served_ = 0;
  std::int64_t copies_ = 0;  // of them
  Seconds changed_{0};       // when served_ did last
  Seconds busy_{0};          // up to then
  SharedServer turns_;       // seconds of threads
};

}  // namespace kvsim
