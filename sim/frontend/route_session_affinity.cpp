// Turns of a session go where its first turn went; requests without a session, and first turns, go
// to the replica with the fewest requests in flight. The most recent `sessions` are remembered.
#include <list>
#include <unordered_map>

#include "sim/base/registry.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

class SessionAffinity final : public Router {
 public:
  struct Options {
    std::int64_t sessions = 100'000;
    template <class F>
    void fields(F& f) {
      f.optional("sessions", sessions, Range{1, 1e9}, "Sessions remembered, most recent first.");
    }
  };
  SessionAffinity(const Options& options, const Context&) : options_(options) {}

  Decision route(const Ask& ask, const ClusterView& view) override {
    if (ask.session < 0) return {least_loaded(view)};
    const auto found = by_session_.find(ask.session);
    if (found != by_session_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return {found->second->replica};
    }
    recent_.push_front({ask.session, least_loaded(view)});
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
  };
  static std::int32_t least_loaded(const ClusterView& view) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < view.replicas.size(); ++i)
      if (view.replicas[i].in_flight < view.replicas[best].in_flight) best = i;
    return static_cast<std::int32_t>(best);
  }
  Options options_;
  std::list<Home> recent_;
  std::unordered_map<std::int64_t, std::list<Home>::iterator> by_session_;
};

const Register<Router, SessionAffinity> kRegistered("session-affinity",
                                                    "A session stays where it began.");

}  // namespace
}  // namespace kvsim
