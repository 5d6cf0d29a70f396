// Step time linear in the step's shape: for tests, oracles and first sketches. Leaves out
// everything that makes real steps nonlinear.
#include "sim/perf/step_context.hpp"

namespace kvsim {

namespace {

class ConstantStepTime final : public StepTime {
 public:
  struct Options {
    Seconds fixed{0.005};
    Seconds prefill_token{50e-6};
    Seconds decode_sequence{0};
    Seconds context_token{0};
    Seconds cpu{0};
    std::int64_t window = 0;

    template <class F>
    void fields(F& f) {
      f.optional("fixed_s", fixed, Range{0, 1e6}, "Every step.");
      f.optional("prefill_s_per_token", prefill_token, Range{0, 1e6}, "Per new prompt token.");
      f.optional("decode_s_per_sequence", decode_sequence, Range{0, 1e6}, "Per decode.");
      f.optional("decode_s_per_context_token", context_token, Range{0, 1e6},
                 "Per KV token that decodes read.");
      f.optional("cpu_s", cpu, Range{0, 1e6}, "Host time of every step.");
      f.optional("window_tokens", window, Range{0, 1e9}, "Sliding window; 0 = none.");
    }
  };

  ConstantStepTime(const Options& options, const Context&) : options_(options) {}

  [[nodiscard]] Seconds gpu(const StepShape& shape) const override {
    return options_.fixed + options_.prefill_token * static_cast<double>(shape.prefill_tokens) +
           options_.decode_sequence * static_cast<double>(shape.decode_sequences) +
           options_.context_token * static_cast<double>(shape.decode_context);
  }
  [[nodiscard]] Seconds cpu(const StepShape&) const override { return options_.cpu; }
  [[nodiscard]] std::int64_t window() const override { return options_.window; }

 private:
  Options options_;
};

const Register<StepTime, ConstantStepTime> kRegistered("constant",
                                                       "Linear in tokens and sequences.");

}  // namespace

}  // namespace kvsim
