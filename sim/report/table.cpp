#include "sim/report/table.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "sim/report/kv_map.hpp"
#include "sim/report/live_table.hpp"

namespace kvsim {

namespace {

std::string percent(const Json& share) {
  return share.is_number() ? fmt::format("{:.1f} %", 100 * share.get<double>()) : "-";
}

std::string dollars(const Json& usd) {
  return usd.is_number() ? fmt::format("${:.4g}", usd.get<double>()) : "-";
}

std::string rate(const Json& value) {
  return value.is_number() ? fmt::format("{:.4g}", value.get<double>()) : "-";
}

std::string line(const char* label, const std::string& text) {
  return fmt::format("  {:<12}{}\n", label, text);
}

std::string request_line(const Json& requests) {
  std::string out = fmt::format("{} arrived, {} completed", human_count(requests["arrived"]),
                                human_count(requests["completed"]));
  for (const char* key : {"refused", "failed", "timed_out", "unfinished", "preempted"}) {
    if (requests[key] == 0) continue;
    const std::string name = std::string(key) == "timed_out" ? "timed out" : key;
    out += fmt::format(", {} {}", human_count(requests[key]), name);
  }
  return out;
}

std::string latency_lines(const Json& latencies) {
  static constexpr std::array kColumns{"mean", "p50", "p90", "p95", "p99", "max"};
  std::string out = fmt::format("  {:<12}", "latency");
  for (const char* column : kColumns) out += fmt::format("{:>10}", column);
  out += '\n';
  for (const auto& metric : latencies.items()) {
    out += fmt::format("    {:<10}", metric.key());
    for (const char* column : kColumns)
      out += fmt::format("{:>10}", human_seconds(metric.value()[column]));
    out += '\n';
  }
  return out;
}

std::string cache_line(const Json& cache) {
  std::string out = fmt::format("{} of {} prompt tokens hit", percent(cache["hit_rate"]),
                                human_count(cache["prompt_tokens"]));
  const char* separator = ": ";
  for (const auto& tier : cache["hit_tokens"].items()) {
    out += fmt::format("{}{} {}", separator, tier.key(), human_count(tier.value()));
    separator = ", ";
  }
  return out;
}

std::string breakdown_line(const Json& parts) {
  std::string out;
  const auto add = [&](const std::string& name, const Json& seconds) {
    if (!seconds.is_number() || seconds.get<double>() == 0) return;
    out += fmt::format("{}{} {}", out.empty() ? "" : " + ", name, human_seconds(seconds));
  };
  for (const auto& part : parts.items()) {
    if (!part.value().is_object()) {
      add(part.key(), part.value());
      continue;
    }
    for (const auto& stage : part.value().items()) add("fetch " + stage.key(), stage.value());
  }
  return out.empty() ? "-" : out;
}

// "+12.3 %"; what is lost has a minus.
std::string gain(const Json& gains, const char* key) {
  const Json value = gains.value(key, Json());
  return value.is_number() ? fmt::format("{:+.1f} %", 100 * value.get<double>()) : "-";
}

std::string what_if_lines(const Json& list) {
  std::string out = fmt::format("  {:<17}{:>12}{:>12}{:>16}\n", "what if free", "throughput",
                                "less ttft", "tokens/s/user");
  for (const Json& gains : list) {
    out += fmt::format("    {:<15}", gains["free"].get<std::string>());
    if (gains.contains("error")) {
      out += "failed: " + gains["error"].get<std::string>() + "\n";
      continue;
    }
    out += fmt::format("{:>12}{:>12}{:>16}\n", gain(gains, "throughput_gain"),
                       gain(gains, "ttft_gain"), gain(gains, "tokens_per_user_gain"));
  }
  return out;
}

}  // namespace

std::string human_seconds(const Json& seconds) {
  if (!seconds.is_number()) return "-";
  const double value = seconds.get<double>();
  const double size = std::abs(value);
  if (size >= 1 || size == 0) return fmt::format("{:.4g} s", value);
  if (size >= 1e-3) return fmt::format("{:.4g} ms", value * 1e3);
  return fmt::format("{:.4g} us", value * 1e6);
}

std::string human_count(const Json& count) {
  if (!count.is_number()) return "-";
  const double value = count.get<double>();
  if (value >= 1e9) return fmt::format("{:.4g} G", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.4g} M", value / 1e6);
  std::string digits = fmt::format("{:.0f}", value);
  for (std::size_t place = 3; place < digits.size(); place += 4)
    digits.insert(digits.size() - place, ",");
  return digits;
}

std::string summary_table(const Json& summary) {
  const Json& throughput = summary["throughput"];
  const bool incomplete = summary.value("incomplete", false);
  std::string out = fmt::format("{}{}\n", summary.value("name", "run"),
                                incomplete ? " (INCOMPLETE: cut off before its end)" : "");
  out += line("requests", request_line(summary["requests"]));
  out +=
      line("time", fmt::format("{} simulated, {} measured", human_seconds(summary["simulated_s"]),
                               human_seconds(summary["duration_s"])));
  out += line("throughput", fmt::format("{} requests/s, {} output tokens/s, {} input tokens/s",
                                        rate(throughput["requests_per_s"]),
                                        rate(throughput["output_tokens_per_s"]),
                                        rate(throughput["input_tokens_per_s"])));
  out += latency_lines(summary["latency_s"]);
  out += line("ttft is", breakdown_line(summary["ttft_breakdown_s"]));
  out += line("cache", cache_line(summary["cache"]));
  if (summary["bottleneck"]["resource"].is_string()) {
    out += line("bottleneck",
                fmt::format("{}: {}", summary["bottleneck"]["resource"].get<std::string>(),
                            summary["bottleneck"]["reason"].get<std::string>()));
  }
  if (summary.contains("what_if")) out += what_if_lines(summary["what_if"]);
  if (summary["slo"]["attainment"].is_number()) {
    out += line("slo",
                fmt::format("{} kept it, {} good requests/s", percent(summary["slo"]["attainment"]),
                            rate(summary["slo"]["goodput_requests_per_s"])));
  }
  if (summary["cost"].is_object()) {
    out +=
        line("cost", fmt::format("{} per hour, {} per million output tokens, {} per million tokens",
                                 dollars(summary["cost"]["usd_per_hour"]),
                                 dollars(summary["cost"]["usd_per_million_output_tokens"]),
                                 dollars(summary["cost"]["usd_per_million_tokens"])));
  }
  if (summary.contains("kv_map")) out += kv_map_table(summary["kv_map"]);
  if (summary.contains("live")) out += live_table(summary["live"]);
  for (const Json& warning : summary["warnings"])
    out += line("warning", warning.get<std::string>());
  return out;
}

}  // namespace kvsim
