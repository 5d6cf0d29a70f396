// The kernel's page cache for the files of a store: what was written or read lately is in DRAM.
//
// One list by age, over pieces: a file as it was written, until parts of it are read, and values
// that were read. Source: spec/kvrocks_rocksdb.md sections 4 and 6. Left out: the kernel's second
// list (pages used twice), readahead beyond a value, other users of the cache.
#pragma once

#include <unordered_map>
#include <vector>

#include "sim/store/byte_cache.hpp"

namespace kvsim {

class PageCache {
 public:
  using FileId = std::uint64_t;

  void set_capacity(Bytes capacity) { pieces_.set_capacity(capacity); }
  [[nodiscard]] Bytes capacity() const { return pieces_.capacity(); }

  // A whole file has been written through the cache.
  void written(FileId file, Bytes bytes);
  // Whether a value of a file is in memory; it is young then.
  bool touch(FileId file, std::uint64_t key, Bytes bytes);
  // It has been read from the disk.
  void read(FileId file, std::uint64_t key, Bytes bytes);
  // That part of a file is not there any more.
  void forget(FileId file, std::uint64_t key);
  // The file is deleted.
  void drop(FileId file);
  void clear();

  // Bytes of a file that are in memory.
  [[nodiscard]] Bytes resident(FileId file) const;
  [[nodiscard]] Bytes bytes() const { return pieces_.bytes(); }

 private:
  struct File {
    Bytes resident{0};
    std::vector<std::uint64_t> pieces;  // those that are there, and some that were
    std::size_t tidy_at = 64;
  };
  static std::uint64_t piece_of(FileId file, std::uint64_t key);
  void insert(FileId file, std::uint64_t piece, Bytes bytes);

  ByteCache pieces_;
  std::unordered_map<FileId, File> files_;
};

}  // namespace kvsim
