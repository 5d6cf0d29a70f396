#include "sim/store/store.hpp"

namespace kvsim {

void StageTimes::add(const StageTimes& other) {
  for (std::size_t i = 0; i < kStages; ++i) seconds[i] += other.seconds[i];
}

StageTimes StageTimes::split_over(Seconds elapsed) const {
  Seconds sum{0};
  for (const Seconds part : seconds) sum += part;
  StageTimes out;
  if (sum <= Seconds(0)) {
    out[Stage::kClient] = elapsed;
    return out;
  }
  for (std::size_t i = 0; i < kStages; ++i) out.seconds[i] = seconds[i] * (elapsed / sum);
  return out;
}

}  // namespace kvsim
