// The way of a request from its client to an engine and back.
//
//   arrive -> gateway CPU -> admission -> router -> API server of the replica -> engine -> client
//
// With prefill and decode apart (spec/dynamo.md section 4, spec/llm_d.md section 8) the prompt goes
// to a prefill replica first, as a request for one token whose blocks are kept; then, or together
// with it, to the decode replica, whose connector pulls the KV.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "sim/des/agenda.hpp"
#include "sim/frontend/dispatcher.hpp"
#include "sim/frontend/flight.hpp"
#include "sim/frontend/replica.hpp"
#include "sim/kv/conn_kv_transfer.hpp"
#include "sim/report/recorder.hpp"

namespace kvsim {

// How the two halves of a disaggregated request follow each other.
struct DisaggregationOptions {
  std::string first_token = "decode";
  bool together = false;
  std::string prompt_to_decode = "auto";
  Seconds handover{0.5e-3};

  template <class F>
  void fields(F& f) {
    f.choice("first_token", first_token, {"decode", "prefill"},
             "Who gives it to the client. decode: the last prompt token is computed again there.");
    f.optional("together", together,
               "Both replicas get the request at once, and the decode replica waits for its KV "
               "(SGLang); else one after the other (vLLM).");
    f.choice("prompt_to_decode", prompt_to_decode, {"auto", "text", "token-ids"},
             "What the decode replica gets. text: its API server tokenises the prompt once more "
             "(proxies of vLLM, sidecars of llm-d); token-ids: that has been done (Dynamo's "
             "frontend). auto: by the router.");
    f.optional("handover_s", handover, Range{0, 10},
               "From the prefill replica's answer to the decode replica: a hop and its parsing. "
               "Default: assumed.");
  }
};

class Frontend : public EngineListener {
 public:
  struct Options {
    Seconds client_timeout{0};  // 0 = none
    DisaggregationOptions disaggregation;
    std::int32_t attempts = 1;  // sendings of a request that fails
    Seconds backoff{1};         // before the second
    double backoff_factor = 2;  // by which further waits are longer
  };
  // Called when a request has ended for its client, whatever the outcome, at `ended`.
  using Ended = std::function<void(const Request& request, Seconds ended)>;

  Frontend(World& world, const Options& options, Recorder& recorder);
  ~Frontend() override;

  // Before the run: replicas, in the order of their numbers, then who chooses among them, one for
  // each LLM.
  Replica& add_replica(Replica::Setup setup, std::unique_ptr<Engine> engine);
  Dispatcher& add_dispatcher(std::unique_ptr<Dispatcher> dispatcher);
  void set_ended(Ended ended) { ended_ = std::move(ended); }
  // How KV gets from prefill to decode replicas; not owned.
  void set_transfers(KvTransferHub* transfers) { transfers_ = transfers; }
  [[nodiscard]] const std::vector<std::unique_ptr<Replica>>& replicas() const { return replicas_; }
  [[nodiscard]] Dispatcher& dispatcher_of(const Replica& replica) {
    return *dispatchers_[static_cast<std::size_t>(replica.llm)];
  }

  // The client sends the request now; it wanted to at `intended`. Swaps the request's contents out.
  void arrive(Request& request, Seconds intended);

  // The replica is gone at once: what it has fails. Routers hear of it when told (Dispatcher).
  void crash(Replica& replica);
  // It takes no more requests; `idle` is called when it has none left.
  void drain(Replica& replica);
  // It is up again, with nothing in HBM. False when copies still use its blocks: try again later.
  [[nodiscard]] bool restore(Replica& replica);
  void set_idle(std::function<void(Replica&)> idle) { idle_ = std::move(idle); }
  // Hears of every first token and end; null = nobody. Not owned.
  class Watcher {
   public:
    virtual ~Watcher() = default;
    virtual void arrived(const Flight& flight, Seconds now) = 0;  // at its replica
    virtual void first_token(const Flight& flight, Seconds now) = 0;
    virtual void ended(const Flight& flight, Outcome outcome, Seconds now) = 0;
  };
  void set_watcher(Watcher* watcher) { watcher_ = watcher; }

