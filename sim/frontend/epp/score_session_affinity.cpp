// session-affinity-scorer (spec/llm_d.md section 4): 1 for the replica that the session's token
// names, else 0. The token comes with the answer and is sent with the next turn: a session's
// replica is the one that it was last sent to. Clients forget no token.
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/frontend/epp/scorer.hpp"
#include "sim/kv/hash_map.hpp"

namespace kvsim {
namespace {

class SessionAffinityScorer final : public EppScorer {
 public:
  using Options = NoOptions;
  SessionAffinityScorer(const Options&, const Context&) {}

  void score(const EppCycle& cycle, std::span<const std::int32_t> candidates,
             std::span<double> scores) override {
    const std::int32_t* home = cycle.ask.session < 0 ? nullptr : homes_.find(key(cycle.ask));
    for (std::size_t i = 0; i < candidates.size(); ++i)
      scores[i] = home != nullptr && candidates[i] == *home ? 1.0 : 0.0;
  }
  void chosen(const EppCycle& cycle, std::int32_t replica) override {
    if (cycle.ask.session >= 0) homes_[key(cycle.ask)] = replica;
  }

 private:
  // mix64 maps only 0 to 0.
  static BlockHash key(const Ask& ask) {
    return mix64(static_cast<std::uint64_t>(ask.session) + 1);
  }
  HashMap<std::int32_t> homes_;
};

const Register<EppScorer, SessionAffinityScorer> kRegistered("session-affinity-scorer",
                                                             "The replica of the turn before.");

}  // namespace
}  // namespace kvsim
