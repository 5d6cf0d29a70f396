#include "sim/frontend/load_driver.hpp"

#include <algorithm>

namespace kvsim {

LoadDriver::LoadDriver(World& world, const Options& options, RequestSource& source,
                       Frontend& frontend)
    : world_(world),
      options_(options),
      source_(source),
      frontend_(frontend),
      arrival_(world, Priority::kClient, call<&LoadDriver::arrive>(), this),
      releases_(world, Priority::kClient,
                [this](Release& release, Seconds) { send(release.request, release.intended); }) {
  frontend_.set_ended([this](const Request& request, Seconds at) { ended(request, at); });
}

void LoadDriver::start() {
  if (options_.clients == 0) {
    read_on(Seconds(0));
    return;
  }
  for (std::int64_t i = 0; i < options_.clients; ++i) next_for_client(Seconds(0));
}

bool LoadDriver::read() {
  if (exhausted_) return false;
  have_next_ = source_.next(next_);
  exhausted_ = !have_next_;
  return have_next_;
}

// Open loop: reads until a request that is to be sent later.
void LoadDriver::read_on(Seconds now) {
  while (read()) {
    if (next_.session >= 0) {
      Session& session = sessions_[next_.session];
      if (session.busy || next_.turn > 0) {
        session.turns.push_back(std::move(next_));
        ++outstanding_;
        if (!session.busy) release_turn(session, now);
        continue;
      }
      session.busy = true;
    }
    ++outstanding_;
    arrival_.set(std::max(now, next_.arrival));
    return;
  }
}

void LoadDriver::arrive(Seconds now) {
  send(next_, next_.arrival);
  read_on(now);
  if (finished()) world_.stop();  // the last one ended at once: refused, or nobody was there
}

void LoadDriver::send(Request& request, Seconds intended) {
  ++sent_;
  frontend_.arrive(request, intended);
}

void LoadDriver::release(Request&& request, Seconds at, Seconds intended) {
  releases_.add(std::max(at, world_.now()), {std::move(request), intended});
}

// The turn before has ended: the next one goes out after its think time, not before its arrival.
void LoadDriver::release_turn(Session& session, Seconds now) {
  Request turn = std::move(session.turns.front());
  session.turns.pop_front();
  session.busy = true;
  const Seconds open = options_.clients > 0 ? Seconds(0) : turn.arrival;
  const Seconds at = std::max({session.last_ended + turn.think, open, now});
  // What the client intends is to go on after its own pause: that is no delay of its sending.
  release(std::move(turn), at, at);
}

// Closed loop: the client takes the next request that nobody else's session owns.
void LoadDriver::next_for_client(Seconds at) {
  while (read()) {
    if (next_.session >= 0) {
      Session& session = sessions_[next_.session];
      if (session.busy) {
        session.turns.push_back(std::move(next_));
        ++outstanding_;
        continue;
      }
      session.busy = true;
      if (next_.turn > 0) {  // its turn before ended before this one was read
        session.turns.push_back(std::move(next_));
        ++outstanding_;
        release_turn(session, at);
        return;
      }
    }
    ++outstanding_;
    release(std::move(next_), at, at);
    return;
  }
}

void LoadDriver::ended(const Request& request, Seconds at) {
  --outstanding_;
  if (request.session >= 0) {
    Session& session = sessions_[request.session];
    session.busy = false;
    session.last_ended = at;
    if (!session.turns.empty()) {
      release_turn(session, at);
      return;
    }
    if (request.last_turn) sessions_.erase(request.session);
  }
  if (options_.clients > 0) next_for_client(at + options_.think);
  if (finished()) world_.stop();
}

}  // namespace kvsim
