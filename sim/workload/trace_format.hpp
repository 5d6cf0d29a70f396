// A format of trace files: recognises its files by their first bytes and reads them as a stream.
// Each format is a plug-in in a trace_*.cpp that opens with a description and an example.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "sim/base/registry.hpp"
#include "sim/workload/byte_stream.hpp"
#include "sim/workload/request_source.hpp"

namespace kvsim {

struct TraceInput {
  std::unique_ptr<ByteStream> bytes;
  // Takes a line on what a reader leaves out (an unknown key, dropped requests), once each.
  std::function<void(const std::string&)> warn;
};

class TraceFormat {
 public:
  static constexpr const char* kPlugin = "trace format";
  struct Context {};
  virtual ~TraceFormat() = default;

  // `head` is the beginning of the unpacked file, a few KiB or all of it. No two formats recognise
  // the same file.
  [[nodiscard]] virtual bool recognises(std::string_view head) const = 0;
  // Arrivals count from the file's own zero, or from the first request where it has dates.
  [[nodiscard]] virtual std::unique_ptr<RequestSource> open(TraceInput input) const = 0;
};

// The first line of a file, without its end.
[[nodiscard]] inline std::string_view first_line(std::string_view head) {
  return head.substr(0, head.find_first_of("\r\n"));
}

}  // namespace kvsim
