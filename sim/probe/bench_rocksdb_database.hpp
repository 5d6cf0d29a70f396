// A real RocksDB in a folder, set up as Kvrocks does, with keys by number.
#pragma once

#include <rocksdb/db.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/probe/bench_rocksdb.hpp"

namespace kvsim {

class RocksdbDatabase {
 public:
  struct Keys {
    std::int64_t first = 0;
    std::int64_t count = 0;
    std::int64_t step = 1;
  };
  struct Shape {
    Bytes write_buffer{0};  // of one memtable
    Bytes block_cache{0};   // 0 = none
  };
  // Whatever was in the folder is gone. EnvironmentError when it cannot be opened.
  RocksdbDatabase(std::string folder, const RocksdbBenchOptions& options, const Shape& shape);
  // Flushes nothing, waits for background work, removes the folder.
  ~RocksdbDatabase();
  RocksdbDatabase(const RocksdbDatabase&) = delete;
  RocksdbDatabase& operator=(const RocksdbDatabase&) = delete;

  // A batch, as Kvrocks builds one, and its write. Without the log for preparing.
  void put(std::int64_t key, std::string_view value, bool log);
  // False when there is no such key.
  [[nodiscard]] bool get(std::int64_t key, std::string& value, bool fill_cache);
  // Keys first, first + step, ...
  void multiget(const Keys& keys, std::vector<std::string>& values);
  // Memtables become a table; returns when it is written and synced.
  void flush();
  // Tables become tables of level 2, compressed if the options say so.
  void settle_in_levels();
  // Forgets what the kernel's page cache holds of the table, or blob file, number `index`.
  void drop_pages(std::size_t index);
  [[nodiscard]] std::size_t files() const { return files_.size(); }
  // Bytes of values over bytes of their files.
  [[nodiscard]] double ratio(Bytes values) const;

 private:
  void list_files();
  [[nodiscard]] static std::string text_of(std::int64_t key);

  std::string folder_;
  RocksdbBenchOptions options_;
  rocksdb::Options settings_;
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<std::string> files_;  // that hold values, in order of their numbers
};

}  // namespace kvsim
