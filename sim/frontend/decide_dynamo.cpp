// Conditional disaggregation of Dynamo v1.5 (spec/dynamo.md section 4): the decode replica computes
// the prompt itself
//
//   isl-bounding  when little of it is missing there: eff < eff_isl_threshold and
//                 eff / n < eff_isl_ratio_threshold, eff = n less what is cached there
//   prefill-load  when the prefill replica that would be chosen has more prefill tokens than
//                 prefill_busy_threshold times its step's budget
//   isl-or-load   when either holds
//
// but never while it is above decode_busy_threshold (a share of its KV blocks, prompts of what is
// in flight there and this one; unset = not looked at). Prefill tokens are whole prompts without a
// first token, where the real router leaves out what it believes cached.
#include "sim/base/registry.hpp"
#include "sim/frontend/decider.hpp"

namespace kvsim {
namespace {

struct IslOptions {
  std::int64_t eff_isl_threshold = 2048;
  double eff_isl_ratio_threshold = 0.7;
  template <class F>
  void fields(F& f) {
    f.optional("eff_isl_threshold", eff_isl_threshold, Range{0, 1e9},
               "Uncached tokens from which a prompt goes to a prefill replica.");
    f.optional("eff_isl_ratio_threshold", eff_isl_ratio_threshold, Range{0, 1e6},
               "Uncached share from which it does.");
  }
  [[nodiscard]] bool local(const Decider::Question& question) const {
    const std::int64_t missing = question.ask.input_tokens - question.hit_tokens;
    return missing < eff_isl_threshold &&
           static_cast<double>(missing) <
               eff_isl_ratio_threshold * static_cast<double>(question.ask.input_tokens);
  }
};

struct LoadOptions {
  double prefill_busy_threshold = 0;
  template <class F>
  void fields(F& f) {
    f.required("prefill_busy_threshold", prefill_busy_threshold, Range{0, 1e6},
               "Prefill tokens, as a multiple of max_num_batched_tokens, above which a prefill "
               "replica is busy.");
  }
  [[nodiscard]] bool local(const Decider::Question& question,
                           const Decider::Context& context) const {
    const auto replica = static_cast<std::size_t>(question.prefill);
    return static_cast<double>(question.prefill_view.replicas[replica].prefill_tokens) >
           prefill_busy_threshold *
               static_cast<double>(context.prefill[replica].max_batched_tokens);
  }
};

struct DecodeGate {
  std::optional<double> threshold;
  template <class F>
  void fields(F& f) {
    f.optional("decode_busy_threshold", threshold, Range{0, 1e6},
               "Share of a decode replica's KV blocks above which it computes no prompts.");
  }
  [[nodiscard]] bool closed(const Decider::Question& question,
                            const Decider::Context& context) const {
    if (!threshold) return false;
    const auto replica = static_cast<std::size_t>(question.decode);
    const ReplicaFacts& facts = context.decode[replica];
    const std::int64_t tokens =
        question.decode_view.replicas[replica].in_flight_tokens + question.ask.input_tokens;
    return static_cast<double>(tokens) >
           *threshold * static_cast<double>(facts.kv_blocks * facts.block_tokens);
  }
};

class IslBounding final : public Decider {
 public:
  struct Options {
    IslOptions isl;
    DecodeGate gate;
    template <class F>
    void fields(F& f) {
      isl.fields(f);
      gate.fields(f);
    }
  };
  IslBounding(const Options& options, const Context& context)
      : options_(options), context_(context) {}
  bool remote(const Question& question) override {
    return !options_.isl.local(question) || options_.gate.closed(question, context_);
  }

 private:
  Options options_;
  Context context_;
};

template <bool kOrIsl>
class PrefillLoad final : public Decider {
 public:
  struct Options {
    IslOptions isl;
    LoadOptions load;
    DecodeGate gate;
    template <class F>
    void fields(F& f) {
      if constexpr (kOrIsl) isl.fields(f);
      load.fields(f);
      gate.fields(f);
    }
  };
  PrefillLoad(const Options& options, const Context& context)
      : options_(options), context_(context) {}
  bool remote(const Question& question) override {
    const bool local =
        (kOrIsl && options_.isl.local(question)) || options_.load.local(question, context_);
    return !local || options_.gate.closed(question, context_);
  }

 private:
  Options options_;
  Context context_;
};

const Register<Decider, IslBounding> kIsl("isl-bounding",
                                          "Short uncached rests stay on the decode replica.");
const Register<Decider, PrefillLoad<false>> kLoad(
    "prefill-load", "Prompts stay on the decode replica while prefill is busy.");
const Register<Decider, PrefillLoad<true>> kEither("isl-or-load",
                                                   "Both reasons to stay on the decode replica.");

}  // namespace
}  // namespace kvsim
