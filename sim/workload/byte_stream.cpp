#include "sim/workload/byte_stream.hpp"

#include <fmt/format.h>
#include <lz4frame.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "sim/base/check.hpp"
#include "sim/base/errors.hpp"

namespace kvsim {

namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;
constexpr std::string_view kGzipMagic = "\x1f\x8b";
constexpr std::string_view kLz4Magic = "\x04\x22\x4d\x18";

class TextStream final : public ByteStream {
 public:
  TextStream(std::string name, std::string text)
      : ByteStream(std::move(name)), text_(std::move(text)) {}

 protected:
  std::size_t fill(char* buffer, std::size_t size) override {
    const std::size_t given = text_.copy(buffer, size, given_);
    given_ += given;
    return given;
  }

 private:
  std::string text_;
  std::size_t given_ = 0;
};

class PlainStream final : public ByteStream {
 public:
  explicit PlainStream(const std::string& path)
      : ByteStream(path), file_(std::fopen(path.c_str(), "rb"), &std::fclose) {
    if (file_ == nullptr) fail(std::strerror(errno), "a file that can be read");
  }

 protected:
  std::size_t fill(char* buffer, std::size_t size) override {
    const std::size_t got = std::fread(buffer, 1, size, file_.get());
    if (got == 0 && std::ferror(file_.get()) != 0)
      fail(std::strerror(errno), "a file that can be read");
    return got;
  }

 private:
  std::unique_ptr<std::FILE, decltype(&std::fclose)> file_;
};

// What the two kinds of packed stream share: a view of packed bytes not yet used.
class PackedStream : public ByteStream {
 protected:
  explicit PackedStream(std::unique_ptr<ByteStream> packed)
      : ByteStream(packed->name()), packed_(std::move(packed)) {}

  // False at the end of the file.
  bool more() {
    if (input_.empty()) input_ = packed_->next();
    return !input_.empty();
  }

  std::string_view input_;

 private:
  std::unique_ptr<ByteStream> packed_;
};

class GzipStream final : public PackedStream {
 public:
  explicit GzipStream(std::unique_ptr<ByteStream> packed) : PackedStream(std::move(packed)) {
    constexpr int kGzipOnly = 15 + 16;
    KV_CHECK(inflateInit2(&state_, kGzipOnly) == Z_OK);
  }
  ~GzipStream() override { inflateEnd(&state_); }

 protected:
  std::size_t fill(char* buffer, std::size_t size) override {
    state_.next_out = reinterpret_cast<Bytef*>(buffer);
    state_.avail_out = static_cast<uInt>(size);
    while (state_.avail_out == size) {
      if (!more()) {
        if (inside_) fail("the end of the file inside a gzip stream: it is cut off", "a whole one");
        return 0;
      }
      if (!inside_) KV_CHECK(inflateReset(&state_) == Z_OK);
      inside_ = true;
      state_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input_.data()));
      state_.avail_in = static_cast<uInt>(input_.size());
      const int result = inflate(&state_, Z_NO_FLUSH);
      input_.remove_prefix(input_.size() - state_.avail_in);
      if (result == Z_STREAM_END) {
        inside_ = false;
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        fail(
            fmt::format("damaged gzip data ({})", state_.msg != nullptr ? state_.msg : "no detail"),
            "a whole gzip stream");
      }
    }
    return size - state_.avail_out;
  }

 private:
  z_stream state_{};
  bool inside_ = false;  // a member of the file has begun and not ended
};

class Lz4Stream final : public PackedStream {
 public:
  explicit Lz4Stream(std::unique_ptr<ByteStream> packed) : PackedStream(std::move(packed)) {
    KV_CHECK(LZ4F_isError(LZ4F_createDecompressionContext(&state_, LZ4F_VERSION)) == 0);
  }
  ~Lz4Stream() override { LZ4F_freeDecompressionContext(state_); }

 protected:
  std::size_t fill(char* buffer, std::size_t size) override {
    while (true) {
      // A frame may hold back unpacked bytes, so it is asked even without new input.
      const bool input = more();
      std::size_t taken = input_.size();
      std::size_t given = size;
      const std::size_t result =
          LZ4F_decompress(state_, buffer, &given, input_.data(), &taken, nullptr);
      if (LZ4F_isError(result) != 0)
        fail(fmt::format("damaged LZ4 data ({})", LZ4F_getErrorName(result)), "whole LZ4 frames");
      input_.remove_prefix(taken);
      inside_ = result != 0 && (inside_ || input);
      if (given > 0) return given;
      if (input || taken > 0) continue;
      if (inside_) fail("the end of the file inside an LZ4 frame: it is cut off", "whole frames");
      return 0;
    }
  }

 private:
  LZ4F_dctx* state_ = nullptr;
  bool inside_ = false;  // a frame has begun and not ended
};

}  // namespace

std::unique_ptr<ByteStream> ByteStream::open(const std::string& path) {
  std::unique_ptr<ByteStream> plain = std::make_unique<PlainStream>(path);
  const std::string_view head = plain->peek();
  if (head.starts_with(kGzipMagic)) return std::make_unique<GzipStream>(std::move(plain));
  if (head.starts_with(kLz4Magic)) return std::make_unique<Lz4Stream>(std::move(plain));
  return plain;
}

std::unique_ptr<ByteStream> ByteStream::of_text(std::string name, std::string text) {
  return std::make_unique<TextStream>(std::move(name), std::move(text));
}

std::string_view ByteStream::peek() {
  if (ready_ == 0) {
    buffer_.resize(kBufferBytes);
    ready_ = fill(buffer_.data(), buffer_.size());
  }
  return {buffer_.data(), ready_};
}

std::string_view ByteStream::next() {
  const std::string_view bytes = peek();
  ready_ = 0;
  return bytes;
}

void ByteStream::fail(const std::string& found, const std::string& allowed) const {
  throw TraceError(fmt::format("{}: found {}; allowed: {}", name_, found, allowed));
}

}  // namespace kvsim
