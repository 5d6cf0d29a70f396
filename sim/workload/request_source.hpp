// A stream of requests: a trace file or a generator. Requests come one at a time, so that a trace
// of any length needs the memory of one request.
#pragma once

#include <string>

#include "sim/workload/request.hpp"

namespace kvsim {

class RequestSource {
 public:
  virtual ~RequestSource() = default;

  // Fills `request` with the next one and returns true, or returns false at the end. Ids count from
  // 0; arrivals never decrease (a source without times gives 0 for all). Turns of a session come in
  // order; a later turn may carry the same arrival as the first: it is sent only after the answer
  // to the turn before it and its think time. Throws TraceError on a bad line.
  [[nodiscard]] virtual bool next(Request& request) = 0;

  // Digest of the decoded requests so far (SHA-256 in hex once the end is reached is what
  // provenance states): equal for a trace and its converted form.
  [[nodiscard]] virtual std::string digest() const = 0;
};

}  // namespace kvsim
