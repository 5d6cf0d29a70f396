#include "sim/cli/what_if.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "sim/base/config_node.hpp"
#include "sim/cli/child_processes.hpp"
#include "sim/cli/terminal_progress.hpp"

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

std::string last_line(const fs::path& file) {
  std::ifstream in(file);
  std::string last = "no message";
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) last = line;
  return last;
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
  Progress progress =
      terminal_progress("what-ifs", static_cast<std::int64_t>(what_ifs.size()), runs.quiet);
  const std::size_t jobs = std::max(1u, std::thread::hardware_concurrency());
  std::size_t next = 0;
  std::int64_t done = 0;
  ChildProcesses children;
  while (children.running() > 0 || (next < what_ifs.size() && !children.interrupted())) {
    for (; next < what_ifs.size() && children.running() < jobs && !children.interrupted(); ++next)
      children.start(next, command_of(runs, what_ifs[next], folder_of(next)),
                     folder_of(next).string() + ".log");
    constexpr double kPatience_s = 0.2;
    for (const ChildProcesses::Ended& ended : children.wait(kPatience_s)) {
      outcomes[ended.tag] =
          outcome_of(what_ifs[ended.tag], folder_of(ended.tag), ended.exit_code, summary);
      progress.update(++done);
    }
  }
  progress.finish(done);
  Json out = Json::array();
  for (Json& outcome : outcomes)
    if (!outcome.is_null()) out.push_back(std::move(outcome));
  return out;
}

}  // namespace kvsim
