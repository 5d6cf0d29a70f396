// What scorers, filters and pickers of llm-d's endpoint picker have in common, and what they see of
// one scheduling cycle (spec/llm_d.md sections 1 to 4).
#pragma once

#include <algorithm>
#include <span>

#include "sim/frontend/router.hpp"

namespace kvsim {

struct ApproximatePrefixOptions;
struct PrecisePrefixOptions;

// One request being placed. Prefix matches are computed once and shared by all plug-ins.
struct EppCycle {
  const Ask& ask;
  const ClusterView& view;
  // By replica: the share of the prompt's blocks believed cached there, 0..1. Empty when no plug-in
  // of the profile asks for it.
  std::span<const double> approximate;
  std::span<const double> precise;

  // For plug-ins that take whichever match there is.
  [[nodiscard]] std::span<const double> prefix() const {
    return approximate.empty() ? precise : approximate;
  }
  [[nodiscard]] double prefix(std::int32_t replica) const {
    const std::span<const double> shares = prefix();
    return shares.empty() ? 0.0 : shares[static_cast<std::size_t>(replica)];
  }
  [[nodiscard]] const ReplicaView& replica(std::int32_t number) const {
    return view.replicas[static_cast<std::size_t>(number)];
  }
};

class EppPlugin {
 public:
  using Context = Router::Context;
  virtual ~EppPlugin() = default;

  [[nodiscard]] virtual bool needs_gauges() const { return false; }
  // Any match will do; approximate with standard options when no other plug-in states one.
  [[nodiscard]] virtual bool needs_prefix() const { return false; }
  // Options of the match that it brings; null = none.
  [[nodiscard]] virtual const ApproximatePrefixOptions* approximate() const { return nullptr; }
  [[nodiscard]] virtual const PrecisePrefixOptions* precise() const { return nullptr; }

  // The request goes to `replica` (llm-d's PreRequest).
  virtual void chosen(const EppCycle& /*cycle*/, std::int32_t /*replica*/) {}
  // The replica has lost its cache or is gone.
  virtual void lost(std::int32_t /*replica*/) {}
};

}  // namespace kvsim
