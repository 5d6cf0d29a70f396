// One replica as its frontend knows it: an engine behind an API server.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "sim/des/lane.hpp"
#include "sim/engine/engine.hpp"
#include "sim/frontend/router.hpp"
#include "sim/kv/kv_events.hpp"

namespace kvsim {

// CPU and delay of an API server, per request (spec/perf_model.md section 2.1).
struct ApiServerCosts {
  Seconds cpu_per_request{0};
  Seconds cpu_per_input_token{0};
  Seconds cpu_per_output_token{0};  // detokenising, after each step, in the same queue
  Seconds latency{0};               // network and hand-over, not CPU
  std::int32_t servers = 1;         // API server processes of a replica
};

struct Replica {
  enum class State : std::uint8_t {
    kReady,     // takes requests
    kDraining,  // finishes those it has, takes no more
    kDown,      // off, crashed or starting
  };
  struct Setup {
    ReplicaFacts facts;
    Role role = Role::kAggregated;
    std::int32_t llm = 0;   // which requests it serves: Request::llm
    std::int32_t pool = 0;  // index of its pool
    ApiServerCosts api;
    // Where its connector's tiers stand among the run's, HBM first.
    std::vector<std::size_t> tiers = {0, 1, 2, 3};
  };

  Replica(std::int32_t number, Setup setup, std::unique_ptr<Engine> its_engine)
      : index(number),
        facts(std::move(setup.facts)),
        role(setup.role),
        llm(setup.llm),
        pool(setup.pool),
        api(setup.api),
        tiers(std::move(setup.tiers)),
        engine(std::move(its_engine)),
        api_server("api-server-" + std::to_string(number), setup.api.servers) {}

  [[nodiscard]] bool up() const { return state != State::kDown; }

  std::int32_t index;  // among all replicas of the run
  ReplicaFacts facts;
  Role role;
  std::int32_t llm;
  std::int32_t pool;
  ApiServerCosts api;
  std::vector<std::size_t> tiers;
  std::unique_ptr<Engine> engine;
  CpuLane api_server;
  Seconds delivery_lag{0};             // of its last tokens, from engine to client
  std::unique_ptr<KvEventLog> events;  // null: nobody listens
  State state = State::kReady;
  std::int64_t in_flight = 0;  // requests, or their halves, that it has

  // Its GPUs are rented from when it is wanted until it is drained; a crashed one keeps them.
  void rent(Seconds now) {
    if (!rented_) rented_since_ = now;
    rented_ = true;
  }
  void give_back(Seconds now) {
    if (rented_) rented_before_ += now - rented_since_;
    rented_ = false;
  }
  [[nodiscard]] Seconds rented(Seconds now) const {
    return rented_before_ + (rented_ ? now - rented_since_ : Seconds(0));
  }

 private:
  bool rented_ = false;
  Seconds rented_since_{0};
  Seconds rented_before_{0};
};

}  // namespace kvsim
