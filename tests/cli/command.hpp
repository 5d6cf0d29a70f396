// Harness of the command-line tests: runs the built kvsim in a scratch folder, as a shell would,
// and gives back its exit code and what it printed.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

namespace kvsim::cli_test {

struct CommandResult {
  int exit_code = -1;  // 128 + n when signal n ended it
  std::string out;
  std::string err;
};

// A folder of its own for each test, removed afterwards.
class CommandTest : public testing::Test {
 protected:
  CommandTest();
  ~CommandTest() override;

  // Runs kvsim with the scratch folder as working directory; arguments need no quoting.
  CommandResult kvsim(const std::vector<std::string>& arguments);

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  void write(const std::string& name, const std::string& text) const;
  [[nodiscard]] std::string read(const std::string& name) const;
  [[nodiscard]] bool exists(const std::string& name) const;

  // A file of the source tree, e.g. source("configs/quickstart.json").
  [[nodiscard]] static std::string source(const std::string& path);
  // The bytes of any file; "" when there is none.
  [[nodiscard]] static std::string content(const std::filesystem::path& file);

 private:
  std::filesystem::path folder_;
};

}  // namespace kvsim::cli_test
