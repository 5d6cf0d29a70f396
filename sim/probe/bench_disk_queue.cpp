#include "sim/probe/bench_disk_queue.hpp"

#include <fmt/format.h>
#include <liburing.h>

#include <cerrno>
#include <cstring>

#include "sim/base/check.hpp"
#include "sim/base/errors.hpp"

namespace kvsim {

struct DiskQueue::Ring {
  io_uring ring{};
  // Bytes of each request in flight, by slot: a short one is an error.
  std::vector<std::size_t> bytes;
  std::vector<std::uint64_t> tags;
  std::vector<std::size_t> free;
};

DiskQueue::DiskQueue(unsigned entries) : ring_(std::make_unique<Ring>()) {
  const int error = io_uring_queue_init(entries, &ring_->ring, 0);
  if (error < 0) throw EnvironmentError(fmt::format("io_uring: {}", std::strerror(-error)));
  ring_->bytes.resize(entries);
  ring_->tags.resize(entries);
  for (std::size_t i = 0; i < entries; ++i) ring_->free.push_back(i);
}

DiskQueue::~DiskQueue() { io_uring_queue_exit(&ring_->ring); }

bool DiskQueue::works() {
  io_uring ring{};
  if (io_uring_queue_init(2, &ring, 0) < 0) return false;
  io_uring_queue_exit(&ring);
  return true;
}

void DiskQueue::put(const DiskFile::Part& part, bool write, std::byte* data, std::uint64_t tag) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_->ring);
  KV_CHECK(entry != nullptr && !ring_->free.empty(), "more requests than the ring has entries");
  const std::size_t slot = ring_->free.back();
  ring_->free.pop_back();
  ring_->bytes[slot] = part.bytes;
  ring_->tags[slot] = tag;
  const auto bytes = static_cast<unsigned>(part.bytes);
  if (write)
    io_uring_prep_write(entry, part.file, data + part.from, bytes, part.position);
  else
    io_uring_prep_read(entry, part.file, data + part.from, bytes, part.position);
  io_uring_sqe_set_data64(entry, slot);
}

void DiskQueue::wait(std::vector<std::uint64_t>& done) {
  int error = -EINTR;
  while (error == -EINTR) error = io_uring_submit_and_wait(&ring_->ring, 1);
  if (error < 0) throw EnvironmentError(fmt::format("io_uring: {}", std::strerror(-error)));
  io_uring_cqe* entry = nullptr;
  while (io_uring_peek_cqe(&ring_->ring, &entry) == 0) {
    const std::size_t slot = io_uring_cqe_get_data64(entry);
    const int result = entry->res;
    io_uring_cqe_seen(&ring_->ring, entry);
    if (result < 0)
      throw EnvironmentError(fmt::format("a disk request: {}", std::strerror(-result)));
    if (static_cast<std::size_t>(result) != ring_->bytes[slot])
      throw EnvironmentError(
          fmt::format("a disk request of {} bytes moved {}", ring_->bytes[slot], result));
    ring_->free.push_back(slot);
    done.push_back(ring_->tags[slot]);
  }
}

}  // namespace kvsim
