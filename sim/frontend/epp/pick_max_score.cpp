// max-score-picker (spec/llm_d.md sections 1 and 4): the highest score. The real one shuffles, then
// sorts stably: of equals each is equally likely.
#include "sim/base/registry.hpp"
#include "sim/frontend/epp/picker.hpp"

namespace kvsim {
namespace {

class MaxScorePicker final : public EppPicker {
 public:
  using Options = NoOptions;
  MaxScorePicker(const Options&, const Context&) {}
  std::size_t pick(std::span<const double> scores, Rng& rng) override {
    std::size_t best = 0;
    std::uint64_t equals = 1;
    for (std::size_t i = 1; i < scores.size(); ++i) {
      if (scores[i] > scores[best]) {
        best = i;
        equals = 1;
      } else if (scores[i] == scores[best] && rng.below(++equals) == 0) {
        best = i;
      }
    }
    return best;
  }
};

const Register<EppPicker, MaxScorePicker> kRegistered("max-score-picker",
                                                      "The highest score; ties at random.");

}  // namespace
}  // namespace kvsim
