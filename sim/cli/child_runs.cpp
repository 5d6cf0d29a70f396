#include "sim/cli/child_runs.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <thread>

#include "sim/cli/child_processes.hpp"
#include "sim/cli/terminal_progress.hpp"

namespace kvsim {

bool run_children(const ChildRunOptions& options, std::size_t count,
                  const std::function<ChildRun(std::size_t)>& prepare,
                  const std::function<void(std::size_t, int)>& settle) {
  const std::size_t jobs =
      options.jobs > 0 ? options.jobs : std::max(1U, std::thread::hardware_concurrency());
  Progress progress =
      terminal_progress(options.unit, static_cast<std::int64_t>(count), options.quiet);
  ChildProcesses children;
  std::size_t next = 0;
  std::int64_t done = 0;
  while (children.running() > 0 || (next < count && !children.interrupted())) {
    for (; next < count && children.running() < jobs && !children.interrupted(); ++next) {
      const ChildRun run = prepare(next);
      children.start(next, run.command, run.log);
    }
    constexpr double kPatience_s = 0.2;
    for (const ChildProcesses::Ended& ended : children.wait(kPatience_s)) {
      settle(ended.tag, ended.exit_code);
      progress.update(++done);
    }
  }
  progress.finish(done);
  return !children.interrupted();
}

std::string last_line(const std::string& file) {
  std::ifstream in(file);
  std::string last = "no message";
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) last = line;
  return last;
}

}  // namespace kvsim
