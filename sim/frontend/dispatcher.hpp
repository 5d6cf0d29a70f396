// Chooses replicas for the requests of one LLM: asks admission, routers and the decider, and keeps
// what these may see. Gauges are as of the last scrape, every view_refresh_s; only the dispatcher's
// own count of what is in flight is fresh.
//
// With prefill and decode apart there are two routers, one for each side. The decode replica is
// chosen first; the decider then says whether the prompt is computed elsewhere (spec/llm_d.md
// section 8, spec/dynamo.md section 4).
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "sim/des/lane.hpp"
#include "sim/frontend/admission.hpp"
#include "sim/frontend/decider.hpp"
#include "sim/frontend/flight.hpp"
#include "sim/kv/kv_index.hpp"

namespace kvsim {

// CPU of a gateway, endpoint picker or router process, per request: tokenising, scoring.
struct GatewayCosts {
  Seconds cpu_per_request{0};
  Seconds cpu_per_input_token{0};
  Seconds latency{0};  // hops, not CPU
  std::int64_t processes = 1;

  template <class F>
  void fields(F& f) {
    f.optional("cpu_per_request_s", cpu_per_request, Range{0, 10}, "Of one process.");
    f.optional("cpu_per_input_token_s", cpu_per_input_token, Range{0, 1},
               "Tokenising, where the router looks at tokens.");
    f.optional("latency_s", latency, Range{0, 10}, "Proxy hops on the way in, not CPU.");
    f.optional("processes", processes, Range{1, 1024}, "That share this work.");
  }
};

class Dispatcher {
 public:
  struct Options {
    Seconds view_refresh{0};  // 0 = always fresh
    GatewayCosts gateway;
    std::string name;  // for resources
  };
  // Some of the replicas, and who chooses among them.
  struct Side {
    std::vector<Replica*> replicas;
    std::unique_ptr<Router> router;
    std::unique_ptr<KvIndex> index;  // null unless the router needs events
  };
  struct Route {
    Replica* replica = nullptr;  // null: refused, or nobody is there
    std::int32_t choice = -1;
    Replica* prefill = nullptr;  // null: the replica computes the prompt itself
    std::int32_t prefill_choice = -1;
    bool nobody = false;
  };

  Dispatcher(World& world, const Options& options);
  ~Dispatcher();

  // Before the run. `main` serves whole requests or decodes them; prefill may have no replicas.
  void set_main(Side side);
  void set_prefill(Side side, std::unique_ptr<Decider> decider);
  void set_admission(std::unique_ptr<Admission> admission);
  // Called when a held request goes on, or is refused, with its number.
  using Released = std::function<void(std::int64_t number, bool refused)>;
  void set_released(Released released) { released_ = std::move(released); }

  // Called when requests are held and no replica is ready.
  void set_deserted(std::function<void()> deserted) { deserted_ = std::move(deserted); }

  // Could each of the replicas serve it, had it nothing else to do? O(pools): those of one are
  // equal.
  [[nodiscard]] bool fits(const Request& request) const;
  // Work of the gateway: when it is done. now, when it costs nothing.
  Seconds gateway(Seconds now, std::int64_t input_tokens);

  [[nodiscard]] Admission::Verdict admit(Flight& flight, Seconds now);
  void gone(std::int64_t number) { admission_->gone(number); }
  // What passes before route() looks at anything.
  [[nodiscard]] Seconds lookup_time() const;
  [[nodiscard]] Route route(Flight& flight, Seconds now);

  // What becomes of a flight that has a replica (Flight::replica, choice, prefill_half).
  void sent(const Flight& flight);
  void first_token(const Flight& flight, Seconds now);
  void ended(const Flight& flight, Seconds now);

  // The replica takes requests, or does not, as the router knows it.
  void set_ready(const Replica& replica, bool ready);
  // It has lost its cache, and the router has heard of it.
  void lost(const Replica& replica);
  // What is known of one of its replicas.
  [[nodiscard]] const ReplicaView& view_of(const Replica& replica) const;
  [[nodiscard]] std::int64_t in_flight() const { return in_flight_; }  // sent and not ended
  [[nodiscard]] std::int64_t held() const { return admission_ ? admission_->held() : 0; }
  // The run is over.
  void close();
  [[nodiscard]] std::vector<ResourceUse> resources() const;

 private:
  struct Watched {  // a side and what is known of it
    Side side;
    HashNeed need;
    bool gauges = false;
    std::vector<ReplicaView> views;
    [[nodiscard]] bool any_ready() const;
  };
  [[nodiscard]] Watched& side_of(const Flight& flight) {
    return flight.prefill_half ? prefill_ : main_;
  }
  static void set_up(Watched& watched, Side side);
  [[nodiscard]] ClusterView look(Watched& watched, Seconds now);
  [[nodiscard]] Ask ask_of(Flight& flight, const Watched& watched);
  void hash(Flight& flight, const Watched& watched, Ask& ask);
  void start_scraping(Seconds now);
  void scrape(Seconds now);
  static void read_gauges(Watched& watched, Seconds now);
  void may_release(Seconds now);
  void release(Seconds now);
  void sweep(Seconds now);

  World& world_;
  Options options_;
  CpuLane gateway_;
  Watched main_;
  std::vector<const Replica*> one_of_each_pool_;
  Watched prefill_;
  std::unique_ptr<Decider> decider_;
  std::unique_ptr<Admission> admission_;  // null: everything is admitted
  Released released_;
  std::function<void()> deserted_;
  bool gauges_ = false;  // somebody looks at them
  Timer scrape_;
  std::int64_t scrapes_ = 0;  // index of the next instant
  std::int64_t in_flight_ = 0;
  Timer release_;
  Timer sweep_;
  std::vector<BlockHash> hashes_;  // scratch
};

}  // namespace kvsim
