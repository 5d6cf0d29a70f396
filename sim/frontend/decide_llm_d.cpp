// llm-d's deciders (spec/llm_d.md section 8). Its decode replica is chosen first; then
//
//   prefix-based-pd-decider   a prefill replica computes the prompt if at least non_cached_tokens
//                             of it are not cached on the decode replica; 0 = never
//   always-disagg             always
//
// The real one counts tokens as characters / 4.
#include "sim/base/registry.hpp"
#include "sim/frontend/decider.hpp"

namespace kvsim {
namespace {

class PrefixBasedDecider final : public Decider {
 public:
  struct Options {
    std::int64_t non_cached_tokens = 0;
    double characters_per_token = 4;
    template <class F>
    void fields(F& f) {
      f.optional("non_cached_tokens", non_cached_tokens, Range{0, 1e9},
                 "Uncached tokens from which on a prefill replica is used; 0 = never.");
      f.optional("characters_per_token", characters_per_token, Range{0.1, 100},
                 "Of the prompts, which the decider takes for 4. Default: right for English.");
    }
  };
  PrefixBasedDecider(const Options& options, const Context&)
      : needed_(static_cast<double>(options.non_cached_tokens)),
        estimate_(options.characters_per_token / 4.0) {}
  bool remote(const Question& question) override {
    if (needed_ <= 0) return false;
    const double input = static_cast<double>(question.ask.input_tokens) * estimate_;
    const double hit = static_cast<double>(question.hit_tokens) * estimate_;
    return input >= needed_ && input - hit >= needed_;
  }

 private:
  double needed_;
  double estimate_;  // tokens that the decider takes one for
};

class AlwaysDisagg final : public Decider {
 public:
  using Options = NoOptions;
  AlwaysDisagg(const Options&, const Context&) {}
  bool remote(const Question&) override { return true; }
};

const Register<Decider, PrefixBasedDecider> kPrefixBased(
    "prefix-based-pd-decider", "llm-d: prefill elsewhere when enough is not cached.");
const Register<Decider, AlwaysDisagg> kAlways("always-disagg", "llm-d: always prefill elsewhere.");

}  // namespace
}  // namespace kvsim
