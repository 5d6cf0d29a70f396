// Carries out what an autoscaler wants: measures, asks it, brings replicas up and drains them. A
// replica that comes up takes its start-up time and begins with an empty cache in HBM.
//
// Leaves out: GPUs that cannot be had, start-ups that fail.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/des/agenda.hpp"
#include "sim/frontend/autoscaler.hpp"
#include "sim/frontend/frontend.hpp"

namespace kvsim {

class Scaling final : public Frontend::Watcher {
 public:
  struct Pool {
    PoolMetrics facts;          // what of them does not change
    Seconds startup{0};         // from the decision until it takes requests
    std::int64_t replicas = 1;  // at the beginning
    bool warm = false;          // what its connector kept is still there
    std::vector<Replica*> members;
  };

  // The autoscaler may be null: then replicas only start again after a crash.
  Scaling(World& world, std::vector<Pool> pools, std::unique_ptr<Autoscaler> autoscaler,
          Frontend& frontend);
  ~Scaling() override;

  void start();
  // No decision follows.
  void stop();
  // A replica that is down begins to come up.
  void bring_up(Replica& replica);
  // One that is coming up does not: it has crashed. False when none was under way.
  bool abandon(Replica& replica);
  // While it may not come up: its machine is gone.
  void forbid(const Replica& replica, bool forbidden);

  // How often replicas were brought up or taken down.
  [[nodiscard]] std::int64_t changes() const { return changes_; }

  void arrived(const Flight& flight, Seconds now) override;
  void first_token(const Flight& flight, Seconds now) override;
  void ended(const Flight& flight, Outcome outcome, Seconds now) override;

 private:
  // What requests of an LLM have shown since the last decision.
  struct Counts {
    std::int64_t arrived = 0;
    std::int64_t input_tokens = 0;
    std::int64_t ended = 0;
    std::int64_t output_tokens = 0;
    std::int64_t first_tokens = 0;
    Seconds ttft{0};
    std::int64_t gaps = 0;
    Seconds gap_time{0};
  };
  struct Member {
    bool starting = false;
    std::int64_t start = 0;  // number of the latest
    bool forbidden = false;
  };
  void decide(Seconds now);
  [[nodiscard]] PoolMetrics measure(std::size_t pool, Seconds now);
  void adjust(std::size_t pool, std::int64_t wanted);
  struct Start {
    Replica* replica;
    std::int64_t number;
  };
  void come_up(const Start& start, Seconds now);
  [[nodiscard]] Member& member(const Replica& replica) {
    return members_[static_cast<std::size_t>(replica.index)];
  }

  World& world_;
  Frontend& frontend_;
  std::vector<Pool> pools_;
  std::unique_ptr<Autoscaler> autoscaler_;
  std::vector<std::int64_t> wanted_;
  std::vector<PoolMetrics> metrics_;
  std::vector<Counts> counts_;   // by LLM
  std::vector<Member> members_;  // by replica
  Timer timer_;
  Agenda<Start> starts_;
  Seconds decided_{0};
  std::int64_t changes_ = 0;
  std::int64_t seen_ = 0;  // arrivals and ends so far
  std::int64_t seen_before_ = 0;
  std::int64_t idle_periods_ = 0;
};

}  // namespace kvsim
