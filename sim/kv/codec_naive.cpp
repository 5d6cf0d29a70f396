// No transformation: LMCache's "naive" serde (and its "kivi", which returns the object
// unchanged; spec/lmcache.md section 6).
#include "sim/base/registry.hpp"
#include "sim/kv/codec.hpp"

namespace kvsim {
namespace {

class Naive final : public Codec {
 public:
  using Options = NoOptions;
  Naive(const Options&, const Context&) {}
  double ratio() const override { return 1; }
};

const Register<Codec, Naive> kRegistered("naive", "Bytes as they are in HBM.");

}  // namespace
}  // namespace kvsim
