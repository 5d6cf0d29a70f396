// A filter of llm-d's endpoint picker. Filters of a profile run in order, each on what the one
// before has left.
#pragma once

#include <vector>

#include "sim/frontend/epp/plugin.hpp"

namespace kvsim {

class EppFilter : public EppPlugin {
 public:
  static constexpr const char* kPlugin = "llm-d filter";
  // Takes replicas out of `candidates`, whose order stays. None left: the request is refused.
  virtual void filter(const EppCycle& cycle, std::vector<std::int32_t>& candidates) = 0;
};

}  // namespace kvsim
