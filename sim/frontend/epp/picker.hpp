// The picker of a profile of llm-d's endpoint picker: from weighted scores to one replica.
#pragma once

#include <span>

#include "sim/base/rng.hpp"
#include "sim/frontend/epp/plugin.hpp"

namespace kvsim {

class EppPicker : public EppPlugin {
 public:
  static constexpr const char* kPlugin = "llm-d picker";
  // An index into `scores`, which is not empty; scores are weighted sums, >= 0.
  [[nodiscard]] virtual std::size_t pick(std::span<const double> scores, Rng& rng) = 0;
};

}  // namespace kvsim
