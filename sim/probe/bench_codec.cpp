// Lossless compression of KV bytes for real: LZ4 and Zstandard, alone and after grouping bytes by
// weight.
//
// "encode/CODEC/KV TYPE" and "decode/CODEC/KV TYPE"; the size is that of the plain value. Every
// caller goes round through values that, with what they encode to and those of other callers that
// run at a time, are larger than the last-level cache, so that they come from memory, and all that
// was encoded is decoded and compared at the end. The ratio is in the sample ("ratio"). Short ones
// are timed by the batch (batch.hpp).
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <limits>
#include <vector>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/probe/batch.hpp"
#include "sim/probe/bench.hpp"
#include "sim/probe/bench_codec_coder.hpp"
#include "sim/probe/kv_bytes.hpp"
#include "sim/probe/machine.hpp"

namespace kvsim {
namespace {

constexpr Bytes kLargest{1LL << 30};  // LZ4 counts in int

// "encode/lz4/bf16" in its parts.
struct Parts {
  bool encodes = true;
  std::string codec;
  std::string kv_dtype;
};

std::size_t width_of(const std::string& kv_dtype) { return kv_dtype == "fp8" ? 1 : 2; }

// One caller's values, plain and encoded.
class Values {
 public:
  Values(const Parts& parts, std::unique_ptr<Coder> coder, std::size_t each)
      : encodes_(parts.encodes), coder_(std::move(coder)), decoded_(each) {}

  void add(std::vector<std::byte> plain) {
    std::vector<std::byte> encoded;
    coder_->encode(plain, encoded);
    plain_.push_back(std::move(plain));
    encoded_.push_back(std::move(encoded));
  }
  void once() {
    at_ = at_ + 1 < plain_.size() ? at_ + 1 : 0;
    if (encodes_)
      coder_->encode(plain_[at_], encoded_[at_]);
    else
      coder_->decode(encoded_[at_], decoded_);
  }
  [[nodiscard]] bool intact() {
    for (std::size_t i = 0; i < plain_.size(); ++i) {
      coder_->decode(encoded_[i], decoded_);
      if (decoded_ != plain_[i]) return false;
    }
    return true;
  }
  [[nodiscard]] double encoded_bytes() const {
    double sum = 0;
    for (const auto& value : encoded_) sum += static_cast<double>(value.size());
    return sum;
  }
  [[nodiscard]] double plain_bytes() const {
    return static_cast<double>(plain_.size() * decoded_.size());
  }

 private:
  bool encodes_;
  std::unique_ptr<Coder> coder_;
  std::vector<std::vector<std::byte>> plain_;
  std::vector<std::vector<std::byte>> encoded_;
  std::vector<std::byte> decoded_;
  std::size_t at_ = 0;
};

class CodecBench final : public Bench {
 public:
  struct Options {
    std::string file;
    std::string file_dtype = "bf16";
    template <class F>
    void fields(F& f) {
      f.optional("file", file,
                 "KV of the user's, raw, in place of synthetic values of its type. Default: none.");
      f.choice("file_dtype", file_dtype, {"bf16", "fp16", "fp8"}, "Type of the file's values.");
    }
  };
  CodecBench(const Options& options, const Context&) : options_(options), cores_(usable_cores()) {
    if (!options_.file.empty()) read_file();
  }

  std::vector<std::string> operations() const override {
    std::vector<std::string> out;
    for (const char* direction : {"encode", "decode"})
      for (const std::string& codec : coder_names())
        for (const char* kv_dtype : {"bf16", "fp16", "fp8"})
          out.push_back(fmt::format("{}/{}/{}", direction, codec, kv_dtype));
    return out;
  }

  Json identity() const override {
    Json out = {{"libraries", coder_versions()},
                {"processor", processor_name()},
                {"cores", cores_},
                {"data", "synthetic: Gaussian values with a scale and an offset of each channel"}};
    if (!options_.file.empty()) {
      out["file"] = options_.file;
      out["file_dtype"] = options_.file_dtype;
    }
    return out;
  }

  Bytes needs(const BenchOperation&) const override { return Bytes(0); }

