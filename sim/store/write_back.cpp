#include "sim/store/write_back.hpp"

#include <algorithm>

namespace kvsim {

Task WriteBack::room(Seconds& waited) {
  const Seconds began = tasks_.now();
  while (dirty_ > limit_) {
    const std::shared_ptr<Signal> cleaner = cleaner_;
    co_await cleaner->wait();
  }
  waited += tasks_.now() - began;
}

void WriteBack::add(Bytes bytes) {
  dirty_ += bytes;
  if (cleaning_ || dirty_ == Bytes(0)) return;
  cleaning_ = true;
  tasks_.start(clean());
}

Task WriteBack::clean() {
  while (dirty_ > Bytes(0)) {
    const Bytes piece = std::min(dirty_, piece_);
    position_ += static_cast<std::uint64_t>(piece.count());
    co_await disk_.io({.write = true, .bytes = piece, .position = position_});
    dirty_ -= piece;
    std::exchange(cleaner_, std::make_shared<Signal>(tasks_))->fire();
  }
  cleaning_ = false;
}

}  // namespace kvsim
