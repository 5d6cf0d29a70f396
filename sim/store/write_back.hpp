// Dirty pages on their way to a disk, behind the writer's back.
//
// Written at once, in pieces, one after another; a writer waits only when more than `limit` is
// dirty, as with the kernel's vm.dirty_ratio. Left out: the kernel's delay of up to 30 s, during
// which a file that is deleted is never written.
#pragma once

#include <memory>

#include "sim/des/waiting.hpp"
#include "sim/store/disk.hpp"

namespace kvsim {

class WriteBack {
 public:
  WriteBack(Tasks& tasks, Disk& disk, Bytes piece)
      : tasks_(tasks), disk_(disk), piece_(piece), cleaner_(std::make_shared<Signal>(tasks)) {}

  void set_limit(Bytes limit) { limit_ = limit; }
  // Comes back when the dirty pages are within the limit; adds what it waited.
  [[nodiscard]] Task room(Seconds& waited);
  void add(Bytes bytes);
  [[nodiscard]] Bytes dirty() const { return dirty_; }

 private:
  [[nodiscard]] Task clean();

  Tasks& tasks_;
  Disk& disk_;
  Bytes piece_;
  Bytes limit_{INT64_MAX};
  Bytes dirty_{0};
  bool cleaning_ = false;
  std::uint64_t position_ = 0;
  std::shared_ptr<Signal> cleaner_;  // fires with the next piece
};

}  // namespace kvsim
