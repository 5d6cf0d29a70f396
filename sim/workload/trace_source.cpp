#include "sim/workload/trace_source.hpp"

#include <fmt/format.h>

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

std::int64_t tokens_of(const std::vector<ContentRun>& runs) {
  std::int64_t sum = 0;
  for (const ContentRun& run : runs) sum += run.length;
  return sum;
}

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
  if (prompt <= 0) fail("a prompt of 0 tokens", "at least 1");
  if (request.input.count() != prompt)
    fail(fmt::format("content of {} tokens for a prompt of {}", prompt, request.input.count()),
         "as many");
  if (request.output <= Tokens(0)) fail("an answer of 0 tokens", "at least 1");
  const std::int64_t answer = tokens_of(request.answer);
  if (!request.answer.empty() && request.output.count() != answer)
    fail(fmt::format("content of {} tokens for an answer of {}", answer, request.output.count()),
         "as many");
  if (request.arrival < last_arrival_)
    fail(fmt::format("an arrival at {} s after one at {} s", request.arrival.count(),
                     last_arrival_.count()),
         "arrivals that never decrease");
}

}  // namespace kvsim
