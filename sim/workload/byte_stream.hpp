// The bytes of a file, unpacked when it is gzip or LZ4 (told by the first bytes, not by the name).
// Buffers are fixed, so a file of any size takes a few hundred KiB.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kvsim {

class ByteStream {
 public:
  // Throws TraceError when the file cannot be opened or read.
  static std::unique_ptr<ByteStream> open(const std::string& path);
  // The bytes of `text`, under a name for messages: what a test needs.
  static std::unique_ptr<ByteStream> of_text(std::string name, std::string text);
  virtual ~ByteStream() = default;

  // The next bytes, at least one; empty at the end. They stay until the next call. Throws
  // TraceError when packed data is damaged or cut off.
  [[nodiscard]] std::string_view next();
  // The first bytes that next() will give, without taking them.
  [[nodiscard]] std::string_view peek();

  [[nodiscard]] const std::string& name() const { return name_; }

 protected:
  explicit ByteStream(std::string name) : name_(std::move(name)) {}
  // Fills `buffer` as far as it likes; 0 = end.
  [[nodiscard]] virtual std::size_t fill(char* buffer, std::size_t size) = 0;
  [[noreturn]] void fail(const std::string& found, const std::string& allowed) const;

 private:
  std::string name_;
  std::vector<char> buffer_;
  std::size_t ready_ = 0;  // bytes of the buffer that peek() has shown and next() has not given
};

}  // namespace kvsim
