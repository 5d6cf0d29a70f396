#include "sim/workload/trace_writer.hpp"

#include <fmt/format.h>

#include "sim/base/config_node.hpp"
#include "sim/base/errors.hpp"

namespace kvsim {

const std::vector<std::string>& trace_writer_names() {
  static const std::vector<std::string> names = {"kvsim", "mooncake"};
  return names;
}

std::unique_ptr<TraceWriter> make_trace_writer(const std::string& format, TraceWriter::Sink sink) {
  if (format == "kvsim") return make_kvsim_writer(std::move(sink));
  if (format == "mooncake") return make_mooncake_writer(std::move(sink));
  throw ConfigError(fmt::format("trace format to write: found \"{}\"; allowed: {}", format,
                                join_names(trace_writer_names())));
}

}  // namespace kvsim
