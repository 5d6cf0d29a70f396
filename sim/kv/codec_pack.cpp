// 16-bit KV as 8-bit values, cast or scaled on the GPU on its way out and back: lossy.
//
// fp8-pack halves the bytes. int8-pack keeps a 16-bit scale for each 128 values (a head of the
// usual size, for one token). The work is one pass over the GPU's memory; its rate is assumed,
// below that of any current data-centre GPU's memory. KV that has 8 bits already passes as it is.
#include "sim/base/registry.hpp"
#include "sim/kv/codec_rates.hpp"

namespace kvsim {
namespace {

constexpr Bandwidth kPass{1e12};
constexpr double kFp8 = 2;
constexpr double kInt8 = 128.0 * 2 / (128 + 2);

std::vector<CodecRow> rows(double ratio) {
  const CodecFigures packed{ratio, Bandwidth(0), Bandwidth(0), kPass, kPass, true};
  return {{"bf16", packed}, {"fp16", packed}, {"fp8", {}}};
}

class Fp8Pack final : public RatedCodec {
 public:
  Fp8Pack(const Options& options, const Context& context)
      : RatedCodec("fp8-pack", options, context, rows(kFp8)) {}
};

class Int8Pack final : public RatedCodec {
 public:
  Int8Pack(const Options& options, const Context& context)
      : RatedCodec("int8-pack", options, context, rows(kInt8)) {}
};

const Register<Codec, Fp8Pack> kFp8Pack("fp8-pack", "Values cast to 8-bit floats: lossy.");
const Register<Codec, Int8Pack> kInt8Pack("int8-pack", "Values scaled to 8-bit integers: lossy.");

}  // namespace
}  // namespace kvsim
