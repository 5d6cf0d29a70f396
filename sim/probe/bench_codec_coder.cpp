#include "sim/probe/bench_codec_coder.hpp"

#include <fmt/format.h>
#include <lz4.h>
#include <zstd.h>

#include <utility>

#include "sim/base/errors.hpp"
#include "sim/probe/byte_shuffle.hpp"

namespace kvsim {

namespace {

class Lz4Coder final : public Coder {
 public:
  void encode(std::span<const std::byte> in, std::vector<std::byte>& out) override {
    const int length = static_cast<int>(in.size());
    out.resize(static_cast<std::size_t>(LZ4_compressBound(length)));
    const int size = LZ4_compress_default(reinterpret_cast<const char*>(in.data()),
                                          reinterpret_cast<char*>(out.data()), length,
                                          static_cast<int>(out.size()));
    if (size <= 0) throw EnvironmentError("LZ4 cannot compress this");
    out.resize(static_cast<std::size_t>(size));
  }
  void decode(std::span<const std::byte> in, std::span<std::byte> out) override {
    const int size = LZ4_decompress_safe(reinterpret_cast<const char*>(in.data()),
                                         reinterpret_cast<char*>(out.data()),
                                         static_cast<int>(in.size()), static_cast<int>(out.size()));
    if (size != static_cast<int>(out.size()))
      throw EnvironmentError("what LZ4 compressed does not come back");
  }
};

class ZstdCoder final : public Coder {
 public:
  ZstdCoder() : encoder_(ZSTD_createCCtx()), decoder_(ZSTD_createDCtx()) {}
  ~ZstdCoder() override {
    ZSTD_freeCCtx(encoder_);
    ZSTD_freeDCtx(decoder_);
  }
  ZstdCoder(const ZstdCoder&) = delete;
  ZstdCoder& operator=(const ZstdCoder&) = delete;
  void encode(std::span<const std::byte> in, std::vector<std::byte>& out) override {
    constexpr int kLevel = 1;
    out.resize(ZSTD_compressBound(in.size()));
    const std::size_t size =
        ZSTD_compressCCtx(encoder_, out.data(), out.size(), in.data(), in.size(), kLevel);
    if (ZSTD_isError(size) != 0)
      throw EnvironmentError(fmt::format("Zstandard: {}", ZSTD_getErrorName(size)));
    out.resize(size);
  }
  void decode(std::span<const std::byte> in, std::span<std::byte> out) override {
    const std::size_t size =
        ZSTD_decompressDCtx(decoder_, out.data(), out.size(), in.data(), in.size());
    if (ZSTD_isError(size) != 0 || size != out.size())
      throw EnvironmentError("what Zstandard compressed does not come back");
  }

 private:
  ZSTD_CCtx* encoder_;
  ZSTD_DCtx* decoder_;
};

// Another coder, of values whose bytes are grouped by weight.
class Shuffled final : public Coder {
 public:
  Shuffled(std::unique_ptr<Coder> coder, std::size_t width)
      : coder_(std::move(coder)), width_(width) {}
  void encode(std::span<const std::byte> in, std::vector<std::byte>& out) override {
    grouped_.resize(in.size());
    shuffle_bytes(in, grouped_, width_);
    coder_->encode(grouped_, out);
  }
  void decode(std::span<const std::byte> in, std::span<std::byte> out) override {
    grouped_.resize(out.size());
    coder_->decode(in, grouped_);
    unshuffle_bytes(grouped_, out, width_);
  }

 private:
  std::unique_ptr<Coder> coder_;
  std::size_t width_;
  std::vector<std::byte> grouped_;
};

}  // namespace

std::vector<std::string> coder_names() {
  return {"lz4", "lz4-shuffled", "zstd-1", "zstd-1-shuffled"};
}

std::unique_ptr<Coder> make_coder(const std::string& name, std::size_t width) {
  if (name == "lz4") return std::make_unique<Lz4Coder>();
  if (name == "zstd-1") return std::make_unique<ZstdCoder>();
  if (name == "lz4-shuffled")
    return std::make_unique<Shuffled>(std::make_unique<Lz4Coder>(), width);
  if (name == "zstd-1-shuffled")
    return std::make_unique<Shuffled>(std::make_unique<ZstdCoder>(), width);
  return nullptr;
}

std::string coder_versions() {
  return fmt::format("lz4 {}, zstd {}", LZ4_versionString(), ZSTD_versionString());
}

}  // namespace kvsim
