#include "tests/cli/command.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace kvsim::cli_test {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

}  // namespace

CommandTest::CommandTest() {
  std::string pattern = (std::filesystem::temp_directory_path() / "kvsim-cli-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no scratch folder: " + pattern);
  folder_ = pattern;
}

CommandTest::~CommandTest() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

CommandResult CommandTest::kvsim(const std::vector<std::string>& arguments) {
  // Beside the scratch folder, so that a test can list what the command wrote.
  const std::string out = folder_.string() + ".out";
  const std::string err = folder_.string() + ".err";
  std::string line =
      fmt::format("cd {} && exec {}", quoted(folder_.string()), quoted(KVSIM_BINARY));
  for (const std::string& argument : arguments) line += fmt::format(" {}", quoted(argument));
  line += fmt::format(" >{} 2>{} </dev/null", quoted(out), quoted(err));
  const int status = std::system(line.c_str());
  CommandResult result{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                       content(out), content(err)};
  std::filesystem::remove(out);
  std::filesystem::remove(err);
  return result;
}

void CommandTest::write(const std::string& name, const std::string& text) const {
  std::filesystem::create_directories((folder_ / name).parent_path());
  std::ofstream(folder_ / name, std::ios::binary) << text;
}

std::string CommandTest::read(const std::string& name) const { return content(folder_ / name); }

std::string CommandTest::content(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

bool CommandTest::exists(const std::string& name) const {
  return std::filesystem::exists(folder_ / name);
}

std::string CommandTest::source(const std::string& path) {
  return std::string(KVSIM_SOURCE_DIR) + "/" + path;
}

}  // namespace kvsim::cli_test
