// Opens a trace file of any registered format.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "sim/base/json.hpp"
#include "sim/workload/request_source.hpp"

namespace kvsim {

struct TraceSpec {
  std::string path;
  std::string format = "auto";    // a registered TraceFormat, or told by the first bytes
  Json options = Json::object();  // of that format
  // For messages: the configuration that `format` and `options` stand in.
  std::string config_file = "command line";
  std::string config_path;
  // Gets a line on what is left out; none: standard error.
  std::function<void(const std::string&)> warn;
};

// Throws TraceError (the file) or ConfigError (format, options).
[[nodiscard]] std::unique_ptr<RequestSource> open_trace(const TraceSpec& spec);

}  // namespace kvsim
