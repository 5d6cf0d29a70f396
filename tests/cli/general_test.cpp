// What holds for the command line as a whole. Each subcommand has its own file beside this one.
#include "tests/cli/command.hpp"

namespace kvsim::cli_test {
namespace {

using General = CommandTest;

TEST_F(General, VersionIsPrintedAndExitsWithZero) {
  const CommandResult result = kvsim({"--version"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.out.find("0.1.0"), std::string::npos) << result.out;
}

TEST_F(General, HelpNamesTheSubcommands) {
  const CommandResult result = kvsim({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  for (const char* name : {"run", "sweep", "compare", "size", "trace"}) {
    EXPECT_NE(result.out.find(name), std::string::npos) << name;
  }
}

TEST_F(General, AnUnknownSubcommandIsAUserError) {
  const CommandResult result = kvsim({"frobnicate"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("frobnicate"), std::string::npos) << result.err;
}

TEST_F(General, AMissingExperimentIsAUserErrorAndLeavesNoResults) {
  const CommandResult result = kvsim({"run", "absent.json"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("absent.json"), std::string::npos) << result.err;
  EXPECT_TRUE(std::filesystem::is_empty(folder()));
}

}  // namespace
}  // namespace kvsim::cli_test
