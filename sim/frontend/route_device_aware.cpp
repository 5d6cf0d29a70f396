// Dynamo's device-aware-weighted (spec/dynamo.md section 1): replicas without a GPU and replicas
// with one are two groups. The group with the lower load for what it can do is chosen,
//
//   load = requests in flight in the group / sum of weights
//   weight = the operator's, times cuda_to_cpu_ratio for a replica with a GPU
//
// and in it the replica with the fewest requests in flight. Equal groups: the one with GPUs
// (assumed; the specification does not say), equal replicas: in turn.
#include <array>

#include "sim/base/registry.hpp"
#include "sim/frontend/ready.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

class DeviceAware final : public Router {
 public:
  struct Options {
    double cuda_to_cpu_ratio = 8;
    template <class F>
    void fields(F& f) {
      f.optional("cuda_to_cpu_ratio", cuda_to_cpu_ratio, Range{1e-3, 1e6},
                 "How much more a replica with a GPU does than one without "
                 "(DYN_ENCODER_CUDA_TO_CPU_RATIO).");
    }
  };
  DeviceAware(const Options& options, const Context& context) {
    for (const ReplicaFacts& facts : context.replicas)
      replicas_.push_back({facts.cpu, facts.weight * (facts.cpu ? 1 : options.cuda_to_cpu_ratio)});
  }

  Decision route(const Ask&, const ClusterView& view) override {
    struct Group {
      double in_flight = 0;
      double weight = 0;
    };
    std::array<Group, 2> groups;  // with GPUs, without
    for (std::size_t i = 0; i < view.replicas.size(); ++i) {
      if (!view.replicas[i].ready) continue;
      Group& group = groups[replicas_[i].cpu ? 1 : 0];
      group.in_flight += static_cast<double>(view.replicas[i].in_flight);
      group.weight += replicas_[i].weight;
    }
    const bool cpu = groups[1].weight > 0 &&
                     (groups[0].weight <= 0 || groups[1].in_flight * groups[0].weight <
                                                   groups[0].in_flight * groups[1].weight);
    const std::size_t best = least_in_flight(
        view, last_, [&](std::size_t replica) { return replicas_[replica].cpu == cpu; });
    if (best != kNoReplica) last_ = best;
    return to_replica(best);
  }

 private:
  struct Replica {
    bool cpu;
    double weight;
  };
  std::vector<Replica> replicas_;
  std::size_t last_ = 0;
};

const Register<Router, DeviceAware> kRegistered("device-aware-weighted",
                                                "Least loaded for what its kind of device can do.");

}  // namespace
}  // namespace kvsim
