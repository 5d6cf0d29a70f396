// kvsim compare BASE CANDIDATE [--gates GATES.json] [--junit FILE]
#include "sim/report/compare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "sim/base/errors.hpp"
#include "sim/cli/commands.hpp"
#include "sim/report/output_file.hpp"

namespace kvsim {

namespace {

struct CompareArguments {
  std::string base;
  std::string candidate;
  std::string gates;
  std::string junit;
};

// What makes a comparison doubtful without making it impossible.
void warn_of_differences(const NamedSummary& base, const NamedSummary& candidate) {
  const auto provenance = [](const NamedSummary& summary, const char* key) {
    const Json::json_pointer pointer(fmt::format("/provenance/{}", key));
    return summary.json.contains(pointer) ? summary.json[pointer] : Json();
  };
  if (provenance(base, "trace_sha256") != provenance(candidate, "trace_sha256"))
    fmt::print(stderr, "warning: the two runs served different requests (trace_sha256)\n");
}

void compare(const CompareArguments& arguments) {
  const NamedSummary base = load_summary(arguments.base);
  const NamedSummary candidate = load_summary(arguments.candidate);
  std::vector<Comparison> rows;
  if (arguments.gates.empty()) {
    rows = compare_usual(base, candidate);
  } else {
    const Json gates = load_json(arguments.gates);
    rows = check_gates(base, candidate, read_gates(ConfigNode(gates, arguments.gates)));
  }
  warn_of_differences(base, candidate);
  fmt::print("{}", to_markdown(rows));
  if (!arguments.junit.empty()) write_text_file(arguments.junit, to_junit(rows));
  const auto failed =
      std::count_if(rows.begin(), rows.end(), [](const Comparison& row) { return !row.passed; });
  if (failed == 0) return;
  fmt::print(stderr, "{} of {} gates failed\n", failed, rows.size());
  throw CLI::RuntimeError(kExitDifference);
}

}  // namespace

void add_compare_command(CLI::App& app) {
  auto arguments = std::make_shared<CompareArguments>();
  CLI::App* command =
      app.add_subcommand("compare", "Compare two results; with gates, fail on a regression");
  command->add_option("base", arguments->base, "summary.json or its folder")->required();
  command->add_option("candidate", arguments->candidate, "summary.json or its folder")->required();
  command->add_option("--gates", arguments->gates,
                      "JSON of summary paths and bounds: {\"latency_s.ttft.p99\": \"+5%\"}");
  command->add_option("--junit", arguments->junit, "Write the verdicts as JUnit XML, too");
  command->callback([arguments] { compare(*arguments); });
}

}  // namespace kvsim
