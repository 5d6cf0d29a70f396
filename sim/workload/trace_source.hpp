// What every reader of a trace file does the same way: numbers the requests, checks them, digests
// them, and says in a complaint how many came before it.
#pragma once

#include "sim/workload/request_digest.hpp"
#include "sim/workload/request_source.hpp"

namespace kvsim {

class TraceSource : public RequestSource {
 public:
  [[nodiscard]] bool next(Request& request) final;
  [[nodiscard]] std::string digest() const final { return digest_.hex(); }

 protected:
  // Fills in all but the id of a request whose fields hold their defaults, or returns false at the
  // end. `input` may be left 0: it is the sum of the prompt's runs. Throws TraceError.
  [[nodiscard]] virtual bool decode(Request& request) = 0;
  // "file:line" of the request just decoded.
  [[nodiscard]] virtual std::string place() const = 0;

 private:
  void check(Request& request) const;

  RequestDigest digest_;
  std::int64_t used_ = 0;
  Seconds last_arrival_{0};
};

}  // namespace kvsim
