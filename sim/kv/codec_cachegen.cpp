// CacheGen as LMCache has it (spec/lmcache.md section 6): values are quantised by layer and coded
// arithmetically, on the GPU at both ends; answers may change.
//
// The ratio follows from the bit widths, 3.5 to 4.3 against 16-bit values, and depends on the data
// (UNCERTAIN: the default is the middle). The GPU's rates are assumed: no figure was found. Left
// out: that the GPU's kernels compete with the model, the CPU's part in assembling the result.
#include "sim/base/registry.hpp"
#include "sim/kv/codec_rates.hpp"

namespace kvsim {
namespace {

constexpr double kRatio = 3.9;
constexpr Bandwidth kGpu{10e9};

CodecFigures of_16_bit() { return {kRatio, Bandwidth(0), Bandwidth(0), kGpu, kGpu, true}; }
// The same bits a value, out of eight.
CodecFigures of_8_bit() { return {kRatio / 2, Bandwidth(0), Bandwidth(0), kGpu, kGpu, true}; }

class CacheGen final : public RatedCodec {
 public:
  CacheGen(const Options& options, const Context& context)
      : RatedCodec("cachegen", options, context,
                   {{"bf16", of_16_bit()}, {"fp16", of_16_bit()}, {"fp8", of_8_bit()}}) {}
};

const Register<Codec, CacheGen> kRegistered("cachegen",
                                            "Quantised and entropy coded on the GPU: lossy.");

}  // namespace
}  // namespace kvsim
