// Child processes that run this same program, a limited number at a time. Their output goes to a
// log file each. While an object lives, SIGINT and SIGTERM are held back and reported by wait()
// instead; children that still run are then interrupted and waited for.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <map>
#include <string>
#include <vector>

namespace kvsim {

class ChildProcesses {
 public:
  ChildProcesses();
  ~ChildProcesses();  // waits for those that still run
  ChildProcesses(const ChildProcesses&) = delete;
  ChildProcesses& operator=(const ChildProcesses&) = delete;

  // `tag` comes back from wait(). Throws EnvironmentError.
  void start(std::size_t tag, const std::vector<std::string>& arguments, const std::string& log);
  [[nodiscard]] std::size_t running() const { return tags_.size(); }

  struct Ended {
    std::size_t tag;
    int exit_code;  // 128 + signal for one that a signal killed
  };
  // Those that have ended, waiting up to `patience_s` for the first.
  [[nodiscard]] std::vector<Ended> wait(double patience_s);
  // A signal asked to stop; the children have been told.
  [[nodiscard]] bool interrupted() const { return interrupted_; }

 private:
  std::map<pid_t, std::size_t> tags_;
  sigset_t watched_;
  sigset_t before_;
  bool interrupted_ = false;
};

}  // namespace kvsim
