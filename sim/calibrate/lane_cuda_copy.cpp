// The copy engines of a GPU, as the simulator has them: one copy after another in each direction,
// at the rate of the host link (sim/des/lane.hpp). Its constants come with the GPU's profile, which
// `kvsim calibrate --only gpu` writes, so there is nothing to fit here.
#include "sim/base/registry.hpp"
#include "sim/calibrate/lane_model.hpp"

namespace kvsim {
namespace {

class CudaCopyModel final : public LaneModel {
 public:
  using Options = NoOptions;
  CudaCopyModel(const Options&, const Context&) {}

  std::vector<BenchOperation> plan(bool) const override {
    std::vector<BenchOperation> out;
    for (const char* name : {"to-gpu", "to-host"})
      for (const std::int64_t mebi : {2, 8, 32, 128})
        for (const std::int64_t at_once : {1, 4}) out.push_back({name, Bytes(mebi << 20), at_once});
    return out;
  }
  std::vector<FittedFigure> fit(const std::vector<Sample>&, Figures&) const override { return {}; }
  Task run(Tasks& tasks, BenchOperation operation, const Figures& figures,
           Seconds& mean) const override {
    // Without a GPU's profile there is no model.
    const char* key =
        operation.name == "to-gpu" ? "to_gpu_alone_bytes_per_s" : "to_host_alone_bytes_per_s";
    const Seconds began = tasks.now();
    if (figures.contains("host_link"))
      co_await tasks.sleep(operation.bytes * operation.at_once /
                           Bandwidth(figures["host_link"][key].get<double>()));
    mean = tasks.now() - began;
  }
};

const Register<LaneModel, CudaCopyModel> kRegistered("cuda_copy", "Copy engines of a GPU.");

}  // namespace
}  // namespace kvsim
