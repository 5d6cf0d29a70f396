#include "sim/probe/scratch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "sim/base/errors.hpp"

extern char** environ;

namespace kvsim {

namespace {

// Reads what happens from its input; at its end the process is gone.
constexpr const char* kWatch = R"(
trap '' INT TERM HUP
children=
while read -r what value; do
  case $what in
    child) children="$children $value" ;;
    released) children=$(printf '%s\n' $children | grep -vx "$value") ;;
    done) exit 0 ;;
  esac
done
[ -z "$children" ] || kill -9 $children 2>/dev/null
rm -rf -- "$0"
)";

[[noreturn]] void fail(const std::string& what) {
  throw EnvironmentError(fmt::format("{}: {}", what, std::strerror(errno)));
}

pid_t start_watcher(const std::string& folder, int input) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // Out of the process group, that a signal to all of it does not end it too.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  std::string name = folder;
  std::string script = kWatch;
  std::string shell = "sh";
  std::string flag = "-c";
  std::array<char*, 5> arguments = {shell.data(), flag.data(), script.data(), name.data(), nullptr};
  pid_t pid = -1;
  const int error = posix_spawn(&pid, "/bin/sh", &files, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error == 0) return pid;
  errno = error;
  return -1;
}

}  // namespace

Bytes free_space(const std::string& path) {
  struct statvfs system {};
  if (statvfs(path.c_str(), &system) != 0) fail(path);
  return Bytes(static_cast<std::int64_t>(system.f_bavail * system.f_frsize));
}

Scratch::Scratch(const std::string& parent, Bytes needed) {
  struct statvfs system {};
  if (statvfs(parent.c_str(), &system) != 0) fail(parent);
  constexpr unsigned long kSpare = 20;
  const Bytes spare(static_cast<std::int64_t>(system.f_blocks / kSpare * system.f_frsize));
  if (free_space(parent) < needed + spare)
    throw EnvironmentError(
        fmt::format("{}: {:.3g} GB are free; needed: {:.3g} GB, and a twentieth of the file system",
                    parent, free_space(parent).real() / 1e9, needed.real() / 1e9));
  std::string name = (std::filesystem::absolute(parent) / "kvsim-scratch-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) fail(parent + ": cannot make a folder");
  path_ = name;
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) == 0) {
    watcher_ = ends[1];
    watcher_pid_ = start_watcher(path_, ends[0]);
    close(ends[0]);
  }
  if (watcher_pid_ > 0) return;
  std::filesystem::remove(path_);
  fail("cannot start /bin/sh");
}

Scratch::~Scratch() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
  // What could not be removed is left to the watcher, as are children that nobody released.
  if (!std::filesystem::exists(path_, ignored)) tell("done");
  close(watcher_);
  waitpid(watcher_pid_, nullptr, 0);
}

void Scratch::adopt(pid_t child) { tell(fmt::format("child {}", child)); }
void Scratch::released(pid_t child) { tell(fmt::format("released {}", child)); }

void Scratch::tell(const std::string& line) {
  const std::string text = line + "\n";
  // Short writes to a pipe are whole; a watcher that is gone cannot be helped.
  [[maybe_unused]] const ssize_t written = write(watcher_, text.data(), text.size());
}

}  // namespace kvsim
