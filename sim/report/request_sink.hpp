// Someone who wants every request as it ends: the writers of requests.csv and result.pb, exports.
#pragma once

#include "sim/base/json.hpp"
#include "sim/report/request_record.hpp"

namespace kvsim {

class RequestSink {
 public:
  virtual ~RequestSink() = default;

  // Called once per request, whatever its outcome, in the order of ending.
  virtual void finished(const RequestRecord& record) = 0;

  // Called once, after the last request: writes what comes last and gives the file its final name.
  // A sink that is destroyed without it leaves no file.
  virtual void close(const Json& summary) = 0;
};

}  // namespace kvsim
