// When requests come: keeps a trace's times, scales them, or replaces them by an arrival process.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/workload/request_source.hpp"

namespace kvsim {

struct RateStage {
  double rate_per_s = 0;
  Seconds duration{0};

  template <class F>
  void fields(F& f) {
    f.required("rate_per_s", rate_per_s, Range{0, 1e9}, "Arrivals per second in this stage.");
    f.required("duration_s", duration, Range{1e-9, 1e9}, "Length of this stage.");
  }
};

// The members of the "load" section that say when requests come.
//
// poisson, gamma and constant draw the times between arrivals (gamma: shape = burstiness, so 1 is
// Poisson, less comes in bursts, more is smoother; constant: evenly, the first one at 0) at a mean
// of rate_per_s, or of each stage in turn; after the last stage nothing comes. A session counts as
// one arrival, its first turn's.
//
// filled draws as poisson does and then scales the gaps of a stage so that exactly rate x duration
// requests come in it, the last at its end: the "constant" load of inference-perf.
struct ArrivalConfig {
  std::string kind = "trace";
  std::optional<double> rate_per_s;
  std::optional<double> burstiness;
  std::vector<RateStage> stages;
  double speed = 1;
  std::int64_t clients = 0;
  Seconds think{0};
  Seconds produce{0};
  std::int64_t produce_ahead = 1;
  std::optional<std::int64_t> max_requests;
  std::optional<Seconds> duration;

  template <class F>
  void fields(F& f) {
    f.choice("kind", kind, {"trace", "poisson", "filled", "gamma", "constant", "closed_loop"},
             "trace: the workload's own times.");
    f.optional("rate_per_s", rate_per_s, Range{1e-9, 1e9},
               "poisson, filled, gamma, constant: mean rate.");
    f.optional("burstiness", burstiness, Range{1e-3, 1e3},
               "gamma: shape; below 1 in bursts, 1 as Poisson, above 1 smoother.");
    f.optional("stages", stages,
               "poisson, filled, gamma, constant: rates one after the other, then end.");
    f.optional("speed", speed, Range{1e-6, 1e6},
               "trace: how many times faster than recorded; think times stay as they are.");
    f.optional("clients", clients, Range{0, 1e7},
               "closed_loop: each sends when its answer before has come.");
    f.optional("think_s", think, Range{0, 1e7}, "closed_loop: pause of a client before it sends.");
    f.optional("produce_s", produce, Range{0, 1e6},
               "closed_loop: what it takes the load generator to make a request. It makes one "
               "after the other.");
    f.optional("produce_ahead", produce_ahead, Range{1, 1e7},
               "closed_loop: how many requests it may have made that nobody has asked for yet. At "
               "the beginning it has one.");
    f.optional("max_requests", max_requests, Range{1, 1e12}, "Stop after so many.");
    f.optional("duration_s", duration, Range{0, 1e9},
               "Leave out what arrives later than this; closed_loop: send nothing from then on.");
  }
};

// Takes over `source`. A turn after the first of a session gets the latest arrival before it: it
// waits for the answer to the turn before and its think time anyway. The digest is that of the
// requests as they come out. With kind closed_loop arrivals are 0: the clients give the times.
// Throws ConfigError with JSON paths below /load.
[[nodiscard]] std::unique_ptr<RequestSource> with_arrivals(std::unique_ptr<RequestSource> source,
                                                           const ArrivalConfig& config,
                                                           std::uint64_t seed);

}  // namespace kvsim
