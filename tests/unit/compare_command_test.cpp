#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/base/errors.hpp"
#include "sim/cli/commands.hpp"
#include "sim/report/output_file.hpp"

namespace kvsim {
namespace {

namespace fs = std::filesystem;

class CompareCommand : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              ("kvsim-compare-" +
               std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    write_summary("base/summary.json", 1.0);
    write_summary("same/summary.json", 1.0);
    write_summary("worse/summary.json", 1.06);
    write_text_file(path("gates.json"), R"({"latency_s.ttft.p99": "+5%"})");
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string path(const char* name) const { return (folder_ / name).string(); }
  void write_summary(const char* name, double p99) const {
    write_json_file(path(name), {{"schema", "kvsim.summary/1"},
                                 {"requests", {{"completed", 10}}},
                                 {"latency_s", {{"ttft", {{"p99", p99}}}}}});
  }

  // Exit code of `kvsim compare ARGUMENTS`.
  [[nodiscard]] int compare(std::vector<std::string> arguments) {
    CLI::App app;
    add_compare_command(app);
    arguments.insert(arguments.begin(), "compare");
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    int code = 0;
    try {
      app.parse(arguments);
    } catch (const CLI::RuntimeError& end) {
      code = end.get_exit_code();
    } catch (const ConfigError& error) {
      code = kExitUser;
    }
    out_ = testing::internal::GetCapturedStdout();
    testing::internal::GetCapturedStderr();
    return code;
  }

  fs::path folder_;
  std::string out_;
};

TEST_F(CompareCommand, TwoEqualRunsPass) {
  EXPECT_EQ(compare({path("base"), path("same"), "--gates", path("gates.json")}), 0);
  EXPECT_NE(out_.find("| latency_s.ttft.p99 | 1 | 1 | 0 | +5% | yes |"), std::string::npos) << out_;
}

TEST_F(CompareCommand, SixPercentUnderAFivePercentGateExitsWithOne) {
  EXPECT_EQ(compare({path("base"), path("worse/summary.json"), "--gates", path("gates.json"),
                     "--junit", path("junit.xml")}),
            1);
  EXPECT_NE(out_.find("| +6.00 % | +5% | **no** |"), std::string::npos) << out_;
  EXPECT_TRUE(fs::exists(path("junit.xml")));
}

TEST_F(CompareCommand, WithoutGatesAnythingPasses) {
  EXPECT_EQ(compare({path("base"), path("worse")}), 0);
  EXPECT_NE(out_.find("latency_s.ttft.p99"), std::string::npos);
}

TEST_F(CompareCommand, WhatIsNoSummaryExitsWithTwo) {
  EXPECT_EQ(compare({path("base"), path("none")}), 2);
  EXPECT_EQ(compare({path("base"), path("gates.json")}), 2);
  EXPECT_EQ(compare({path("base"), path("same"), "--gates", path("none.json")}), 2);
}

}  // namespace
}  // namespace kvsim
