#include "sim/probe/bench_disk_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "sim/base/errors.hpp"
#include "sim/base/rng.hpp"
#include "sim/probe/kv_bytes.hpp"

namespace kvsim {

namespace {

// The content repeats after this: a request's bytes are then taken from memory as they are, with
// nothing to prepare. Larger than most last-level caches: devices read memory, not a cache.
constexpr std::size_t kRepeat = std::size_t{64} << 20;
constexpr std::size_t kFillRequest = std::size_t{4} << 20;

[[noreturn]] void fail(const std::string& what) {
  throw EnvironmentError(fmt::format("{}: {}", what, std::strerror(errno)));
}

// A block begins and ends with it.
std::uint64_t mark_of(std::uint64_t position) { return mix64(position % kRepeat + 1); }

int open_nameless(const std::string& folder, bool direct) {
  std::string name = folder + "/kvsim-disk-XXXXXX";
  const int file = mkostemp(name.data(), O_CLOEXEC | (direct ? O_DIRECT : 0));
  if (file >= 0) unlink(name.c_str());
  return file;
}

}  // namespace

AlignedBytes::AlignedBytes(std::size_t bytes) : size_(bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (at == MAP_FAILED) fail(fmt::format("{} bytes of memory", bytes));
  data_ = static_cast<std::byte*>(at);
}
AlignedBytes::~AlignedBytes() {
  if (data_ != nullptr) munmap(data_, size_);
}
AlignedBytes::AlignedBytes(AlignedBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
AlignedBytes& AlignedBytes::operator=(AlignedBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

DiskFile::DiskFile(const Plan& plan)
    : bytes_(plan.bytes), chunk_(static_cast<std::uint64_t>(plan.chunk.count())) {
  try {
    open_files(plan, true);
  } catch (const EnvironmentError&) {
    if (errno != EINVAL) throw;
    // No O_DIRECT here, as in a file system in memory.
    close_files();
    direct_ = false;
    open_files(plan, false);
  }
}

DiskFile::~DiskFile() { close_files(); }

void DiskFile::close_files() {
  for (const int file : files_) close(file);
  files_.clear();
}

void DiskFile::open_files(const Plan& plan, bool direct) {
  if (!plan.device.empty()) {
    writable_ = false;
    files_ = {open(plan.device.c_str(), O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0))};
    std::uint64_t size = 0;
    if (files_[0] < 0 || ioctl(files_[0], BLKGETSIZE64, &size) != 0) fail(plan.device);
    bytes_ = std::min(bytes_, Bytes(static_cast<std::int64_t>(size)));
    return;
  }
  for (const std::string& folder : plan.folders) {
    files_.push_back(open_nameless(folder, direct));
    if (files_.back() < 0) {
      files_.pop_back();
      fail(folder + ": cannot make a file");
    }
  }
}

void DiskFile::fill() {
  if (!writable_) return;
  // Whole stripes lie in each file.
  const auto stripe = static_cast<std::int64_t>(chunk_ * files_.size());
  const std::int64_t share = groups_of(bytes_.count(), stripe) * static_cast<std::int64_t>(chunk_);
  for (const int file : files_) {
    const int error = posix_fallocate(file, 0, share);
    if (error != 0 && error != EOPNOTSUPP) {
      errno = error;
      fail(fmt::format("{} bytes for a file", share));
    }
  }
  std::vector<Part> parts;
  const auto total = static_cast<std::uint64_t>(bytes_.count());
  for (std::uint64_t at = 0; at < total; at += kFillRequest) {
    const std::size_t bytes = std::min<std::uint64_t>(kFillRequest, total - at);
    const std::byte* data = content(at, bytes);
    parts_of(at, bytes, parts);
    for (const Part& part : parts)
      if (pwrite(part.file, data + part.from, part.bytes, static_cast<off_t>(part.position)) !=
          static_cast<ssize_t>(part.bytes))
        fail("a write");
  }
  settle();
  forget(0, total);
}

void DiskFile::parts_of(std::uint64_t position, std::size_t bytes, std::vector<Part>& out) const {
  out.clear();
  if (!striped()) {
    out.push_back({files_[0], position, 0, bytes});
    return;
  }
  for (std::size_t done = 0; done < bytes;) {
    const std::uint64_t at = position + done;
    const std::uint64_t chunk = at / chunk_;
    const std::size_t piece = std::min<std::uint64_t>(chunk_ - at % chunk_, bytes - done);
    out.push_back(
        {files_[chunk % files_.size()], chunk / files_.size() * chunk_ + at % chunk_, done, piece});
    done += piece;
  }
}

std::byte* DiskFile::content(std::uint64_t position, std::size_t bytes) {
  const std::size_t from = position % kRepeat;
  if (content_.size() < from + bytes) {
    content_ = AlignedBytes(kRepeat + std::max(bytes, kFillRequest));
    fill_kv_bytes({content_.data(), content_.size()}, "bf16", 1);
    for (std::size_t at = 0; at + kBlock <= content_.size(); at += kBlock) {
      const std::uint64_t mark = mark_of(at);
      std::memcpy(content_.data() + at, &mark, sizeof mark);
      std::memcpy(content_.data() + at + kBlock - sizeof mark, &mark, sizeof mark);
    }
  }
  return content_.data() + from;
}

void DiskFile::check(const std::byte* data, std::uint64_t position, std::size_t bytes) const {
  if (!writable_) return;  // nobody knows what lies on a device
  constexpr std::size_t kLooks = 16;
  const std::size_t blocks = bytes / kBlock;
  const std::size_t looks = std::min(blocks, kLooks);
  for (std::size_t i = 0; i < looks; ++i) {
    // The first and the last are among them.
    const std::size_t at = (looks == 1 ? 0 : i * (blocks - 1) / (looks - 1)) * kBlock;
    const std::uint64_t mark = mark_of(position + at);
    if (std::memcmp(data + at, &mark, sizeof mark) != 0 ||
        std::memcmp(data + at + kBlock - sizeof mark, &mark, sizeof mark) != 0)
      throw EnvironmentError(
          fmt::format("what was read from byte {} is not what was written there", position + at));
  }
}

void DiskFile::forget(std::uint64_t position, std::size_t bytes) const {
  if (direct_) return;
  std::vector<Part> parts;
  parts_of(position, bytes, parts);
  for (const Part& part : parts)
    posix_fadvise(part.file, static_cast<off_t>(part.position), static_cast<off_t>(part.bytes),
                  POSIX_FADV_DONTNEED);
}

void DiskFile::settle() const {
  if (!writable_) return;
  for (const int file : files_)
    if (fsync(file) != 0) fail("fsync");
}

}  // namespace kvsim
