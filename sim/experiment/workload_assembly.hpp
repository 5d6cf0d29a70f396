// The "workload" and "load" sections: which requests, and when they come.
#pragma once

#include <memory>
#include <optional>

#include "sim/base/fields.hpp"
#include "sim/workload/arrivals.hpp"
#include "sim/workload/generator.hpp"
#include "sim/workload/request_source.hpp"

namespace kvsim {

struct LoadConfig {
  ArrivalConfig arrivals;
  Seconds client_timeout{0};
  std::string at_end = "drain";

  [[nodiscard]] std::int64_t clients() const {
    return arrivals.kind == "closed_loop" ? arrivals.clients : 0;
  }
  [[nodiscard]] Seconds think() const { return arrivals.think; }
  // For how long requests are to be sent; none = as long as there are any.
  [[nodiscard]] std::optional<Seconds> asked_duration() const;

  template <class F>
  void fields(F& f) {
    arrivals.fields(f);
    f.optional("client_timeout_s", client_timeout, Range{0, 1e6},
               "A client gives up after this long; 0 = never.");
    f.choice("at_end", at_end, {"drain", "cancel", "go_on"},
             "After duration_s: wait for all answers; give up what is in flight; or begin the next "
             "of `stages` meanwhile (else as drain).");
  }
};

LoadConfig read_load(const ConfigNode& experiment, const Json& load);
// The workload (a trace, a generator, or a mix of them) with the load's arrivals. `experiment` is
// the root node: a mix names LLMs of its pools, and Request::llm counts them in their order.
std::unique_ptr<RequestSource> make_source(const ConfigNode& experiment, const LoadConfig& load,
                                           const GeneratorSeeds& seeds);
[[nodiscard]] inline std::unique_ptr<RequestSource> make_source(const ConfigNode& experiment,
                                                                const LoadConfig& load,
                                                                std::uint64_t seed) {
  return make_source(experiment, load, GeneratorSeeds{seed, seed});
}
// How many requests there will be, when the configuration says so. A trace is read to its end, or
// as far as the load needs it, so that a bad line is found before simulated time starts (throws
// TraceError); a generator is not run.
std::optional<std::int64_t> count_requests(const ConfigNode& experiment, const LoadConfig& load,
                                           const GeneratorSeeds& seeds);
// The "workload" section with defaults filled in.
Json resolve_workload(const ConfigNode& experiment);
Json workload_schema();

}  // namespace kvsim
