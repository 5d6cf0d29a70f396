// Whether a request may be routed now: gateways and routers hold requests back, or refuse them,
// while the replicas are busy (spec/dynamo.md section 3, spec/llm_d.md section 7). Sees what a
// router sees.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/frontend/router.hpp"

namespace kvsim {

class Admission {
 public:
  static constexpr const char* kPlugin = "admission";
  struct Context {
    std::uint64_t seed = 1;
    std::vector<ReplicaFacts> replicas;
  };
  enum class Verdict : std::uint8_t { kAdmit, kHold, kRefuse };
  virtual ~Admission() = default;

  [[nodiscard]] virtual bool needs_gauges() const { return false; }
  // A request has come. kHold: it is queued here, by Ask::number, until next() names it or gone().
  // The ask's prompt_hashes may not be kept.
  [[nodiscard]] virtual Verdict admit(const Ask& ask, const ClusterView& view) = 0;
  // Which of the held goes on now; called again until it says none, whenever the load may have
  // changed: a first token, an end, a scrape.
  [[nodiscard]] virtual std::optional<std::int64_t> next(const ClusterView& view) = 0;
  // Which of the held has waited too long and is refused now; asked until it says none, every
  // sweep_period() while requests are held (0 = never).
  [[nodiscard]] virtual Seconds sweep_period() const { return Seconds(0); }
  [[nodiscard]] virtual std::optional<std::int64_t> expired(Seconds /*now*/) {
    return std::nullopt;
  }
  // A held request has gone away: its client gave up.
  virtual void gone(std::int64_t number) = 0;
  [[nodiscard]] virtual std::int64_t held() const = 0;
};

}  // namespace kvsim
