// One thread that keeps so many requests of one size in flight on a file.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "sim/probe/bench_disk_file.hpp"
#include "sim/probe/bench_disk_queue.hpp"
#include "sim/probe/measure.hpp"

namespace kvsim {

// Memory that reads go to, in turn: a piece comes back only after all others have been used, so
// that what is read arrives in cold memory, as a store's reads do.
class ReadBuffers {
 public:
  ReadBuffers(std::int64_t at_once, std::size_t bytes);
  [[nodiscard]] std::byte* take();
  void give(std::byte* piece) { free_.push_back(piece); }

 private:
  AlignedBytes memory_;
  std::deque<std::byte*> free_;
};

class DiskSubmitter {
 public:
  struct Request {
    bool write = false;
    std::uint64_t position = 0;
  };
  // Asked for each request; told when it is done, at `now` by the submitter's watch, and how long
  // it took: false = no further one in its place.
  using Next = std::function<Request()>;
  using Done = std::function<bool(const Request&, Seconds now, Seconds took)>;

  DiskSubmitter(DiskFile& file, std::int64_t at_once, std::size_t bytes);
  // Comes back when none is in flight.
  void run(const Next& next, const Done& done);

 private:
  struct Flight {
    Request request;
    std::byte* data = nullptr;
    std::size_t left = 0;  // parts
    Seconds began{0};
  };
  void start(std::uint64_t slot, const Request& request);
  // The parts of it that have come in; true when it is done.
  void finish(Flight& flight);

  DiskFile& file_;
  std::size_t bytes_;
  ReadBuffers buffers_;
  DiskQueue queue_;
  Stopwatch watch_;
  std::vector<Flight> flights_;
  std::vector<DiskFile::Part> parts_;
};

}  // namespace kvsim
