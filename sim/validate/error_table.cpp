#include "sim/validate/error_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <tuple>

#include "sim/base/quantile.hpp"

namespace kvsim {

namespace {

std::string grade_of(std::string_view completeness) {
  if (completeness == "A" || completeness == "A-") return "A";
  return completeness == "B" ? "B" : "other";
}

bool is_tail(std::string_view stat) {
  if (stat == "max") return true;
  if (stat.empty() || stat.front() != 'p') return false;
  int percent = 0;
  std::from_chars(stat.data() + 1, stat.data() + stat.size(), percent);
  constexpr int kTail = 75;
  return percent > kTail;
}

constexpr std::array kGroups = {"all", "study", "gpu", "model"};

}  // namespace

ErrorSummary summarise(std::vector<double> signed_percent) {
  ErrorSummary out;
  out.count = signed_percent.size();
  if (signed_percent.empty()) return out;
  std::vector<double> sizes;
  for (const double error : signed_percent) sizes.push_back(std::abs(error));
  std::sort(signed_percent.begin(), signed_percent.end());
  std::sort(sizes.begin(), sizes.end());
  for (const double size : sizes) out.mean += size / static_cast<double>(sizes.size());
  constexpr double kMedian = 0.5;
  constexpr double kMost = 0.9;
  out.median = quantile(sizes, kMedian);
  out.p90 = quantile(sizes, kMost);
  out.worst = sizes.back();
  out.bias = quantile(signed_percent, kMedian);
  return out;
}

std::string metric_class(std::string_view metric, std::string_view stat) {
  static const std::map<std::string_view, const char*> kClasses = {
      {"ttft", "ttft"},
      {"itl", "itl"},
      {"tpot", "itl"},
      {"e2e", "e2e"},
      {"e2e_per_output_token", "e2e"},
      {"tpot_incl_ttft", "e2e"},
      {"output_throughput", "throughput"},
      {"input_throughput", "throughput"},
      {"total_throughput", "throughput"},
      {"request_throughput", "throughput"},
      {"per_request_total_token_rate", "throughput"}};
  const auto found = kClasses.find(metric);
  const std::string name = found == kClasses.end() ? "other" : found->second;
  return is_tail(stat) && name != "other" ? name + " tail" : name;
}

std::vector<ErrorRow> error_rows(const std::vector<ValidationCase>& cases,
                                 const std::vector<Prediction>& predictions) {
  // flagged, group, name, grade, class
  using Key = std::tuple<bool, std::size_t, std::string, std::string, std::string>;
  std::map<Key, std::vector<double>> errors;
  for (const Prediction& p : predictions) {
    const auto error = p.signed_percent();
    if (!error || p.metric == "peak_level") continue;
    const ValidationCase& of = cases[p.of_case];
    for (std::size_t group = 0; group < kGroups.size(); ++group)
      errors[{!p.flag.empty(), group, group == 0 ? "" : std::string(of.at(kGroups[group])),
              grade_of(of.at("completeness")), metric_class(p.metric, p.stat)}]
          .push_back(*error);
  }
  std::vector<ErrorRow> out;
  for (auto& [key, list] : errors) {
    const auto& [flagged, group, name, grade, metric] = key;
    out.push_back({kGroups[group], name, grade, metric, flagged, summarise(std::move(list))});
  }
  return out;
}

std::string error_table(const std::vector<ErrorRow>& rows) {
  std::size_t width = 0;
  for (const ErrorRow& row : rows) width = std::max(width, row.name.size());
  std::string out;
  const ErrorRow* before = nullptr;
  for (const ErrorRow& row : rows) {
    if (before == nullptr || before->by != row.by || before->flagged != row.flagged)
      out += fmt::format(
          "{}errors in %, {}{}\n{:<{}}  {:<5}  {:<15} {:>6} {:>8} {:>8} {:>8} {:>9} {:>8}\n",
          before == nullptr ? "" : "\n", row.by == "all" ? "all together" : "by " + row.by,
          row.flagged ? ", flagged measurements only" : "", "", width, "grade", "metric", "count",
          "median", "mean", "p90", "worst", "bias");
    const ErrorSummary& e = row.errors;
    out += fmt::format(
        "{:<{}}  {:<5}  {:<15} {:>6} {:>8.1f} {:>8.1f} {:>8.1f} {:>9.1f} {:>+8.1f}\n", row.name,
        width, row.grade, row.metric, e.count, e.median, e.mean, e.p90, e.worst, e.bias);
    before = &row;
  }
  return out;
}

Json errors_json(const std::vector<ErrorRow>& rows) {
  Json out = Json::array();
  for (const ErrorRow& row : rows) {
    const ErrorSummary& e = row.errors;
    out.push_back({{"by", row.by},
                   {"name", row.name},
                   {"grade", row.grade},
                   {"metric", row.metric},
                   {"flagged", row.flagged},
                   {"count", e.count},
                   {"median_percent", e.median},
                   {"mean_percent", e.mean},
                   {"p90_percent", e.p90},
                   {"worst_percent", e.worst},
                   {"bias_percent", e.bias}});
  }
  return out;
}

}  // namespace kvsim
