// The errors of live lanes beside the model, as kvsim run prints them.
#include "sim/report/live_table.hpp"

#include <fmt/format.h>

namespace kvsim {

namespace {

std::string percent(const Json& share) {
  return fmt::format("{:.1f} %", 100 * share.get<double>());
}

std::string seconds(const Json& time) {
  const double value = time.get<double>();
  return value < 1e-3 ? fmt::format("{:.1f} us", value * 1e6)
                      : fmt::format("{:.2f} ms", value * 1e3);
}

std::string size(const Json& bytes) {
  const double value = bytes.get<double>();
  constexpr double kMebi = 1 << 20;
  return value < kMebi ? fmt::format("{:.0f} KiB", value / 1024)
                       : fmt::format("{:.3g} MiB", value / kMebi);
}

std::string point_row(const Json& point) {
  const std::string seen =
      point["seen"] == 0 ? "between" : fmt::format("{} x", point["seen"].get<std::int64_t>());
  return fmt::format("      {:<22}{:>12}{:>6}{:>10}{:>13}{:>13}{:>10}\n",
                     point["operation"].get<std::string>(), size(point["bytes"]),
                     point["at_once"].get<std::int64_t>(), seen, seconds(point["measured_s"]),
                     seconds(point["model_s"]), percent(point["error"]));
}

}  // namespace

std::string live_table(const Json& live) {
  std::string out = live["shadow"].get<bool>()
                        ? "  live lanes beside the model (its error: median, p90, bias)\n"
                        : "  live lanes\n";
  for (const Json& lane : live["lanes"]) {
    const std::string name = lane["lane"].get<std::string>();
    const auto operations = lane["operations"].get<std::int64_t>();
    if (!lane.contains("error")) {
      out += fmt::format("    {:<12}{} operations, {} done for real\n", name, operations,
                         lane["done_for_real"].get<std::int64_t>());
      continue;
    }
    const Json& error = lane["error"];
    out += fmt::format("    {:<12}{}, {}, {}; {} operations in the run\n", name,
                       percent(error["median"]), percent(error["p90"]), percent(error["bias"]),
                       operations);
    out += fmt::format("      {:<22}{:>12}{:>6}{:>10}{:>13}{:>13}{:>10}\n", "operation", "bytes",
                       "at once", "in run", "measured", "model", "error");
    for (const Json& point : lane["points"]) out += point_row(point);
  }
  return out;
}

}  // namespace kvsim
