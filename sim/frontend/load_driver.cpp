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
      releases_(world, Priority::kClient, [this](Release& release, Seconds) {
        if (cancelled_) return;
        send(release.request, release.intended);
        tell();
      }) {}

void LoadDriver::start(Seconds begin) {
  begin_ = begin;
  if (options_.clients == 0) {
    read_on(begin);
    return;
  }
  until_ = begin + options_.duration;
  working_ = options_.clients;
  produced_ = begin;
  for (std::int64_t i = 0; i < options_.clients; ++i) next_for_client(begin);
}

void LoadDriver::cancel() {
  cancelled_ = true;
  exhausted_ = true;
  outstanding_ = in_flight_ = 0;
  arrival_.cancel();
  sessions_.clear();
}

bool LoadDriver::read() {
  if (exhausted_) return false;
  exhausted_ = !source_.next(next_);
  return !exhausted_;
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
    arrival_.set(std::max(now, begin_ + next_.arrival));
    return;
  }
}

void LoadDriver::arrive(Seconds now) {
  send(next_, begin_ + next_.arrival);
  read_on(now);
  tell();  // the last one may have ended at once: refused, or nobody was there
}

void LoadDriver::send(Request& request, Seconds intended) {
  ++sent_;
  ++in_flight_;
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
  const Seconds open = options_.clients > 0 ? Seconds(0) : begin_ + turn.arrival;
  const Seconds at = std::max({session.last_ended + turn.think, open, now});
  if (too_late(at)) {
    session.over = true;
    outstanding_ -= 1 + static_cast<std::int64_t>(session.turns.size());
    session.turns.clear();
    retire();
    return;
  }
  // What the client intends is to go on after its own pause: that is no delay of its sending.
  release(std::move(turn), at, at);
}

// Closed loop: when a client that asks now gets a request. The next one is begun when this one is
// made and there is a place for it: when the one `produce_ahead` before it has been taken.
Seconds LoadDriver::take_produced(Seconds at) {
  if (options_.produce <= Seconds(0)) return at;
  at = std::max(at, produced_);
  taken_.push_back(at);
  if (static_cast<std::int64_t>(taken_.size()) == options_.produce_ahead) {
    produced_ = std::max(produced_, taken_.front());
    taken_.pop_front();
  }
  produced_ = produced_ + options_.produce;
  return at;
}

// Closed loop: the client takes the next request that nobody else's session owns.
void LoadDriver::next_for_client(Seconds at) {
  at = take_produced(at);
  if (too_late(at)) return retire();
  while (read()) {
    if (next_.session >= 0) {
      Session& session = sessions_[next_.session];
      if (session.over) continue;
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

// A client stops because its time is over; the last one takes the rest of the source with it.
void LoadDriver::retire() {
  if (--working_ == 0) exhausted_ = true;
}

void LoadDriver::ended(const Request& request, Seconds at) {
  --outstanding_;
  --in_flight_;
  last_ended_ = std::max(last_ended_, at);
  const auto found = request.session < 0 ? sessions_.end() : sessions_.find(request.session);
  bool goes_on = false;
  if (found != sessions_.end()) {
    Session& session = found->second;
    session.busy = false;
    session.last_ended = at;
    goes_on = !session.turns.empty();
    if (goes_on) {
      release_turn(session, at);
    } else if (request.last_turn) {
      sessions_.erase(found);
    }
  }
  if (!goes_on && options_.clients > 0) next_for_client(at + options_.think);
  tell();
}

void LoadDriver::tell() {
  if (told_.all_sent && all_sent()) told_.all_sent();
  if (told_.finished && finished()) told_.finished();
}

}  // namespace kvsim
