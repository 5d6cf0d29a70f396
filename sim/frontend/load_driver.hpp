// The clients: sends the requests of a source, each at its time.
//
// Open loop: at its arrival. Closed loop: N clients, each sends its next request when the answer to
// the one before has come and it has thought. A later turn of a session always waits for the answer
// to the turn before it and its think time, in either loop. A source is read as far as needed: what
// is held are the waiting turns of sessions under way.
#pragma once

#include <deque>
#include <functional>
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
  };

  LoadDriver(World& world, const Options& options, RequestSource& source, Frontend& frontend);

  // Schedules the first requests; before World::run().
  void start();
  // Every request has been sent and has ended.
  [[nodiscard]] bool finished() const { return exhausted_ && outstanding_ == 0; }
  [[nodiscard]] std::int64_t sent() const { return sent_; }

 private:
  struct Session {
    bool busy = false;          // a turn is in flight, or due to be sent
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
  void next_for_client(Seconds at);
  void ended(const Request& request, Seconds at);

  World& world_;
  Options options_;
  RequestSource& source_;
  Frontend& frontend_;
  Timer arrival_;
  Agenda<Release> releases_;
  std::unordered_map<std::int64_t, Session> sessions_;
  Request next_;  // read, not sent
  bool have_next_ = false;
  bool exhausted_ = false;
  std::int64_t outstanding_ = 0;  // sent or due to be sent, not ended
  std::int64_t sent_ = 0;
};

}  // namespace kvsim
