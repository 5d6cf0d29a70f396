#include "sim/base/check.hpp"

namespace kvsim {

CheckContext& check_context() {
  static CheckContext context;
  return context;
}

void check_failed(const char* condition, const char* file, int line, const std::string& facts) {
  const CheckContext& context = check_context();
  std::string text =
      fmt::format("internal error: {} does not hold at {}:{}", condition, file, line);
  if (!facts.empty()) text += ": " + facts;
  if (context.now_s) text += fmt::format("; simulated time {:.9f} s", context.now_s());
  if (!context.replay.empty()) text += "; replay with: " + context.replay;
  throw CheckFailure(text);
}

}  // namespace kvsim
