// random-picker and weighted-random-picker (spec/llm_d.md section 4): each replica equally likely,
// or in proportion to its score. The real one gives each the key U^(1 / score) and takes the
// largest (Efraimidis and Spirakis, 2006); the same by logarithms: the smallest -log(U) / score.
#include <cmath>

#include "sim/base/registry.hpp"
#include "sim/frontend/epp/picker.hpp"

namespace kvsim {
namespace {

class RandomPicker final : public EppPicker {
 public:
  using Options = NoOptions;
  RandomPicker(const Options&, const Context&) {}
  std::size_t pick(std::span<const double> scores, Rng& rng) override {
    return static_cast<std::size_t>(rng.below(scores.size()));
  }
};

class WeightedRandomPicker final : public EppPicker {
 public:
  using Options = NoOptions;
  WeightedRandomPicker(const Options&, const Context&) {}
  std::size_t pick(std::span<const double> scores, Rng& rng) override {
    std::size_t best = scores.size();
    double best_key = 0;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (scores[i] <= 0) continue;
      const double key = -std::log1p(-rng.uniform()) / scores[i];
      if (best < scores.size() && key >= best_key) continue;
      best = i;
      best_key = key;
    }
    if (best < scores.size()) return best;
    return static_cast<std::size_t>(rng.below(scores.size()));  // all zero
  }
};

const Register<EppPicker, RandomPicker> kRandom("random-picker", "Each equally likely.");
const Register<EppPicker, WeightedRandomPicker> kWeighted("weighted-random-picker",
                                                          "In proportion to the score.");

}  // namespace
}  // namespace kvsim
