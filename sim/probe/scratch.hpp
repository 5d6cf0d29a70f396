// A folder for a probe's files that goes away with the process, however it ends: a small shell that
// outlives the process watches it, kills the servers it started and removes the folder.
#pragma once

#include <sys/types.h>

#include <string>

#include "sim/base/units.hpp"

namespace kvsim {

class Scratch {
 public:
  // Makes a folder of a new name below `parent`. EnvironmentError when it cannot be written to, or
  // when fewer than `needed` bytes and a twentieth of the file system are free.
  Scratch(const std::string& parent, Bytes needed);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  // A child process that is killed when this process ends without having said released().
  void adopt(pid_t child);
  void released(pid_t child);

 private:
  void tell(const std::string& line);
  std::string path_;
  int watcher_ = -1;  // its input
  pid_t watcher_pid_ = -1;
};

// Bytes free below `path` for this user. EnvironmentError when there is no such folder.
Bytes free_space(const std::string& path);

}  // namespace kvsim
