// What the disk bench reads and writes: files of its own, whose every byte follows from where it
// lies, or a block device, which is only ever read.
//
// Several files are striped as Linux md RAID0 does: byte b lies in file (b / chunk) mod n. The
// files have no name from the moment they exist: they go with the process, however it ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/base/units.hpp"

namespace kvsim {

// Memory as O_DIRECT wants it: whole pages, all of them touched.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  explicit AlignedBytes(std::size_t bytes);
  ~AlignedBytes();
  AlignedBytes(AlignedBytes&& other) noexcept;
  AlignedBytes& operator=(AlignedBytes&& other) noexcept;
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

class DiskFile {
 public:
  static constexpr std::size_t kBlock = 4096;  // requests are whole ones
  struct Plan {
    std::vector<std::string> folders;  // one file in each
    std::string device;                // read this instead
    Bytes bytes{0};                    // of all files together
    Bytes chunk{0};                    // of a stripe
  };
  // Part of a request that lies in one file in one piece.
  struct Part {
    int file = -1;
    std::uint64_t position = 0;  // in the file
    std::size_t from = 0;        // in the request
    std::size_t bytes = 0;
  };

  // Creates the files, without content. EnvironmentError when it cannot.
  explicit DiskFile(const Plan& plan);
  ~DiskFile();
  DiskFile(const DiskFile&) = delete;
  DiskFile& operator=(const DiskFile&) = delete;

  // Writes all of it once and waits until it is on the disk: reads of blocks never written, and
  // first writes, are not what a store does.
  void fill();
  [[nodiscard]] Bytes bytes() const { return bytes_; }
  [[nodiscard]] bool direct() const { return direct_; }
  [[nodiscard]] bool writable() const { return writable_; }
  [[nodiscard]] bool striped() const { return files_.size() > 1; }

  void parts_of(std::uint64_t position, std::size_t bytes, std::vector<Part>& out) const;
  // What lies at a position, for a write of so many bytes from there. Valid until the next call
  // with more bytes.
  [[nodiscard]] std::byte* content(std::uint64_t position, std::size_t bytes);
  // EnvironmentError when what was read from there is not what lies there. Looks at some blocks.
  void check(const std::byte* data, std::uint64_t position, std::size_t bytes) const;
  // Without O_DIRECT: what the kernel keeps of these bytes goes.
  void forget(std::uint64_t position, std::size_t bytes) const;
  // Waits until everything is on the disk.
  void settle() const;

 private:
  void open_files(const Plan& plan, bool direct);
  void close_files();
  std::vector<int> files_;
  Bytes bytes_;
  std::uint64_t chunk_;
  bool direct_ = true;
  bool writable_ = true;
  AlignedBytes content_;  // of the first bytes; it repeats
};

}  // namespace kvsim
