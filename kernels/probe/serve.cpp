#include "kernels/probe/serve.hpp"

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <stdexcept>

namespace kvsim::kernels {

CopyRequest parse_request(const std::string& line) {
  std::istringstream words(line);
  std::string command;
  std::string direction;
  std::string rest;
  CopyRequest out;
  const bool read = static_cast<bool>(words >> command >> direction >> out.bytes >>
                                      out.block_bytes >> out.at_once) &&
                    !(words >> rest);
  if (!read || command != "copy" || (direction != "to-gpu" && direction != "to-host")) {
    throw std::invalid_argument("expected: copy to-gpu|to-host BYTES BLOCK_BYTES AT_ONCE");
  }
  if (out.bytes <= 0 || out.block_bytes <= 0) {
    throw std::invalid_argument("BYTES and BLOCK_BYTES must be positive");
  }
  if (out.at_once < 1 || out.at_once > 64) {
    throw std::invalid_argument("AT_ONCE must be from 1 to 64");
  }
  out.to_gpu = direction == "to-gpu";
  out.block_bytes = std::min(out.block_bytes, out.bytes);
  return out;
}

void LiveLane::prepare(const CopyRequest& request) {
  prepared_ = {};
  lanes_.clear();
  const std::int64_t blocks = (request.bytes + request.block_bytes - 1) / request.block_bytes;
  const std::int64_t planes = blocks % 2 == 0 ? 2 : 1;
  for (int i = 0; i < request.at_once; ++i) {
    lanes_.push_back(std::make_unique<Lane>(planes, blocks / planes, request.block_bytes));
    if (streams_.size() < lanes_.size()) {
      streams_.push_back(std::make_unique<Stream>());
      ends_.push_back(std::make_unique<Event>());
    }
  }
  prepared_ = request;
}

double LiveLane::run_once(const CopyRequest& request) {
  require(cudaEventRecord(start_.get(), stream_.get()), "event");
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const cudaStream_t stream = streams_[i]->get();
    require(cudaStreamWaitEvent(stream, start_.get(), 0), "wait");
    lanes_[i]->path.enqueue(request.to_gpu ? CopyDirection::kToGpu : CopyDirection::kToHost,
                            lanes_[i]->setting.copy(), lanes_[i]->setting.stretches(), stream);
    require(cudaEventRecord(ends_[i]->get(), stream), "event");
    require(cudaStreamWaitEvent(stream_.get(), ends_[i]->get(), 0), "wait");
  }
  require(cudaEventRecord(end_.get(), stream_.get()), "event");
  require(cudaEventSynchronize(end_.get()), "copy");
  float milliseconds = 0;
  require(cudaEventElapsedTime(&milliseconds, start_.get(), end_.get()), "event times");
  return milliseconds * 1e-3;
}

double LiveLane::run(const CopyRequest& request) {
  const bool same = request.bytes == prepared_.bytes && request.at_once == prepared_.at_once &&
                    request.block_bytes == prepared_.block_bytes;
  if (!same) {
    prepare(request);
    run_once(request);
  }
  return run_once(request);
}

std::string answer(LiveLane& lane, const std::string& line) {
  try {
    char text[40];
    std::snprintf(text, sizeof(text), "%.9g", lane.run(parse_request(line)));
    return text;
  } catch (const std::invalid_argument& error) {
    return std::string("error: ") + error.what();
  }
}

}  // namespace kvsim::kernels
