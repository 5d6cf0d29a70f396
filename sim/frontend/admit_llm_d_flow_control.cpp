// llm-d's flow controller (spec/llm_d.md section 7; behind a feature gate there): requests wait in
// queues by priority and flow while the replicas are saturated, and are refused when their band is
// full or they have waited too long.
//
// A flow is a tenant. llm-d's priority is ours with the sign changed: its highest band is our
// lowest number. Requests carry no deadlines of their own: edf orders by arrival + ttl_s, which is
// fcfs; slo-deadline by arrival + the tenant's objective. A prompt's bytes are its characters.
#include <deque>

#include "sim/base/registry.hpp"
#include "sim/frontend/admission.hpp"
#include "sim/frontend/epp/flow_queues.hpp"
#include "sim/frontend/epp/saturation.hpp"

namespace kvsim {
namespace {

struct FlowControlOptions {
  SaturationOptions saturation;
  std::string fairness = "global-strict";
  std::string ordering = "fcfs";
  std::vector<Seconds> tenant_slo;
  Seconds slo{1};
  Bytes band_capacity{1'000'000'000};
  double characters_per_token = 4;
  Seconds ttl{0};
  Seconds sweep{1};

  template <class F>
  void fields(F& f) {
    saturation.fields(f);
    f.choice("fairness", fairness, {"global-strict", "round-robin"},
             "Between the flows of a band: the first of all by ordering, or each in turn.");
    f.choice("ordering", ordering, {"fcfs", "edf", "slo-deadline"}, "Within a flow.");
    f.optional("slo_ttft_s", slo, Range{0, 1e6},
               "slo-deadline: objective of tenants not listed. Default: assumed.");
    f.optional("tenant_slo_ttft_s", tenant_slo, Range{0, 1e6},
               "slo-deadline: objectives by tenant, from tenant 0 on.");
    f.optional("band_capacity_bytes", band_capacity, Range{1, 1e15},
               "Prompts held in one band; beyond, requests are refused.");
    f.optional("characters_per_token", characters_per_token, Range{0.1, 100},
               "Bytes of a prompt token. Default: right for English.");
    f.optional("ttl_s", ttl, Range{0, 1e6}, "Held longer, a request is refused; 0 = never.");
    f.optional("sweep_s", sweep, Range{1e-3, 1e6}, "Between two looks for those held too long.");
  }
};

class FlowControl final : public Admission {
 public:
  using Options = FlowControlOptions;
  FlowControl(const Options& options, const Context&)
      : options_(options),
        saturation_(options.saturation),
        queues_(options.fairness == "round-robin") {}

  bool needs_gauges() const override { return saturation_.needs_gauges(); }

  Verdict admit(const Ask& ask, const ClusterView& view) override {
    if (!queues_.any_up_to(ask.priority) && !saturation_.saturated(view)) return Verdict::kAdmit;
    const std::int64_t bytes = static_cast<std::int64_t>(static_cast<double>(ask.input_tokens) *
                                                         options_.characters_per_token);
    if (queues_.band_bytes(ask.priority) + bytes > options_.band_capacity.count())
      return Verdict::kRefuse;
    queues_.push({.number = ask.number,
                  .priority = ask.priority,
                  .flow = ask.tenant,
                  .key = key(ask, view.now),
                  .bytes = bytes});
    if (options_.ttl > Seconds(0)) arrivals_.push_back({view.now, ask.number});
    return Verdict::kHold;
  }

  std::optional<std::int64_t> next(const ClusterView& view) override {
    if (queues_.size() == 0 || saturation_.saturated(view)) return std::nullopt;
    return queues_.pop();
  }

  Seconds sweep_period() const override {
    return options_.ttl > Seconds(0) ? options_.sweep : Seconds(0);
  }
  std::optional<std::int64_t> expired(Seconds now) override {
    while (!arrivals_.empty() && arrivals_.front().at + options_.ttl <= now) {
      const std::int64_t number = arrivals_.front().number;
      arrivals_.pop_front();
      if (queues_.remove(number)) return number;
    }
    return std::nullopt;
  }

  void gone(std::int64_t number) override { (void)queues_.remove(number); }
  std::int64_t held() const override { return queues_.size(); }

 private:
  struct Arrival {
    Seconds at;
    std::int64_t number;
  };
  [[nodiscard]] double key(const Ask& ask, Seconds now) const {
    if (options_.ordering == "fcfs") return 0;  // the queue's own sequence decides
    if (options_.ordering == "edf") return (now + options_.ttl).count();
    const auto tenant = static_cast<std::size_t>(std::max(ask.tenant, 0));
    const bool listed = tenant < options_.tenant_slo.size();
    return (now + (listed ? options_.tenant_slo[tenant] : options_.slo)).count();
  }

  Options options_;
  Saturation saturation_;
  FlowQueues queues_;
  std::deque<Arrival> arrivals_;
};

const Register<Admission, FlowControl> kRegistered(
    "llm-d-flow-control", "llm-d: queues by priority and tenant while saturated.");

}  // namespace
}  // namespace kvsim
