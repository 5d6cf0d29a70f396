// Zstandard at level 1 on KV as it is, and after grouping the bytes of equal weight.
//
// Measured as in codec_lz4.cpp, on synthetic KV: ratios of real KV are UNCERTAIN. Nothing was
// measured for fp8.
#include "sim/base/registry.hpp"
#include "sim/kv/codec_rates.hpp"

namespace kvsim {
namespace {

class Zstd final : public RatedCodec {
 public:
  Zstd(const Options& options, const Context& context)
      : RatedCodec("zstd-1", options, context,
                   {{"bf16", {1.256, Bandwidth(0.68e9), Bandwidth(1.31e9)}},
                    {"fp16", {1.07, Bandwidth(0.96e9), Bandwidth(1.43e9)}}}) {}
};

class ZstdShuffled final : public RatedCodec {
 public:
  ZstdShuffled(const Options& options, const Context& context)
      : RatedCodec("zstd-1-shuffled", options, context,
                   {{"bf16", {1.439, Bandwidth(0.63e9), Bandwidth(1.17e9)}},
                    {"fp16", {1.151, Bandwidth(1.47e9), Bandwidth(1.35e9)}}}) {}
};

const Register<Codec, Zstd> kPlain("zstd-1", "Zstandard at level 1: lossless.");
const Register<Codec, ZstdShuffled> kShuffled("zstd-1-shuffled",
                                              "Zstandard after grouping bytes by weight.");

}  // namespace
}  // namespace kvsim
