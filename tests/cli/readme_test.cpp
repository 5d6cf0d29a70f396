// What README.md shows must work as it stands there.
#include <algorithm>

#include "tests/cli/command.hpp"

namespace kvsim::cli_test {
namespace {

class Readme : public CommandTest {
 protected:
  // The first block of JSON in README.md.
  static std::string example() {
    const std::string text = content(source("README.md"));
    const std::string fence = "```json\n";
    const std::size_t begin = text.find(fence) + fence.size();
    return text.substr(begin, text.find("```", begin) - begin);
  }
};

TEST_F(Readme, TheExampleExperimentRuns) {
  write("my.json", example());
  const CommandResult result = kvsim({"run", "my.json", "--quiet", "-o", "out"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(exists("out/summary.json"));
}

TEST_F(Readme, TheExampleExperimentIsShort) {
  const std::string text = example();
  EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 15);
}

}  // namespace
}  // namespace kvsim::cli_test