  Sample measure(const BenchOperation& operation, const Patience& patience) override {
    const Parts parts = parts_of(operation);
    std::deque<Values> values;
    for (std::int64_t caller = 0; caller < operation.at_once; ++caller)
      prepare(operation, parts, caller, values);
    const Seconds span = batch_span(operation.at_once, cores_);
    CoreTime core_time;
    Sample sample = kvsim::measure(operation, patience, [&](std::int64_t caller) {
      Values& mine = values[static_cast<std::size_t>(caller)];
      return mean_of_batch(span, core_time, [&mine] { mine.once(); });
    });
    core_time.add_to(sample);
    double plain = 0;
    double encoded = 0;
    for (Values& one : values) {
      if (!one.intact())
        throw EnvironmentError(operation.name + ": what was encoded does not come back");
      plain += one.plain_bytes();
      encoded += one.encoded_bytes();
    }
    sample.extra.emplace_back("ratio", plain / encoded);
    return sample;
  }

 private:
  [[nodiscard]] Parts parts_of(const BenchOperation& operation) const {
    const std::vector<std::string> known = operations();
    if (std::find(known.begin(), known.end(), operation.name) == known.end())
      throw EnvironmentError(
          fmt::format("codec: found operation {}; allowed: {}", operation.name, join_names(known)));
    if (operation.bytes < Bytes(1) || operation.bytes > kLargest)
      throw EnvironmentError(fmt::format("{}: found {} bytes; allowed: 1 to {}", operation.name,
                                         operation.bytes.count(), kLargest.count()));
    const std::size_t first = operation.name.find('/');
    const std::size_t last = operation.name.rfind('/');
    return {operation.name.starts_with("encode"),
            operation.name.substr(first + 1, last - first - 1), operation.name.substr(last + 1)};
  }

  void prepare(const BenchOperation& operation, const Parts& parts, std::int64_t caller,
               std::deque<Values>& out) const {
    const auto each = static_cast<std::size_t>(operation.bytes.count());
    const auto share =
        static_cast<std::size_t>(last_level_cache().count() / std::min(operation.at_once, cores_));
    // Several at any size: how far a compressor skips ahead in data in which it finds nothing is a
    // matter of luck.
    const std::size_t least = operation.at_once <= 4 ? 4 : 2;
    const std::size_t count = std::clamp<std::size_t>(share / each, least, 64);
    check_memory(operation, count);
    Values& values =
        out.emplace_back(parts, make_coder(parts.codec, width_of(parts.kv_dtype)), each);
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<std::byte> plain(each);
      fill(plain, parts.kv_dtype, static_cast<std::uint64_t>(caller) * count + i);
      values.add(std::move(plain));
    }
  }

  void check_memory(const BenchOperation& operation, std::size_t count) const {
    // Plain, encoded and two buffers for each caller; available memory is asked for as it goes.
    const double each = operation.bytes.real() * (2.0 * static_cast<double>(count) + 2);
    constexpr double kMost = 0.8;
    if (each <= kMost * available_memory().real()) return;
    throw EnvironmentError(
        fmt::format("{}: a caller needs {:.3g} GB of memory; available: {:.3g} GB", operation.name,
                    each / 1e9, available_memory().real() / 1e9));
  }

  void fill(std::vector<std::byte>& out, const std::string& kv_dtype, std::uint64_t seed) const {
    if (options_.file.empty() || kv_dtype != options_.file_dtype) {
      fill_kv_bytes(out, kv_dtype, seed);
      return;
    }
    // Another part of the file each time, from its beginning again at its end.
    std::size_t from = seed * out.size() % file_.size();
    from -= from % width_of(kv_dtype);
    for (std::byte& byte : out) {
      byte = file_[from];
      from = from + 1 < file_.size() ? from + 1 : 0;
    }
  }

  void read_file() {
    std::ifstream in(options_.file, std::ios::binary | std::ios::ate);
    if (!in) throw EnvironmentError(options_.file + ": cannot be read");
    const auto size = static_cast<std::int64_t>(in.tellg());
    constexpr std::int64_t kLeast = 1 << 20;
    if (size < kLeast)
      throw EnvironmentError(
          fmt::format("{}: found {} bytes; needed: a mebibyte or more of KV", options_.file, size));
    file_.resize(static_cast<std::size_t>(std::min(size, kLargest.count())));
    in.seekg(0);
    in.read(reinterpret_cast<char*>(file_.data()), static_cast<std::streamsize>(file_.size()));
    if (!in) throw EnvironmentError(options_.file + ": cannot be read to its end");
  }

  Options options_;
  std::int64_t cores_;
  std::vector<std::byte> file_;
};

const Register<Bench, CodecBench> kRegistered("codec", "LZ4 and Zstandard on KV.");

}  // namespace
}  // namespace kvsim
