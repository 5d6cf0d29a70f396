// A regression gate between two summaries: how every metric changed, and whether it may.
//
// Gates are a flat JSON object from a summary path with dots to what is allowed:
//   {"latency_s.ttft.p99": "+5%", "throughput.output_tokens_per_s": "-3%", "requests.failed": "+0"}
// "+5%": may rise by at most 5 % of the base; "-3%": may fall by at most 3 %; without % the bound
// is in the metric's own unit. The other direction is free. Elements of a list of named objects are
// addressed by name: "resources.node0/pcie.utilisation".
#pragma once

#include <string>
#include <vector>

#include "sim/base/config_node.hpp"
#include "sim/base/json.hpp"

namespace kvsim {

struct Metric {
  std::string path;
  double value = 0;
};

// Every number of a summary by its path, in the order of the file. Nulls and texts are left out.
[[nodiscard]] std::vector<Metric> flatten_numbers(const Json& summary);

struct Gate {
  std::string path;
  std::string text;  // as given: "+5%"
  double bound = 0;  // >= 0, a fraction of the base when relative
  bool relative = false;
  bool rising = false;  // bounds a rise, else a fall
};

// Throws ConfigError on anything but the form above.
[[nodiscard]] std::vector<Gate> read_gates(const ConfigNode& gates);

struct Comparison {
  std::string path;
  double base = 0;
  double candidate = 0;
  std::string gate;  // empty = only shown
  bool passed = true;
};

// A summary and the file it came from, for messages.
struct NamedSummary {
  std::string file;
  Json json;
};

// The gated metrics in the order of the gates. Throws ConfigError when a summary lacks a number
// that a gate names (with the closest names), or is of an incomplete run.
[[nodiscard]] std::vector<Comparison> check_gates(const NamedSummary& base,
                                                  const NamedSummary& candidate,
                                                  const std::vector<Gate>& gates);

// The metrics one looks at first, as far as both summaries have them.
[[nodiscard]] std::vector<Comparison> compare_usual(const NamedSummary& base,
                                                    const NamedSummary& candidate);

// A Markdown table: metric, base, candidate, change, gate, pass.
[[nodiscard]] std::string to_markdown(const std::vector<Comparison>& rows);
// JUnit XML with one test case per row.
[[nodiscard]] std::string to_junit(const std::vector<Comparison>& rows);

// summary.json itself or the folder it lies in. Throws ConfigError when it is no summary.
[[nodiscard]] NamedSummary load_summary(const std::string& path);

}  // namespace kvsim
