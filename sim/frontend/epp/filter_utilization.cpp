// utilization-detector as a filter (spec/llm_d.md section 7): keeps replicas with fewer requests
// waiting, and less KV in use, than the thresholds raised by the headroom; all when none is left.
#include "sim/base/registry.hpp"
#include "sim/frontend/epp/filter.hpp"

namespace kvsim {
namespace {

class UtilizationFilter final : public EppFilter {
 public:
  struct Options {
    double queue_depth = 5;
    double kv_usage = 0.8;
    double headroom = 0;
    template <class F>
    void fields(F& f) {
      f.optional("queue_depth", queue_depth, Range{0, 1e9}, "Requests waiting.");
      f.optional("kv_usage", kv_usage, Range{0, 1}, "Share of the KV cache in use.");
      f.optional("headroom", headroom, Range{0, 1e3}, "Share by which both are raised.");
    }
  };
  UtilizationFilter(const Options& options, const Context&) : options_(options) {}
  bool needs_gauges() const override { return true; }

  void filter(const EppCycle& cycle, std::vector<std::int32_t>& candidates) override {
    kept_.clear();
    const double more = 1.0 + options_.headroom;
    for (const std::int32_t replica : candidates) {
      const ReplicaView& view = cycle.replica(replica);
      if (static_cast<double>(view.waiting) < options_.queue_depth * more &&
          view.kv_usage < options_.kv_usage * more)
        kept_.push_back(replica);
    }
    if (!kept_.empty()) candidates.swap(kept_);
  }

 private:
  Options options_;
  std::vector<std::int32_t> kept_;
};

const Register<EppFilter, UtilizationFilter> kRegistered("utilization-detector",
                                                         "Replicas that are not saturated.");

}  // namespace
}  // namespace kvsim
