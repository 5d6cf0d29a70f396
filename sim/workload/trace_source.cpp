#include "sim/workload/trace_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/base/errors.hpp"

namespace kvsim {

namespace {

// The defaults, but with the memory of the vectors.
void clear(Request& request) {
  Request fresh;
  fresh.prompt.swap(request.prompt);
  fresh.answer.swap(request.answer);
  fresh.prompt.clear();
  fresh.answer.clear();
  request = std::move(fresh);
}

// No context comes near; sums and sizes that follow from it stay far from overflow.
constexpr std::int64_t kMostTokens = 1'000'000'000;
constexpr std::int64_t kMostSessions = std::int64_t{1} << 53;

// At most a little above kMostTokens when there are more.
std::int64_t tokens_of(const std::vector<ContentRun>& runs) {
  std::int64_t sum = 0;
  for (const ContentRun& run : runs) sum += std::min(run.length, kMostTokens - sum + 1);
  return sum;
}

bool is_time(Seconds value) { return value >= Seconds(0) && std::isfinite(value.count()); }

}  // namespace

bool TraceSource::next(Request& request) {
  clear(request);
  try {
    if (!decode(request)) {
      if (used_ > 0) return false;
      throw TraceError(place() + ": found no requests; allowed: at least one");
    }
    check(request);
  } catch (const TraceError& error) {
    throw TraceError(fmt::format("{} ({} requests were used before it)", error.what(), used_));
  }
  request.id = used_++;
  last_arrival_ = request.arrival;
  digest_.add(request);
  return true;
}

void TraceSource::check(Request& request) const {
  const std::int64_t prompt = tokens_of(request.prompt);
  if (request.input == Tokens(0)) request.input = Tokens(prompt);
  const auto fail = [&](const std::string& found, const char* allowed) {
    throw TraceError(fmt::format("{}: found {}; allowed: {}", place(), found, allowed));
  };
  const auto check_length = [&](const char* what, std::int64_t tokens) {
    if (tokens <= 0 || tokens > kMostTokens)
      fail(fmt::format("{} of {} tokens", what, tokens), "1 to 1,000,000,000");
  };
  check_length("a prompt", prompt);
  if (request.input.count() != prompt)
    fail(fmt::format("content of {} tokens for a prompt of {}", prompt, request.input.count()),
         "as many");
  check_length("an answer", request.output.count());
  const std::int64_t answer = tokens_of(request.answer);
  if (!request.answer.empty() && request.output.count() != answer)
    fail(fmt::format("content of {} tokens for an answer of {}", answer, request.output.count()),
         "as many");
  if (!is_time(request.arrival) || !is_time(request.think))
    fail(fmt::format("an arrival at {} s and a think time of {} s", request.arrival.count(),
                     request.think.count()),
         "times of at least 0");
  if (request.session < -1 || request.session > kMostSessions || request.turn < 0 ||
      (request.turn > 0 && request.session < 0))
    fail(fmt::format("turn {} of session {}", request.turn, request.session),
         "turns from 0 of sessions from 0");
  if (request.arrival < last_arrival_)
    fail(fmt::format("an arrival at {} s after one at {} s", request.arrival.count(),
                     last_arrival_.count()),
         "arrivals that never decrease");
}

}  // namespace kvsim
