// kvsim calibrate: what it writes, and what is left when it cannot or is killed.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "tests/cli/experiments.hpp"

namespace kvsim::cli_test {
namespace {

using namespace std::chrono_literals;

class Calibrate : public CommandTest {
 protected:
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder()))
      out.push_back(entry.path().filename());
    return out;
  }
  static bool one_line(const std::string& text) {
    return std::count(text.begin(), text.end(), '\n') == 1;
  }
};

TEST_F(Calibrate, WritesAProfileThatARunTakes) {
  const CommandResult result =
      kvsim({"calibrate", "--quick", "--only", "memory", "--path", ".", "--out", "p.json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(files(), std::vector<std::string>{"p.json"});
  const Json profile = Json::parse(read("p.json"));
  EXPECT_EQ(profile["schema"], "kvsim.calibration/1");
  EXPECT_GT(profile["figures"]["cpu"]["copy_bytes_per_s"], 1e8);
  EXPECT_EQ(profile["lanes"][0]["lane"], "host_copy");
  write("x.json", small_experiment().dump());
  const CommandResult run = kvsim({"run", "x.json", "--set", "/profile=p.json", "-o", "out"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json summary = Json::parse(read("out/summary.json"));
  const Json& profiles = summary["provenance"]["profiles"];
  EXPECT_NE(std::find(profiles.begin(), profiles.end(), "calibration/p"), profiles.end());
}

TEST_F(Calibrate, KilledAtAnyMomentLeavesNothing) {
  for (const auto moment : {50ms, 700ms, 2000ms}) {
    const pid_t child = fork();
    if (child == 0) {
      const int nothing = open("/dev/null", O_RDWR);
      for (const int stream : {0, 1, 2}) dup2(nothing, stream);
      if (chdir(folder().c_str()) != 0) _exit(99);
      execl(KVSIM_BINARY, KVSIM_BINARY, "calibrate", "--only", "rocksdb", "--path", ".", "--out",
            "p.json", nullptr);
      _exit(99);
    }
    std::this_thread::sleep_for(moment);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    for (int i = 0; i < 200 && !files().empty(); ++i) std::this_thread::sleep_for(20ms);
    EXPECT_TRUE(files().empty()) << files().front();
  }
}

TEST_F(Calibrate, AFolderThatIsNotThereIsToldInOneLine) {
  const CommandResult result =
      kvsim({"calibrate", "--only", "memory", "--path", "none", "--out", "p.json"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_TRUE(one_line(result.err)) << result.err;
  EXPECT_TRUE(files().empty());
}

TEST_F(Calibrate, APlaceThatCannotBeWrittenIsToldBeforeMeasuring) {
  const CommandResult result = kvsim({"calibrate", "--only", "memory", "--out", "/proc/p.json"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_TRUE(one_line(result.err)) << result.err;
}

TEST_F(Calibrate, ADeadServerIsToldInOneLine) {
  const CommandResult result = kvsim({"calibrate", "--only", "resp", "--path", ".", "--store",
                                      "redis://127.0.0.1:1", "--out", "p.json"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_TRUE(one_line(result.err)) << result.err;
  EXPECT_TRUE(files().empty());
}

TEST_F(Calibrate, PartsHaveNames) {
  const CommandResult result = kvsim({"calibrate", "--only", "ssd", "--out", "p.json"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("memory, disk, network, codec, resp, rocksdb, gpu"), std::string::npos)
      << result.err;
}

TEST_F(Calibrate, WithoutAGpuItSaysWhatIsMissing) {
  if (std::filesystem::exists("/dev/nvidia0")) GTEST_SKIP() << "there is a GPU";
  const CommandResult result =
      kvsim({"calibrate", "--only", "gpu", "--path", ".", "--out", "p.json"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_TRUE(one_line(result.err)) << result.err;
  EXPECT_TRUE(files().empty());
}

}  // namespace
}  // namespace kvsim::cli_test
