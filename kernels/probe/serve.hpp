// The live lane: each request line is answered with the measured seconds of one such copy, so that
// a simulator can run real copies instead of predicting them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/probe/copies.hpp"
#include "kernels/probe/session.hpp"

namespace kvsim::kernels {

struct CopyRequest {
  bool to_gpu = false;
  std::int64_t bytes = 0;
  std::int64_t block_bytes = 0;
  int at_once = 0;
};

// "copy to-gpu|to-host BYTES BLOCK_BYTES AT_ONCE". Throws std::invalid_argument with the reason.
CopyRequest parse_request(const std::string& line);

class LiveLane {
 public:
  // Seconds until the last of `at_once` equal copies that start together has ended, each gathered
  // or scattered by a kernel and moved by the copy engine in two halves that overlap. Whole
  // blocks: bytes are rounded up. Buffers stay for the next request of the same size. The first
  // request of a size is run once before, unmeasured.
  double run(const CopyRequest& request);

 private:
  struct Lane {
    Lane(std::int64_t planes, std::int64_t blocks, std::int64_t block_bytes)
        : setting(planes, blocks, block_bytes), path(CopyMethod::kGatherCopy, 2) {}
    CopySetting setting;
    CopyPath path;
  };
  void prepare(const CopyRequest& request);
  double run_once(const CopyRequest& request);

  Stream stream_;
  Event start_;
  Event end_;
  CopyRequest prepared_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<std::unique_ptr<Event>> ends_;
};

// What to print for a line: seconds, or "error: " and the reason. DeviceError passes through.
std::string answer(LiveLane& lane, const std::string& line);

}  // namespace kvsim::kernels
