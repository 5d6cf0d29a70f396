// by-label (spec/llm_d.md section 4): replicas of the named pools. In a cluster the label is the
// pod's; here a pool's name is the one label that a replica has. Roles (decode-filter,
// prefill-filter) need no filter: a router chooses among replicas of one role.
#include "sim/base/registry.hpp"
#include "sim/frontend/epp/filter.hpp"

namespace kvsim {
namespace {

class ByLabelFilter final : public EppFilter {
 public:
  struct Options {
    std::vector<std::string> pools;
    template <class F>
    void fields(F& f) {
      f.required("pools", pools, "Names of the pools whose replicas stay.");
    }
  };
  ByLabelFilter(const Options& options, const Context& context) {
    for (const ReplicaFacts& replica : context.replicas)
      stays_.push_back(std::find(options.pools.begin(), options.pools.end(), replica.pool) !=
                       options.pools.end());
  }
  void filter(const EppCycle&, std::vector<std::int32_t>& candidates) override {
    std::erase_if(candidates,
                  [&](std::int32_t replica) { return !stays_[static_cast<std::size_t>(replica)]; });
  }

 private:
  std::vector<bool> stays_;
};

const Register<EppFilter, ByLabelFilter> kRegistered("by-label", "Replicas of the named pools.");

}  // namespace
}  // namespace kvsim
