#include "sim/report/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "sim/report/summary.hpp"

namespace kvsim {

namespace {

constexpr const char* kGateForm =
    "\"+5%\" (may rise by 5 %), \"-3%\" (may fall by 3 %) or the same without % in the metric's "
    "unit";

void flatten(const Json& json, const std::string& path, std::vector<Metric>& out) {
  const auto below = [&](const std::string& key) { return path.empty() ? key : path + "." + key; };
  if (json.is_number()) {
    out.push_back({path, json.get<double>()});
  } else if (json.is_object()) {
    for (const auto& item : json.items()) flatten(item.value(), below(item.key()), out);
  } else if (json.is_array()) {
    for (std::size_t i = 0; i < json.size(); ++i) {
      const bool named = json[i].is_object() && json[i].contains("name");
      flatten(json[i], below(named ? json[i]["name"].get<std::string>() : std::to_string(i)), out);
    }
  }
}

const Metric* find(const std::vector<Metric>& metrics, const std::string& path) {
  const auto found = std::find_if(metrics.begin(), metrics.end(),
                                  [&](const Metric& metric) { return metric.path == path; });
  return found == metrics.end() ? nullptr : &*found;
}

// How many single-character edits turn one text into the other.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::vector<std::string> closest_names(const std::vector<Metric>& metrics,
                                       const std::string& path) {
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (const Metric& metric : metrics)
    ranked.emplace_back(edit_distance(metric.path, path), metric.path);
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  constexpr std::size_t kShown = 5;
  std::vector<std::string> out;
  for (const auto& [distance, name] : ranked) {
    if (out.size() < kShown) out.push_back(name);
  }
  return out;
}

double number_at(const NamedSummary& summary, const std::vector<Metric>& metrics,
                 const std::string& path) {
  const Metric* metric = find(metrics, path);
  if (metric != nullptr) return metric->value;
  throw ConfigError(fmt::format("{}: found no number \"{}\" that a gate names; allowed: {}, ...",
                                summary.file, path, join_names(closest_names(metrics, path))));
}

void expect_complete(const NamedSummary& summary) {
  if (!summary.json.value("incomplete", false)) return;
  throw ConfigError(fmt::format(
      "{}: found the summary of an incomplete run; allowed: runs that came to their end",
      summary.file));
}

bool passes(const Gate& gate, double base, double candidate) {
  const double room = gate.relative ? gate.bound * std::abs(base) : gate.bound;
  // Values that went through text differ in the last digit where they should be equal.
  const double slack = 1e-12 * std::abs(base);
  const double rise = candidate - base;
  return (gate.rising ? rise : -rise) <= room + slack;
}

std::string change(const Comparison& row) {
  if (row.base == row.candidate) return "0";
  if (row.base == 0) return fmt::format("{:+.4g}", row.candidate);
  return fmt::format("{:+.2f} %", 100 * (row.candidate - row.base) / std::abs(row.base));
}

std::string escape_xml(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

}  // namespace

std::vector<Metric> flatten_numbers(const Json& summary) {
  std::vector<Metric> out;
  flatten(summary, "", out);
  return out;
}

std::vector<Gate> read_gates(const ConfigNode& gates) {
  gates.expect_object();
  if (gates.json().empty()) gates.fail("no gate", "an object of summary paths and bounds");
  std::vector<Gate> out;
  for (const auto& item : gates.json().items()) {
    const ConfigNode node = gates.at(item.key());
    if (!node.json().is_string()) node.fail(node.found(), kGateForm);
    Gate gate{.path = item.key(), .text = node.text()};
    std::string_view text = gate.text;
    gate.relative = !text.empty() && text.back() == '%';
    if (gate.relative) text.remove_suffix(1);
    if (text.empty() || (text.front() != '+' && text.front() != '-'))
      node.fail(node.found(), kGateForm);
    gate.rising = text.front() == '+';
    text.remove_prefix(1);
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, gate.bound);
    if (parsed.ec != std::errc() || parsed.ptr != end || !(gate.bound >= 0) ||
        !std::isfinite(gate.bound))
      node.fail(node.found(), kGateForm);
    if (gate.relative) gate.bound /= 100;
    out.push_back(std::move(gate));
  }
  return out;
}

