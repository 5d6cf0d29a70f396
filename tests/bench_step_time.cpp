// Nanoseconds per step-time call of the fitted model: a decode step of which only the context grew,
// a prefill shape asked for the first time, and one seen before. Not a test: run it by hand.
#include <fmt/format.h>

#include <chrono>

#include "sim/perf/step_context.hpp"

namespace kvsim {
namespace {

template <class Call>
void time_calls(const char* name, std::int64_t calls, const Call& call) {
  double sum = 0;  // keeps the calls from being optimised away
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < calls; ++i) sum += call(i).count();
  const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
  fmt::print("  {:<32}{:>8.1f} ns  (mean step {:.3f} ms)\n", name,
             spent.count() / static_cast<double>(calls), 1e3 * sum / static_cast<double>(calls));
}

void bench(const char* llm, const char* gpu, std::int64_t tensor_parallel) {
  fmt::print("{} on {} x {}\n", llm, tensor_parallel, gpu);
  const auto step = make_step_time("fitted", step_context(llm, gpu, tensor_parallel, "0.15"));
  constexpr std::int64_t kShapes = 8192;
  StepShape decode;
  decode.decode_sequences = decode.sampled = 32;
  decode.decode_context = 32 * 1024;
  decode.decode_window_context = 32 * 128;
  time_calls("decode, context grows", 10'000'000, [&](std::int64_t i) {
    decode.decode_context = (1024 + i % 4096) * decode.decode_sequences;
    return step->gpu(decode) + step->cpu(decode);
  });
  StepShape prefill;
  prefill.prefill_sequences = prefill.sampled = 1;
  const auto prefill_call = [&](std::int64_t i) {
    prefill.prefill_tokens = i % kShapes + 1;
    prefill.prefill_pairs = prefill.prefill_window_pairs =
        0.5 * static_cast<double>(prefill.prefill_tokens * prefill.prefill_tokens);
    return step->gpu(prefill);
  };
  time_calls("prefill shape, first time", kShapes, prefill_call);
  time_calls("prefill shape, seen before", 100 * kShapes, prefill_call);
}

}  // namespace
}  // namespace kvsim

int main() {
#ifndef NDEBUG
  fmt::print("warning: built without NDEBUG; figures are too high\n");
#endif
  kvsim::bench("llama-3.1-8b", "h100-sxm", 1);
  kvsim::bench("deepseek-v3", "h200-sxm", 8);
  kvsim::bench("gpt-oss-20b", "h100-sxm", 1);
}
