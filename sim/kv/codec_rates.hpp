// What codecs share: figures by the type of what is encoded, each of which the configuration can
// replace.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/kv/codec.hpp"

namespace kvsim {

struct CodecFigures {
  double ratio = 1;     // bytes in HBM per byte stored
  Bandwidth encode{0};  // one thread, bytes as in HBM; 0 = no CPU
  Bandwidth decode{0};
  Bandwidth gpu_encode{0};  // 0 = no GPU
  Bandwidth gpu_decode{0};
  bool lossy = false;
};

struct CodecOptions {
  std::optional<double> ratio;
  std::optional<Bandwidth> encode;
  std::optional<Bandwidth> decode;
  std::optional<Bandwidth> gpu_encode;
  std::optional<Bandwidth> gpu_decode;
  template <class F>
  void fields(F& f) {
    f.optional("ratio", ratio, Range{0.1, 100},
               "Bytes in HBM per byte stored. Default: by codec and KV type.");
    f.optional("encode_bytes_per_s", encode, Range{0, 1e14},
               "One thread, bytes as in HBM; 0 = no CPU. Default: by codec and KV type.");
    f.optional("decode_bytes_per_s", decode, Range{0, 1e14}, "The same, back.");
    f.optional("gpu_encode_bytes_per_s", gpu_encode, Range{0, 1e14},
               "The GPU, bytes as in HBM; 0 = no GPU. Default: by codec, assumed.");
    f.optional("gpu_decode_bytes_per_s", gpu_decode, Range{0, 1e14}, "The same, back.");
  }
};

// Figures for one type of KV.
struct CodecRow {
  std::string kv_dtype;
  CodecFigures figures;
};

// A codec that is nothing but its figures.
class RatedCodec : public Codec {
 public:
  using Options = CodecOptions;
  double ratio() const override { return figures_.ratio; }
  Bandwidth encode() const override { return figures_.encode; }
  Bandwidth decode() const override { return figures_.decode; }
  Bandwidth gpu_encode() const override { return figures_.gpu_encode; }
  Bandwidth gpu_decode() const override { return figures_.gpu_decode; }
  bool lossy() const override { return figures_.lossy; }
  // Lossless ones can be done for real.
  std::string bench_name() const override { return figures_.lossy ? "" : name_; }

 protected:
  // The row of the KV type in the context, with what `options` state laid over. ConfigError naming
  // the known types when it has no row and a needed figure is not stated.
  RatedCodec(const char* name, const Options& options, const Context& context,
             const std::vector<CodecRow>& rows);

 private:
  std::string name_;
  CodecFigures figures_;
};

}  // namespace kvsim