std::vector<Comparison> check_gates(const NamedSummary& base, const NamedSummary& candidate,
                                    const std::vector<Gate>& gates) {
  expect_complete(base);
  expect_complete(candidate);
  const std::vector<Metric> before = flatten_numbers(base.json);
  const std::vector<Metric> after = flatten_numbers(candidate.json);
  std::vector<Comparison> out;
  for (const Gate& gate : gates) {
    const double from = number_at(base, before, gate.path);
    const double to = number_at(candidate, after, gate.path);
    out.push_back({gate.path, from, to, gate.text, passes(gate, from, to)});
  }
  return out;
}

std::vector<Comparison> compare_usual(const NamedSummary& base, const NamedSummary& candidate) {
  static constexpr const char* kUsual[] = {"requests.completed",
                                           "requests.failed",
                                           "requests.refused",
                                           "requests.timed_out",
                                           "requests.preempted",
                                           "throughput.requests_per_s",
                                           "throughput.output_tokens_per_s",
                                           "latency_s.ttft.mean",
                                           "latency_s.ttft.p50",
                                           "latency_s.ttft.p99",
                                           "latency_s.itl.p50",
                                           "latency_s.itl.p99",
                                           "latency_s.tpot.mean",
                                           "latency_s.e2e.mean",
                                           "latency_s.e2e.p99",
                                           "cache.hit_rate",
                                           "slo.attainment",
                                           "slo.goodput_requests_per_s",
                                           "cost.usd_per_million_tokens"};
  const std::vector<Metric> before = flatten_numbers(base.json);
  const std::vector<Metric> after = flatten_numbers(candidate.json);
  std::vector<Comparison> out;
  for (const char* path : kUsual) {
    const Metric* from = find(before, path);
    const Metric* to = find(after, path);
    if (from != nullptr && to != nullptr) out.push_back({path, from->value, to->value, "", true});
  }
  return out;
}

std::string to_markdown(const std::vector<Comparison>& rows) {
  std::string out = "| metric | base | candidate | change | gate | pass |\n";
  out += "|---|---:|---:|---:|---:|---|\n";
  for (const Comparison& row : rows) {
    const char* pass = row.gate.empty() ? "" : row.passed ? "yes" : "**no**";
    out += fmt::format("| {} | {:.6g} | {:.6g} | {} | {} | {} |\n", row.path, row.base,
                       row.candidate, change(row), row.gate, pass);
  }
  return out;
}

std::string to_junit(const std::vector<Comparison>& rows) {
  const auto failures =
      std::count_if(rows.begin(), rows.end(), [](const Comparison& row) { return !row.passed; });
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  out += fmt::format("<testsuite name=\"kvsim compare\" tests=\"{}\" failures=\"{}\">\n",
                     rows.size(), failures);
  for (const Comparison& row : rows) {
    out += fmt::format("  <testcase classname=\"kvsim\" name=\"{}\"", escape_xml(row.path));
    if (row.passed) {
      out += "/>\n";
      continue;
    }
    out += fmt::format(
        ">\n    <failure message=\"{:.6g} became {:.6g} ({}); gate {}\"/>\n  </testcase>\n",
        row.base, row.candidate, change(row), escape_xml(row.gate));
  }
  return out + "</testsuite>\n";
}

NamedSummary load_summary(const std::string& path) {
  std::error_code ignored;
  const bool folder = std::filesystem::is_directory(path, ignored);
  NamedSummary out;
  out.file = folder ? (std::filesystem::path(path) / "summary.json").string() : path;
  out.json = load_json(out.file);
  const ConfigNode root(out.json, out.file);
  root.expect_object();
  if (!root.has("schema")) root.fail("no \"schema\"", kSummarySchema);
  if (root.at("schema").json() != kSummarySchema)
    root.at("schema").fail(root.at("schema").found(), kSummarySchema);
  return out;
}

}  // namespace kvsim
