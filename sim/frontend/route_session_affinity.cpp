// Turns of a session go where its first turn went; requests without a session, first turns, and
// turns whose replica is not ready go to the replica with the fewest requests in flight. The most
// recent `sessions` are remembered, each for `ttl_s` after its last turn.
#include <list>
#include <unordered_map>

#include "sim/base/registry.hpp"
#include "sim/frontend/ready.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

class SessionAffinity final : public Router {
 public:
  struct Options {
    std::int64_t sessions = 100'000;
    Seconds ttl{0};
    template <class F>
    void fields(F& f) {
      f.optional("sessions", sessions, Range{1, 1e9}, "Sessions remembered, most recent first.");
      f.optional("ttl_s", ttl, Range{0, 1e9},
                 "A session without a turn for so long is forgotten; 0 = never.");
    }
  };
  SessionAffinity(const Options& options, const Context&) : options_(options) {}

  Decision route(const Ask& ask, const ClusterView& view) override {
    if (ask.session < 0) return {least_loaded(view)};
    const auto found = by_session_.find(ask.session);
    if (found != by_session_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      Home& home = *found->second;
      if (!holds(home, view)) home.replica = least_loaded(view);
      home.last_turn = view.now;
      return {home.replica};
    }
    recent_.push_front({ask.session, least_loaded(view), view.now});
    by_session_[ask.session] = recent_.begin();
    if (static_cast<std::int64_t>(recent_.size()) > options_.sessions) {
      by_session_.erase(recent_.back().session);
      recent_.pop_back();
    }
    return {recent_.front().replica};
  }

 private:
  struct Home {
    std::int64_t session;
    std::int32_t replica;
    Seconds last_turn;
  };
  [[nodiscard]] bool holds(const Home& home, const ClusterView& view) const {
    const bool expired = options_.ttl > Seconds{0} && view.now >= home.last_turn + options_.ttl;
    return !expired && home.replica >= 0 &&
           view.replicas[static_cast<std::size_t>(home.replica)].ready;
  }
  // The first of equals.
  static std::int32_t least_loaded(const ClusterView& view) {
    const auto any = [](std::size_t) { return true; };
    return to_replica(least_in_flight(view, view.replicas.size() - 1, any)).replica;
  }
  Options options_;
  std::list<Home> recent_;
  std::unordered_map<std::int64_t, std::list<Home>::iterator> by_session_;
};

const Register<Router, SessionAffinity> kRegistered("session-affinity",
                                                    "A session stays where it began.");

}  // namespace
}  // namespace kvsim
