#include "sim/validate/error_gates.hpp"

#include <fmt/format.h>

namespace kvsim {

namespace {

struct GatesFile {
  std::string schema;
  std::vector<ErrorGate> gates;

  template <class F>
  void fields(F& f) {
    f.choice("schema", schema, {"kvsim.validation-gates/1"}, "What this file is.");
    f.required("gates", gates, "Bounds.");
  }
};

bool agrees(const std::string& asked, const std::string& with) {
  return asked.empty() || asked == with;
}

void check(const ErrorRow& row, const char* what, double value, const std::optional<double>& bound,
           std::vector<std::string>& out) {
  if (!bound || value <= *bound) return;
  out.push_back(fmt::format("{} {} {} {}: {} error {:.1f} %, at most {:.1f} allowed", row.by,
                            row.name, row.grade, row.metric, what, value, *bound));
}

}  // namespace

std::vector<ErrorGate> read_error_gates(const ConfigNode& file) {
  if (!file.has("schema")) file.fail("no \"schema\"", "\"schema\": \"kvsim.validation-gates/1\"");
  return read_config<GatesFile>(file).gates;
}

std::vector<std::string> broken_gates(const std::vector<ErrorGate>& gates,
                                      const std::vector<ErrorRow>& rows) {
  std::vector<std::string> out;
  for (const ErrorGate& gate : gates) {
    bool any = false;
    for (const ErrorRow& row : rows) {
      if (row.flagged || row.by != gate.by || row.metric != gate.metric) continue;
      if (!agrees(gate.name, row.name) || !agrees(gate.grade, row.grade)) continue;
      any = true;
      check(row, "median", row.errors.median, gate.median, out);
      check(row, "p90", row.errors.p90, gate.p90, out);
      check(row, "worst", row.errors.worst, gate.worst, out);
    }
    if (!any)
      out.push_back(fmt::format("{} {} {} {}: nothing to compare", gate.by, gate.name, gate.grade,
                                gate.metric));
  }
  return out;
}

}  // namespace kvsim
