#include "sim/probe/resp_server_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include "sim/base/errors.hpp"
#include "sim/probe/measure.hpp"

extern char** environ;

namespace kvsim {

namespace {

constexpr Seconds kPatience{20};
constexpr int kPorts = 3;  // tries
constexpr auto kLook = std::chrono::milliseconds(5);

int free_port() {
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  const bool bound =
      probe >= 0 && bind(probe, any, size) == 0 && getsockname(probe, any, &size) == 0;
  const int error = errno;
  if (probe >= 0) close(probe);
  if (!bound) throw EnvironmentError(fmt::format("no loopback port: {}", std::strerror(error)));
  return ntohs(address.sin_port);
}

}  // namespace

std::string find_program(const std::vector<std::string>& names) {
  const char* path = std::getenv("PATH");
  for (const std::string& name : names) {
    if (name.find('/') != std::string::npos) return access(name.c_str(), X_OK) == 0 ? name : "";
    std::istringstream folders(path == nullptr ? "/usr/bin" : path);
    for (std::string folder; std::getline(folders, folder, ':');)
      if (access((folder + "/" + name).c_str(), X_OK) == 0) return folder + "/" + name;
  }
  return "";
}

RespServerProcess::RespServerProcess(Scratch& scratch, const std::string& program,
                                     const std::vector<std::string>& settings)
    : scratch_(scratch) {
  program_ =
      find_program(program.empty() ? std::vector<std::string>{"redis-server", "valkey-server"}
                                   : std::vector<std::string>{program});
  if (program_.empty() && !program.empty())
    throw EnvironmentError(fmt::format("{}: no such program", program));
  if (program_.empty())
    throw EnvironmentError(
        "no redis-server (Debian package redis-server) and no valkey-server on the PATH, and no "
        "--store was given");
  for (int i = 0; i < kPorts; ++i) {
    start(settings);
    if (wait_until_it_answers()) return;
  }
  throw EnvironmentError(fmt::format("{} does not start: {}", program_, last_log_line()));
}

RespServerProcess::~RespServerProcess() { stop(); }

void RespServerProcess::start(const std::vector<std::string>& settings) {
  target_.port = free_port();
  const std::string base = fmt::format("{}/resp-{}", scratch_.path(), target_.port);
  log_ = base + ".log";
  const std::string configuration = base + ".conf";
  std::ofstream file(configuration);
  file << fmt::format(
      "bind 127.0.0.1\nport {}\nsave \"\"\nappendonly no\ndaemonize no\ndir {}\nlogfile {}\n",
      target_.port, scratch_.path(), log_);
  for (const std::string& line : settings) file << line << "\n";
  file.close();
  if (!file) throw EnvironmentError(configuration + ": cannot be written");
  std::string path = program_;
  std::string argument = configuration;
  std::array<char*, 3> arguments = {path.data(), argument.data(), nullptr};
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // An interrupt of the terminal is for us; we stop it when we are done.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  const int error =
      posix_spawn(&process_, path.c_str(), &files, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    process_ = -1;
    throw EnvironmentError(fmt::format("{}: {}", program_, std::strerror(error)));
  }
  scratch_.adopt(process_);
}

bool RespServerProcess::wait_until_it_answers() {
  const Stopwatch watch;
  std::string last = "no answer";
  while (watch.elapsed() < kPatience) {
    if (ended()) return false;
    try {
      // Not somebody else's, who was faster on that port.
      if (RespConnection(target_, Seconds(1)).info()["process_id"] == std::to_string(process_))
        return true;
    } catch (const EnvironmentError& error) {
      last = error.what();
    }
    std::this_thread::sleep_for(kLook);
  }
  stop();
  throw EnvironmentError(
      fmt::format("{} does not answer within {} s: {}", program_, kPatience.count(), last));
}

bool RespServerProcess::ended() {
  if (process_ < 0) return true;
  if (waitpid(process_, nullptr, WNOHANG) != process_) return false;
  scratch_.released(process_);
  process_ = -1;
  return true;
}

void RespServerProcess::stop() {
  if (ended()) return;
  kill(process_, SIGTERM);
  const Stopwatch watch;
  while (watch.elapsed() < Seconds(2)) {
    if (ended()) return;
    std::this_thread::sleep_for(kLook);
  }
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
  scratch_.released(process_);
  process_ = -1;
}

std::string RespServerProcess::last_log_line() const {
  std::ifstream file(log_);
  std::string last = "it wrote no log";
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) last = line;
  return last;
}

}  // namespace kvsim
