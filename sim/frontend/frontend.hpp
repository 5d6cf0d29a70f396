// The way of a request from its client to an engine and back: routing, the API server's CPU, and
// what the client sees. One frontend serves one pool of equal replicas.
//
//   arrive -> route -> API server of the replica (CPU, then a delay) -> engine -> client
//
// Views: the router sees each replica's gauges as of the last refresh, every view_refresh_s; only
// its own count of requests in flight is fresh.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "sim/des/agenda.hpp"
#include "sim/des/lane.hpp"
#include "sim/engine/engine.hpp"
#include "sim/frontend/router.hpp"
#include "sim/report/recorder.hpp"

namespace kvsim {

// CPU and delay of an API server, per request (spec/perf_model.md section 2.1).
struct ApiServerCosts {
  Seconds cpu_per_request{0};
  Seconds cpu_per_input_token{0};
  Seconds cpu_per_output_token{0};  // detokenising, after each step, in the same queue
  Seconds latency{0};               // network and hand-over, not CPU
  std::int32_t servers = 1;         // API server processes of a replica
};

class Frontend : public EngineListener {
 public:
  struct Options {
    Seconds view_refresh{0};    // 0 = always fresh
    Seconds client_timeout{0};  // 0 = none
    ApiServerCosts api;
  };
  // Called when a request has ended for its client, whatever the outcome, at `ended`.
  using Ended = std::function<void(const Request& request, Seconds ended)>;

  Frontend(World& world, const Options& options, Recorder& recorder);
  ~Frontend() override;

  // Before the run: replicas, then the router made for them.
  void add_engine(std::unique_ptr<Engine> engine);
  void set_router(std::unique_ptr<Router> router);
  void set_ended(Ended ended) { ended_ = std::move(ended); }
  [[nodiscard]] const std::vector<std::unique_ptr<Engine>>& engines() const { return engines_; }

  // The client sends the request now; it wanted to at `intended`. Swaps the request's contents out.
  void arrive(Request& request, Seconds intended);

  // The run is over: records what is in flight as unfinished.
  void close(Seconds now);
  [[nodiscard]] std::int64_t in_flight() const { return in_flight_; }
  // When the last answer so far reached its client: may lie after the engine's last step.
  [[nodiscard]] Seconds last_ended() const { return last_ended_; }
  [[nodiscard]] std::vector<ResourceUse> resources() const;

  void first_token(Sequence& sequence, Seconds now) override;
  void ended(Sequence& sequence, Outcome outcome, Seconds now) override;
  void token_gap(std::int32_t replica, Seconds gap, std::int64_t sequences, Seconds now) override;

 private:
  struct Deadline {
    Seconds at;
    Sequence* sequence;
    std::int64_t id;
  };
  Sequence& acquire();
  void recycle(Sequence& sequence);
  void refresh(Seconds now);
  void start_refreshing(Seconds now);
  std::int32_t route(Sequence& sequence, Seconds now);
  void deliver(Sequence& sequence, Seconds now);
  void finish(Sequence& sequence, Outcome outcome, Seconds at);
  // Tokens that an engine gives out now reach their clients after the returned time.
  Seconds detokenise(std::int32_t replica, std::int64_t tokens, Seconds now);
  void split_time_to_first_token(Sequence& sequence, Seconds engine_time);
  void watch_deadline(Sequence& sequence);
  void give_up(Seconds now);
  // The client has gone before `at`: it sees nothing of what comes then.
  [[nodiscard]] bool has_given_up(const RequestRecord& record, Seconds at) const;

  World& world_;
  Options options_;
  Recorder& recorder_;
  Ended ended_;
  std::vector<std::unique_ptr<Engine>> engines_;
  std::vector<CpuLane> api_servers_;
  std::vector<Seconds> delivery_lag_;  // of each replica's last tokens, from engine to client
  Seconds last_ended_{0};
  std::unique_ptr<Router> router_;
  std::vector<ReplicaView> views_;
  Timer refresh_timer_;
  std::int64_t refreshes_ = 0;  // index of the next refresh instant
  Agenda<Sequence*> deliveries_;
  Timer deadline_timer_;
  std::deque<Deadline> deadlines_;
  std::int64_t in_flight_ = 0;
  std::vector<std::unique_ptr<Sequence>> sequences_;  // all that were ever needed at once
  std::vector<Sequence*> unused_;
};

}  // namespace kvsim
