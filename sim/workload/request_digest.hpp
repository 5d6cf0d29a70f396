// SHA-256 of decoded requests: equal for equal workloads, whatever file or generator they came
// from.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "sim/workload/request.hpp"

namespace kvsim {

class RequestDigest {
 public:
  RequestDigest();
  ~RequestDigest();
  RequestDigest(RequestDigest&&) noexcept;
  RequestDigest& operator=(RequestDigest&&) noexcept;

  // Everything but the id, which is the position. O(runs); hashed in batches of some 64 KiB.
  void add(const Request& request);
  // Of all requests so far, in hex. Does not end the digest.
  [[nodiscard]] std::string hex() const;

 private:
  struct State;
  void flush();

  std::unique_ptr<State> state_;
  std::string batch_;
};

}  // namespace kvsim
