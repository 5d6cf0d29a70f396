// llm-d's endpoint picker, EPP (spec/llm_d.md sections 1 to 6): filters in order, then the sum of
// weighted scores, then a picker. Plug-ins are those of sim/frontend/epp/, by llm-d's names.
//
// Left out: profile handlers (a router serves one role: it takes the profile of that name), the
// learned latency predictor, several endpoints for one request, cascades of sidecars.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/epp/approximate_prefix.hpp"
#include "sim/frontend/epp/filter.hpp"
#include "sim/frontend/epp/picker.hpp"
#include "sim/frontend/epp/precise_prefix.hpp"
#include "sim/frontend/epp/scorer.hpp"

namespace kvsim {

struct LlmDOptions {
  struct Plugin {
    std::string type;
    std::string name;
    Json parameters = Json::object();
    template <class F>
    void fields(F& f) {
      f.required("type", type, "A scorer, filter, picker, or approx-prefix-cache-producer.");
      f.optional("name", name, "That profiles use. Default: the type.");
      f.optional("parameters", parameters, "Options of this plug-in.");
    }
  };
  struct Use {
    std::string plugin;
    double weight = 1;
    template <class F>
    void fields(F& f) {
      f.required("plugin_ref", plugin, "Name of a plug-in.");
      f.optional("weight", weight, Range{0, 1e6}, "Of a scorer.");
    }
  };
  struct Profile {
    std::string name;
    std::vector<Use> plugins;
    template <class F>
    void fields(F& f) {
      f.required("name", name, "prefill and decode are taken by the routers of those roles.");
      f.required("plugins", plugins, "Filters run in this order.");
    }
  };
  std::vector<Plugin> plugins;
  std::vector<Profile> profiles;

  template <class F>
  void fields(F& f) {
    f.optional("plugins", plugins,
               "Default: queue-scorer, kv-cache-utilization-scorer, prefix-cache-scorer and "
               "max-score-picker, with weights 2, 2 and 3.");
    f.optional("profiles", profiles, "Default: one with all plug-ins, each of weight 1.");
  }
};

class LlmDRouter : public Router {
 public:
  using Options = LlmDOptions;
  LlmDRouter(const Options& options, const Context& context)
      : LlmDRouter(options, context, "router/llm-d") {}

  bool needs_gauges() const override { return gauges_; }
  bool needs_events() const override { return precise_.has_value(); }
  HashNeed hashes() const override;
  std::int32_t index_most_replicas() const override { return most_replicas_; }
  Seconds lookup_time() const override { return precise_ ? precise_->lookup_time() : Seconds(0); }
  Decision route(const Ask& ask, const ClusterView& view) override;
  void lost(std::int32_t replica) override;

  // The weighted sums of the last decision, by candidate; for tests.
  [[nodiscard]] std::span<const double> scores() const { return totals_; }
  [[nodiscard]] std::span<const std::int32_t> candidates() const { return candidates_; }

 protected:
  // `random` names the stream that ties are broken from.
  LlmDRouter(const Options& options, const Context& context, const char* random);

 private:
  struct Weighted {
    EppScorer* scorer;
    double weight;
  };
  class Assembly;
  [[nodiscard]] EppCycle begin(const Ask& ask, const ClusterView& view);
  void score(const EppCycle& cycle);
  [[nodiscard]] std::int64_t hit_tokens(const Ask& ask, std::int32_t replica) const;

  Rng rng_;
  std::vector<std::unique_ptr<EppPlugin>> plugins_;  // of the profile
  std::vector<EppFilter*> filters_;
  std::vector<Weighted> scorers_;
  EppPicker* picker_ = nullptr;
  std::optional<ApproximatePrefix> approximate_;
  std::optional<PrecisePrefix> precise_;
  bool gauges_ = false;
  std::int32_t most_replicas_ = 0;
  // Scratch of one decision.
  std::vector<std::int32_t> candidates_;
  std::vector<double> totals_;
  std::vector<double> scores_;
};

}  // namespace kvsim
