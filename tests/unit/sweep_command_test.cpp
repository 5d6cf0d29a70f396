// The sweep command with a stand-in for `kvsim run`: this program itself. A sweep starts the
// program that it is part of; called with "run", this one acts as a run whose summary states the
// overrides that reached it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <thread>

#include "sim/base/config_node.hpp"
#include "sim/base/errors.hpp"
#include "sim/cli/commands.hpp"
#include "sim/report/output_file.hpp"

namespace kvsim {
namespace {

namespace fs = std::filesystem;

// run EXPERIMENT [--set P=V]... -o DIR --quiet. "/fail" asks for that exit code, "/hang" for a run
// that only a signal ends.
int stand_in_for_run(const std::vector<std::string>& arguments) {
  Json summary = {{"schema", "kvsim.summary/1"}, {"base", load_json(arguments[1])["base"]}};
  std::string folder;
  for (std::size_t i = 2; i + 1 < arguments.size(); ++i) {
    if (arguments[i] == "-o") folder = arguments[i + 1];
    if (arguments[i] != "--set") continue;
    const std::string& text = arguments[i + 1];
    const std::size_t equals = text.find('=');
    summary["set"][text.substr(1, equals - 1)] = Json::parse(text.substr(equals + 1));
  }
  if (summary["set"].contains("hang")) {
    std::ofstream(folder + ".started") << "x";
    while (true) pause();
  }
  if (summary["set"].contains("fail")) {
    std::cerr << "first line\nit was asked to fail\n";
    return summary["set"]["fail"].get<int>();
  }
  std::ofstream(folder + ".runs", std::ios::app) << "x";
  write_json_file(folder + "/summary.json", summary);
  return 0;
}

class SweepCommand : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() /
              ("kvsim-sweep-" +
               std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    write("base.json", R"({"base": 7})");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const char* name, const std::string& text) const {
    write_text_file((folder_ / name).string(), text);
  }
  void write_sweep(const std::string& points) const {
    write("sweep.json",
          R"({"schema": "kvsim.sweep/1", "experiment": "base.json", )" + points + "}");
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream in(folder_ / name);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }

  // Exit code of `kvsim sweep sweep.json -o out ARGUMENTS`.
  [[nodiscard]] int sweep(std::vector<std::string> more = {}, const std::string& out = "out") {
    CLI::App app;
    add_sweep_command(app);
    std::vector<std::string> arguments = {"sweep", (folder_ / "sweep.json").string(), "-o",
                                          (folder_ / out).string(), "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    int code = 0;
    try {
      app.parse(arguments);
    } catch (const CLI::RuntimeError& end) {
      code = end.get_exit_code();
    }
    testing::internal::GetCapturedStdout();
    errors_ = testing::internal::GetCapturedStderr();
    return code;
  }

  fs::path folder_;
  std::string errors_;
};

TEST_F(SweepCommand, RunsEveryPointAndTabulatesThemInOrder) {
  write_sweep(R"("grid": {"/rate": [1, 2.5], "/name": ["a", "b c"]})");
  EXPECT_EQ(sweep({"-j", "3"}), 0);
  EXPECT_EQ(read("out/sweep.csv"),
            "point,/rate,/name,base,set.rate\n"
            "0,1,a,7,1\n1,1,b c,7,1\n2,2.5,a,7,2.5\n3,2.5,b c,7,2.5\n");
}

TEST_F(SweepCommand, FinishedPointsAreNotRunAgain) {
  write_sweep(R"("grid": {"/rate": [1, 2]})");
  EXPECT_EQ(sweep(), 0);
  const std::string first = read("out/sweep.csv");
  EXPECT_EQ(sweep(), 0);
  EXPECT_EQ(read("out/point-0000.runs"), "x");
  EXPECT_EQ(read("out/sweep.csv"), first);
}

TEST_F(SweepCommand, PointsOfOtherOverridesOrExperimentsAreRunAgain) {
  write_sweep(R"("grid": {"/rate": [1, 2]})");
  EXPECT_EQ(sweep(), 0);
  write_sweep(R"("grid": {"/rate": [1, 3]})");
  EXPECT_EQ(sweep(), 0);
  EXPECT_EQ(read("out/point-0000.runs"), "x");
  EXPECT_EQ(read("out/point-0001.runs"), "xx");
  write("base.json", R"({"base": 8})");
  EXPECT_EQ(sweep(), 0);
  EXPECT_EQ(read("out/point-0000.runs"), "xx");
}

TEST_F(SweepCommand, AFailedPointIsReportedAndTheOthersStillRun) {
  write_sweep(R"("points": [{"/fail": 3}, {"/rate": 5}])");
  EXPECT_EQ(sweep(), 1);
  EXPECT_NE(errors_.find("point-0000 failed with exit code 3: it was asked to fail"),
            std::string::npos)
      << errors_;
  EXPECT_EQ(read("out/sweep.csv"), "point,/fail,/rate,base,set.rate\n1,,5,7,5\n");
}

TEST_F(SweepCommand, AUserErrorInAPointEndsWithTheUsersCode) {
  write_sweep(R"("points": [{"/fail": 2}, {"/fail": 70}])");
  EXPECT_EQ(sweep(), 2);
}

TEST_F(SweepCommand, ShardsMergeIntoTheWholeTable) {
  write_sweep(R"("grid": {"/rate": [1, 2, 3]})");
  EXPECT_EQ(sweep({}, "whole"), 0);
  EXPECT_EQ(sweep({"--shard", "1/2"}, "a"), 0);
  EXPECT_EQ(sweep({"--merge", (folder_ / "a").string()}, "half"), 1);
  EXPECT_EQ(sweep({"--shard", "2/2"}, "b"), 0);
  EXPECT_EQ(sweep({"--merge", (folder_ / "a").string(), (folder_ / "b").string()}, "merged"), 0);
  EXPECT_EQ(read("merged/sweep.csv"), read("whole/sweep.csv"));
  EXPECT_NE(read("a/sweep-1-of-2.csv"), "");
}

TEST_F(SweepCommand, AnInterruptStopsTheRunningPointsAndKeepsTheFinishedOnes) {
  write_sweep(R"("points": [{"/rate": 1}, {"/hang": true}, {"/rate": 2}])");
  // The signal must not be delivered to the thread that sends it.
  sigset_t interrupt;
  sigset_t before;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  sigprocmask(SIG_BLOCK, &interrupt, &before);
  std::thread user([this] {
    while (!fs::exists(folder_ / "out/point-0001.started"))
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    kill(getpid(), SIGINT);
  });
  sigprocmask(SIG_SETMASK, &before, nullptr);
  EXPECT_EQ(sweep({"-j", "1"}), 1);
  user.join();
  EXPECT_NE(errors_.find("interrupted with 1 of 3 points done"), std::string::npos) << errors_;
  EXPECT_EQ(read("out/sweep.csv"), "point,/rate,/hang,base,set.rate\n0,1,,7,1\n");
  EXPECT_FALSE(fs::exists(folder_ / "out/point-0002.runs"));
}

TEST_F(SweepCommand, AMissingExperimentEndsBeforeAnythingRuns) {
  write_sweep(R"("grid": {"/rate": [1]})");
  fs::remove(folder_ / "base.json");
  EXPECT_THROW((void)sweep(), ConfigError);
  testing::internal::GetCapturedStdout();
  testing::internal::GetCapturedStderr();
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

}  // namespace
}  // namespace kvsim

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "run")
    return kvsim::stand_in_for_run({argv + 1, argv + argc});
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
