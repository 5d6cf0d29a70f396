// Copies of KV between a GPU and pinned host memory, by the kernels of kernels/: a gather and a
// copy, or a copy and a scatter, of blocks that lie anywhere in a paged cache. Done by gpu_probe in
// a process of its own, which checks what it copied.
#include <fmt/format.h>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/probe/bench.hpp"
#include "sim/probe/gpu_probe_process.hpp"

namespace kvsim {
namespace {

class CudaCopy final : public Bench {
 public:
  struct Options {
    std::int64_t device = 0;
    Bytes block{2 << 20};
    template <class F>
    void fields(F& f) {
      f.optional("device", device, Range{0, 63}, "Which GPU.");
      f.optional("block_bytes", block, Range{256, 1e9}, "A block of the paged cache, all layers.");
    }
  };
  CudaCopy(const Options& options, const Context& context)
      : options_(options),
        probe_(context.scratch, {"--serve", "--device", std::to_string(options.device)}) {
    static_cast<void>(measured({"to-host", options.block, 1}));  // tells whether there is a GPU
  }

  std::vector<std::string> operations() const override { return {"to-gpu", "to-host"}; }
  Json identity() const override { return {{"block_bytes", options_.block.count()}}; }
  Bytes needs(const BenchOperation&) const override { return Bytes(0); }
  Sample measure(const BenchOperation& operation, const Patience& patience) override {
    // Its callers are streams of the one process: one of us asks for all of them.
    Sample sample = kvsim::measure({operation.name, operation.bytes, 1}, patience,
                                   [&](std::int64_t) { return measured(operation); });
    sample.operation = operation;
    return sample;
  }

 private:
  Seconds measured(const BenchOperation& operation) {
    const std::string answer =
        probe_.ask(fmt::format("copy {} {} {} {}", operation.name, operation.bytes.count(),
                               options_.block.count(), operation.at_once));
    try {
      return Seconds(std::stod(answer));
    } catch (const std::exception&) {
      throw EnvironmentError("gpu_probe: found \"" + answer + "\"; expected seconds");
    }
  }

  Options options_;
  GpuProbeProcess probe_;
};

const Register<Bench, CudaCopy> kRegistered("cuda_copy",
                                            "KV between a GPU and pinned memory, by kernels.");

}  // namespace
}  // namespace kvsim
