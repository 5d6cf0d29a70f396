// The clients: sends the requests of a source, each at its time.
//
// Open loop: at its arrival. Closed loop: N clients, each sends its next request when the answer to
// the one before has come and it has thought. A later turn of a session always waits for the answer
// to the turn before it and its think time, in either loop. A source is read as far as needed: what
// is held are the waiting turns of sessions under way.
#pragma once

#include <deque>
#include <functional>
#include <limits>
#include <unordered_map>

#include "sim/des/agenda.hpp"
#include "sim/frontend/frontend.hpp"
#include "sim/workload/request_source.hpp"

namespace kvsim {

class LoadDriver {
 public:
  struct Options {
    std::int64_t clients = 0;  // 0 = open loop
    Seconds think{0};          // closed loop: pause of a client between its requests
    // Closed loop: making a request (or a session), one after the other for all clients, while
    // fewer than so many are ready that nobody has asked for. At the beginning one is. Load
    // generators that make up long prompts as they go take this.
    Seconds produce{0};
    std::int64_t produce_ahead = 1;
    // Closed loop: nothing is sent so long after the beginning or later. (An open loop's source
    // ends by itself.)
    Seconds duration{std::numeric_limits<double>::infinity()};
  };
  // Told when nothing more will be sent (perhaps more than once), and when all has ended.
  struct Told {
    std::function<void()> all_sent;
    std::function<void()> finished;
  };

  LoadDriver(World& world, const Options& options, RequestSource& source, Frontend& frontend);
  void set_told(Told told) { told_ = std::move(told); }

  // Schedules the first requests; arrivals count from `begin`. Before World::run(), or now.
  void start(Seconds begin = Seconds(0));
  // One of its requests has ended, as Frontend tells it.
  void ended(const Request& request, Seconds at);
  // Sends nothing more and waits for nothing; Frontend::cancel() gives up what is in flight.
  void cancel();

  [[nodiscard]] bool all_sent() const { return exhausted_ && outstanding_ == in_flight_; }
  // Every request has been sent and has ended.
  [[nodiscard]] bool finished() const { return exhausted_ && outstanding_ == 0; }
  // When the latest answer reached its client.
  [[nodiscard]] Seconds last_ended() const { return last_ended_; }
  [[nodiscard]] std::int64_t sent() const { return sent_; }

 private:
  struct Session {
    bool busy = false;          // a turn is in flight, or due to be sent
    bool over = false;          // its client has stopped: later turns are left out
    Seconds last_ended{0};      // of the turn before
    std::deque<Request> turns;  // read, waiting for the turn before them
  };
  struct Release {
    Request request;
    Seconds intended;
  };

  bool read();
  void read_on(Seconds now);
  void arrive(Seconds now);
  void send(Request& request, Seconds intended);
  void release(Request&& request, Seconds at, Seconds intended);
  void release_turn(Session& session, Seconds now);
  Seconds take_produced(Seconds at);
  void next_for_client(Seconds at);
  [[nodiscard]] bool too_late(Seconds at) const { return at >= until_; }
  void retire();
  void tell();

  World& world_;
  Options options_;
  RequestSource& source_;
  Frontend& frontend_;
  Told told_;
  Timer arrival_;
  Agenda<Release> releases_;
  std::unordered_map<std::int64_t, Session> sessions_;
  Request next_;  // read, not sent
  Seconds begin_{0};
  Seconds produced_{0};        // when the next request is made
  std::deque<Seconds> taken_;  // when the latest were taken; fewer than produce_ahead
  Seconds until_{std::numeric_limits<double>::infinity()};
  Seconds last_ended_{0};
  std::int64_t working_ = 0;  // closed loop: clients that go on
  bool exhausted_ = false;    // nothing more will be read
  bool cancelled_ = false;
  std::int64_t outstanding_ = 0;  // sent or due to be sent, not ended
  std::int64_t in_flight_ = 0;    // sent, not ended
  std::int64_t sent_ = 0;
};

}  // namespace kvsim
