#include "sim/cli/what_if.hpp"

#include <fmt/format.h>

#include "sim/base/config_node.hpp"
#include "sim/cli/child_runs.hpp"

namespace kvsim {

namespace {

namespace fs = std::filesystem;

std::vector<std::string> command_of(const WhatIfRuns& runs, const WhatIf& what_if,
                                    const fs::path& folder) {
  std::vector<std::string> out = {"kvsim", "run", runs.experiment};
  if (!runs.variant.empty()) out.insert(out.end(), {"--variant", runs.variant});
  for (const auto* list : {&runs.overrides, &what_if.overrides})
    for (const std::string& text : *list) out.insert(out.end(), {"--set", text});
  out.insert(out.end(), {"-o", folder.string(), "--outputs", "summary", "--quiet"});
  return out;
}

Json outcome_of(const WhatIf& what_if, const fs::path& folder, int exit_code, const Json& summary) {
  if (exit_code == kExitOk)
    return what_if_gain(what_if.free, summary, load_json((folder / "summary.json").string()));
  return {{"free", what_if.free}, {"error", last_line(folder.string() + ".log")}};
}

}  // namespace

Json run_what_ifs(const WhatIfRuns& runs, const std::vector<WhatIf>& what_ifs,
                  const Json& summary) {
  const auto folder_of = [&](std::size_t i) { return runs.folder / what_ifs[i].free; };
  fs::create_directories(runs.folder);
  std::vector<Json> outcomes(what_ifs.size());
  // Of an interrupted exploration what is there is told.
  (void)run_children(
      {.unit = "what-ifs", .quiet = runs.quiet}, what_ifs.size(),
      [&](std::size_t i) -> ChildRun {
        return {command_of(runs, what_ifs[i], folder_of(i)), folder_of(i).string() + ".log"};
      },
      [&](std::size_t i, int exit_code) {
        outcomes[i] = outcome_of(what_ifs[i], folder_of(i), exit_code, summary);
      });
  Json out = Json::array();
  for (Json& outcome : outcomes)
    if (!outcome.is_null()) out.push_back(std::move(outcome));
  return out;
}

}  // namespace kvsim
