// Requests to files that are in flight together: the kernel's io_uring.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/probe/bench_disk_file.hpp"

namespace kvsim {

class DiskQueue {
 public:
  // EnvironmentError when the kernel has no io_uring or forbids it.
  explicit DiskQueue(unsigned entries);
  ~DiskQueue();

  // Whether this process may use io_uring.
  static bool works();
  // Lies ready until wait(). `tag` comes back.
  void put(const DiskFile::Part& part, bool write, std::byte* data, std::uint64_t tag);
  // Gives what lies ready to the kernel, waits for at least one to be done, and adds the tags of
  // all that are. EnvironmentError when one failed or was cut short.
  void wait(std::vector<std::uint64_t>& done);

 private:
  struct Ring;
  std::unique_ptr<Ring> ring_;
};

}  // namespace kvsim