  // The clients of a stage (Request::stage) are gone: what it has in flight is recorded as
  // unfinished now, and nobody hears of its end. Engines drop it as when clients give up.
  void cancel(std::int32_t stage);
  // The run is over: records what is in flight as unfinished.
  void close(Seconds now);
  // What has been cancelled and has not left its engine included.
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
    Flight* flight;
    std::int64_t id;
  };
  Flight& acquire();
  void recycle(Flight& flight);
  [[nodiscard]] Dispatcher& dispatcher(const Flight& flight) {
    return *dispatchers_[static_cast<std::size_t>(flight.request.llm)];
  }

  // A wait at a station; over when the flight has not gone on in another way.
  struct Wait {
    Flight* flight;
    std::int64_t visit;
  };
  void wait_until(Flight& flight, Seconds at);

  // The stations of a request.
  void enter(Flight& flight, Seconds now);  // a gateway
  void admit(Flight& flight, Seconds now);
  void dispatch(Flight& flight, Seconds now);  // admitted
  void choose(Flight& flight, Seconds now);    // a replica, or two
  void begin_prefill(Flight& flight, const Dispatcher::Route& route, Seconds now);
  static void take_first_token(Flight& flight);
  static void give_back_first_token(Request& request);
  static void part_from_half(Flight& flight);
  // Of the API server of a replica, before the engine hears of it.
  [[nodiscard]] Seconds api_work(const Flight& flight, const ApiServerCosts& api) const;
  void send(Flight& flight, Replica& replica, std::int32_t choice, Seconds now);
  void proceed(Flight& flight, Seconds now);  // what it waited for at its station is over
  void desert(Dispatcher& dispatcher, Seconds now);
  void deliver(Flight& flight, Seconds now);
  void prefill_ended(Flight& half, Outcome outcome, Seconds now);
  void leave_replica(Flight& flight, Seconds now);
  void fail(Flight& flight, Seconds now);  // ... or tries again
  void finish(Flight& flight, Outcome outcome, Seconds at);

  // What is counted in several places is the same everywhere.
  void check_books() const;

  // Tokens that an engine gives out now reach their clients after the returned time.
  Seconds detokenise(Replica& replica, std::int64_t tokens, Seconds now);
  static void take_parts(const Flight& flight, Seconds engine_time, RequestRecord& record);
  void split_time_to_first_token(Flight& flight, Seconds engine_time);
  [[nodiscard]] static std::array<std::int64_t, 4> hits_of(const Flight& flight);
  void watch_deadline(Flight& flight);
  void give_up(Seconds now);
  void stop(Flight& flight, Outcome outcome, Seconds now);  // wherever it is
  [[nodiscard]] RequestRecord record_of_cancelled(const Flight& flight, Seconds now) const;
  // The client has gone before `at`: it sees nothing of what comes then.
  [[nodiscard]] bool has_given_up(const RequestRecord& record, Seconds at) const;
  [[nodiscard]] bool gives_up_at(const RequestRecord& record, Seconds at) const;

  World& world_;
  Options options_;
  Recorder& recorder_;
  Ended ended_;
  std::function<void(Replica&)> idle_;
  Watcher* watcher_ = nullptr;
  KvTransferHub* transfers_ = nullptr;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::vector<std::unique_ptr<Dispatcher>> dispatchers_;  // by LLM
  Seconds last_ended_{0};
  Agenda<Wait> stations_;  // ends of what flights wait for: a gateway, an API server, a pause
  std::int64_t visits_ = 0;
  Timer deadline_timer_;
  std::deque<Deadline> deadlines_;
  std::int64_t in_flight_ = 0;
  std::int64_t numbers_ = 0;
  std::unordered_map<std::int64_t, Flight*> held_;  // by admission; never iterated
  std::vector<std::unique_ptr<Flight>> flights_;    // all that were ever needed at once
  std::vector<Flight*> unused_;
};

}  // namespace kvsim
