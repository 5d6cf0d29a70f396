#include "sim/cli/child_processes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "sim/base/errors.hpp"

namespace kvsim {

ChildProcesses::ChildProcesses() {
  sigemptyset(&watched_);
  for (const int signal : {SIGCHLD, SIGINT, SIGTERM}) sigaddset(&watched_, signal);
  sigprocmask(SIG_BLOCK, &watched_, &before_);
}

ChildProcesses::~ChildProcesses() {
  for (const auto& [pid, tag] : tags_) waitpid(pid, nullptr, 0);
  sigprocmask(SIG_SETMASK, &before_, nullptr);
}

void ChildProcesses::start(std::size_t tag, const std::vector<std::string>& arguments,
                           const std::string& log) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                   0644);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // In a group of its own, so that a Ctrl-C reaches it once: from us.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &before_);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, "/proc/self/exe", &files, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0)
    throw EnvironmentError(
        fmt::format("cannot start a process with the log {}: {}", log, std::strerror(error)));
  tags_[pid] = tag;
}

std::vector<ChildProcesses::Ended> ChildProcesses::wait(double patience_s) {
  timespec patience{};
  patience.tv_sec = static_cast<time_t>(patience_s);
  patience.tv_nsec = static_cast<long>((patience_s - static_cast<double>(patience.tv_sec)) * 1e9);
  const int signal = sigtimedwait(&watched_, nullptr, &patience);
  if (signal == SIGINT || signal == SIGTERM) {
    interrupted_ = true;
    for (const auto& [pid, tag] : tags_) kill(pid, SIGINT);
  }
  std::vector<Ended> out;
  for (auto it = tags_.begin(); it != tags_.end();) {
    int status = 0;
    if (waitpid(it->first, &status, WNOHANG) != it->first) {
      ++it;
      continue;
    }
    constexpr int kKilled = 128;
    out.push_back(
        {it->second, WIFEXITED(status) ? WEXITSTATUS(status) : kKilled + WTERMSIG(status)});
    it = tags_.erase(it);
  }
  return out;
}

}  // namespace kvsim
