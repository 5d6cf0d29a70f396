#include "sim/workload/open_trace.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "sim/base/errors.hpp"
#include "sim/workload/line_reader.hpp"
#include "sim/workload/trace_format.hpp"

namespace kvsim {

namespace {

constexpr std::size_t kHeadBytes = 16 * 1024;

std::string recognise(ByteStream& bytes) {
  const std::string_view head = bytes.peek().substr(0, kHeadBytes);
  const auto& registry = Registry<TraceFormat>::instance();
  for (const auto& [name, entry] : registry.entries()) {
    const Json kind = name;
    const auto format = entry.make(ConfigNode(kind, bytes.name()), {});
    if (format->recognises(head)) return name;
  }
  throw TraceError(fmt::format("{}:1: found {}; allowed: a trace of the format {}", bytes.name(),
                               quoted(first_line(head)), join_names(registry.names())));
}

}  // namespace

std::unique_ptr<RequestSource> open_trace(const TraceSpec& spec) {
  const auto& registry = Registry<TraceFormat>::instance();
  const Json format = spec.format;
  if (spec.format != "auto")
    static_cast<void>(
        registry.find(ConfigNode(format, spec.config_file, spec.config_path + "/format")));
  const ConfigNode options(spec.options, spec.config_file, spec.config_path + "/options");
  options.expect_object();

  auto bytes = ByteStream::open(spec.path);
  Json plugin = {{"kind", spec.format == "auto" ? recognise(*bytes) : spec.format}};
  plugin.update(spec.options);
  const auto reader =
      registry.make(ConfigNode(plugin, options.file(), options.path()), TraceFormat::Context{});
  auto warn = spec.warn;
  if (!warn) warn = [](const std::string& line) { fmt::print(stderr, "warning: {}\n", line); };
  return reader->open({std::move(bytes), std::move(warn)});
}

}  // namespace kvsim
