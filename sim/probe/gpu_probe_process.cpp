#include "sim/probe/gpu_probe_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>

#include "sim/base/errors.hpp"
#include "sim/probe/resp_server_process.hpp"

extern char** environ;

namespace kvsim {

namespace {

std::string find_probe() {
  if (const char* set = std::getenv("KVSIM_GPU_PROBE"); set != nullptr && *set != '\0') return set;
  std::error_code none;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", none).parent_path();
  const std::string found = [&] {
    for (const auto& beside : {own / "gpu_probe", own.parent_path() / "kernels" / "gpu_probe",
                               own.parent_path().parent_path() / "kernels" / "gpu_probe"})
      if (access(beside.c_str(), X_OK) == 0) return beside.string();
    return find_program({"gpu_probe"});
  }();
  if (found.empty())
    throw EnvironmentError(
        "no gpu_probe beside kvsim, on the PATH or in KVSIM_GPU_PROBE; build it with: cmake -S "
        "kernels -B build/kernels && cmake --build build/kernels");
  return found;
}

std::optional<std::string> line_from(std::FILE* file) {
  char* text = nullptr;
  std::size_t room = 0;
  const ssize_t length = getline(&text, &room, file);
  std::optional<std::string> out;
  if (length > 0) out.emplace(text, static_cast<std::size_t>(length));
  std::free(text);
  if (out && out->ends_with('\n')) out->pop_back();
  return out;
}

struct Pipe {
  Pipe() {
    if (pipe2(ends.data(), O_CLOEXEC) != 0)
      throw EnvironmentError(fmt::format("no pipe: {}", std::strerror(errno)));
  }
  std::array<int, 2> ends{-1, -1};
};

}  // namespace

GpuProbeProcess::GpuProbeProcess(Scratch& scratch, const std::vector<std::string>& arguments)
    : scratch_(scratch) {
  start(find_probe(), arguments);
}

void GpuProbeProcess::start(const std::string& program, const std::vector<std::string>& arguments) {
  const Pipe in;
  const Pipe out;
  const Pipe errors;
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, in.ends[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, out.ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, errors.ends[1], STDERR_FILENO);
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const int error =
      posix_spawn(&process_, program.c_str(), &files, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  for (const int end : {in.ends[0], out.ends[1], errors.ends[1]}) close(end);
  input_ = fdopen(in.ends[1], "w");
  output_ = fdopen(out.ends[0], "r");
  errors_ = fdopen(errors.ends[0], "r");
  if (error != 0) {
    process_ = -1;
    throw EnvironmentError(fmt::format("{}: {}", program, std::strerror(error)));
  }
  scratch_.adopt(process_);
}

GpuProbeProcess::~GpuProbeProcess() {
  if (process_ > 0) {
    kill(process_, SIGTERM);
    finish();
  }
  for (std::FILE* file : {input_, output_, errors_})
    if (file != nullptr) std::fclose(file);
}

int GpuProbeProcess::finish() {
  if (input_ != nullptr) std::fclose(input_);
  input_ = nullptr;
  int status = 0;
  waitpid(process_, &status, 0);
  scratch_.released(process_);
  process_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void GpuProbeProcess::fail(const std::string& last) {
  throw EnvironmentError(last.empty() ? "gpu_probe ended without a word" : last);
}

std::string GpuProbeProcess::ask(const std::string& line) {
  const auto before = std::signal(SIGPIPE, SIG_IGN);  // told below
  const bool sent = std::fputs((line + "\n").c_str(), input_) >= 0 && std::fflush(input_) == 0;
  std::signal(SIGPIPE, before);
  const std::optional<std::string> answer = sent ? line_from(output_) : std::nullopt;
  if (answer && !answer->starts_with("error: ")) return *answer;
  if (answer) fail("gpu_probe: " + *answer);
  std::string last;
  while (const std::optional<std::string> said = line_from(errors_)) last = *said;
  fail(last);
}

void GpuProbeProcess::wait(const std::function<void(const std::string&)>& said) {
  std::string last;
  while (const std::optional<std::string> line = line_from(errors_)) {
    last = *line;
    said(last);
  }
  if (finish() != 0) fail(last);
}

}  // namespace kvsim
