#include "sim/explain/vllm_checks.hpp"

#include <fmt/format.h>

namespace kvsim {

namespace {

class Checks {
 public:
  Checks(const OptionReader& flags, Explanation& out) : flags_(flags), out_(out) {}

  void run() {
    budget();
    lengths();
    connector();
    lmcache();
  }

 private:
  template <class... Facts>
  void complain(fmt::format_string<Facts...> text, Facts&&... facts) {
    out_.contradictions.push_back(fmt::format(text, std::forward<Facts>(facts)...));
  }
  [[nodiscard]] bool given(const char* flag) const { return flags_.given(flag); }
  [[nodiscard]] double number(const char* flag) const { return flags_.number(flag); }

  void budget() {
    if (!given("--max-num-batched-tokens")) return;
    const double tokens = number("--max-num-batched-tokens");
    if (given("--max-num-seqs") && tokens < number("--max-num-seqs"))
      complain(
          "max-num-batched-tokens {:.0f} is less than max-num-seqs {:.0f}: vLLM does not start.",
          tokens, number("--max-num-seqs"));
    if (!flags_.flag("--enable-chunked-prefill") && given("--max-model-len") &&
        tokens < number("--max-model-len"))
      complain(
          "Without chunked prefill max-num-batched-tokens {:.0f} must hold max-model-len "
          "{:.0f}: vLLM does not start.",
          tokens, number("--max-model-len"));
  }

  void lengths() {
    if (!given("--max-model-len")) return;
    const double longest = number("--max-model-len");
    if (number("--long-prefill-token-threshold") > longest)
      complain(
          "long-prefill-token-threshold {:.0f} is more than max-model-len {:.0f}: vLLM does not "
          "start.",
          number("--long-prefill-token-threshold"), longest);
    if (given("--num-gpu-blocks-override")) {
      const double held = number("--num-gpu-blocks-override") * number("--block-size");
      if (held < longest)
        complain(
            "num-gpu-blocks-override holds {:.0f} tokens, less than max-model-len {:.0f}: vLLM "
            "does not start.",
            held, longest);
    }
    const Json connector = out_.config.value("connector", Json::object());
    const double chunk = connector.value("chunk_tokens", 0.0);
    if (chunk > longest)
      complain(
          "max-model-len {:.0f} is smaller than LMCache's chunk of {:.0f} tokens: no chunk ever "
          "fills.",
          longest, chunk);
  }

  void connector() {
    if (!out_.config.contains("connector")) return;
    if (!flags_.flag("--enable-prefix-caching"))
      complain(
          "Prefix caching is off while a connector keeps KV: HBM keeps nothing for reuse, so "
          "every hit is loaded from below.");
    const Json& connector = out_.config["connector"];
    if (connector["kind"] == "native" && !connector.contains("cpu_bytes"))
      complain(
          "The offloading connector has no size in bytes (cpu_bytes_to_use): add "
          "\"cpu_bytes\" to the connector.");
  }

  void lmcache() {
    const Json connector = out_.config.value("connector", Json::object());
    const auto chunk = static_cast<std::int64_t>(connector.value("chunk_tokens", 0.0));
    const auto block = static_cast<std::int64_t>(number("--block-size"));
    if (chunk % block != 0)
      complain("LMCache's chunk of {} tokens is no multiple of the KV block of {}{}.", chunk, block,
               flags_.origin("--block-size"));
    const double pool = connector.value("max_local_cpu_bytes", 0.0);
    const double ranks = out_.config.value("tensor_parallel", 1.0);
    if (pool > 0 && ranks > 1)
      out_.notes.push_back(fmt::format("LMCache's DRAM is of each rank: {:g} x {} = {} a replica.",
                                       ranks, human_bytes(pool), human_bytes(ranks * pool)));
  }

  const OptionReader& flags_;
  Explanation& out_;
};

}  // namespace

void check_vllm(const OptionReader& flags, Explanation& out) { Checks(flags, out).run(); }

}  // namespace kvsim
