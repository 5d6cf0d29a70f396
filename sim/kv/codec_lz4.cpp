// LZ4 on KV as it is, and after grouping the bytes of equal weight (the shuffle of HDF5 and Blosc),
// which puts exponents beside exponents.
//
// Measured on one core of a virtual machine, chunks of 2 MiB of synthetic KV: Gaussian values with
// a scale and an offset of each channel (docs/tiers.md, "Codecs"). LZ4 alone finds nothing in such
// data; ratios of real KV are UNCERTAIN. Nothing was measured for fp8.
#include "sim/base/registry.hpp"
#include "sim/kv/codec_rates.hpp"

namespace kvsim {
namespace {

class Lz4 final : public RatedCodec {
 public:
  Lz4(const Options& options, const Context& context)
      : RatedCodec("lz4", options, context,
                   {{"bf16", {0.996, Bandwidth(1.43e9), Bandwidth(1.59e9)}},
                    {"fp16", {0.996, Bandwidth(5.83e9), Bandwidth(9.36e9)}}}) {}
};

class Lz4Shuffled final : public RatedCodec {
 public:
  Lz4Shuffled(const Options& options, const Context& context)
      : RatedCodec("lz4-shuffled", options, context,
                   {{"bf16", {1.143, Bandwidth(0.6e9), Bandwidth(3.35e9)}},
                    {"fp16", {0.996, Bandwidth(1.6e9), Bandwidth(10.15e9)}}}) {}
};

const Register<Codec, Lz4> kPlain("lz4", "LZ4: lossless, little gain on KV.");
const Register<Codec, Lz4Shuffled> kShuffled("lz4-shuffled", "LZ4 after grouping bytes by weight.");

}  // namespace
}  // namespace kvsim
