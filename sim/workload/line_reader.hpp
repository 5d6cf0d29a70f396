// The lines of a byte stream, numbered from 1 for messages.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "sim/workload/byte_stream.hpp"

namespace kvsim {

class LineReader {
 public:
  explicit LineReader(std::unique_ptr<ByteStream> bytes) : bytes_(std::move(bytes)) {}

  // The next line that is not blank, without its end ("\n" or "\r\n") and a byte order mark; false
  // at the end. It stays until the next call.
  [[nodiscard]] bool next(std::string_view& line);

  [[nodiscard]] std::int64_t number() const { return number_; }
  // The file ended before this line did: it may be cut off.
  [[nodiscard]] bool unfinished() const { return unfinished_; }
  [[nodiscard]] std::string place() const;  // "file:line"
  // Throws TraceError "file:line: found X; allowed: Y".
  [[noreturn]] void fail(const std::string& found, const std::string& allowed) const;

 private:
  bool take(std::string_view& line);

  std::unique_ptr<ByteStream> bytes_;
  std::string_view chunk_;
  std::string joined_;  // a line that spans chunks
  std::int64_t number_ = 0;
  bool unfinished_ = false;
};

// Text of a trace as a message quotes it: in quotes and not longer than a line can bear.
[[nodiscard]] std::string quoted(std::string_view text);

}  // namespace kvsim
