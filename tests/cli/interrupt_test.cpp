// Ctrl-C in a long run: what was measured so far is written, marked incomplete.
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

class Interrupt : public CommandTest {
 protected:
  // Starts a run of more requests than anybody waits for, lets it come some way, and sends
  // `signal`.
  int interrupted(int signal) {
    Json experiment = small_experiment();
    experiment["workload"]["sessions"]["count"] = 1'000'000'000;
    experiment["load"] = {{"kind", "poisson"}, {"rate_per_s", 20}};
    write("long.json", experiment.dump());
    const pid_t child = fork();
    if (child == 0) {
      const int nothing = open("/dev/null", O_RDWR);
      for (const int stream : {0, 1, 2}) dup2(nothing, stream);
      if (chdir(folder().c_str()) != 0) _exit(99);
      execl(KVSIM_BINARY, KVSIM_BINARY, "run", "long.json", "-o", "out", nullptr);
      _exit(99);
    }
    for (int i = 0; i < 200 && written() < 1'000'000; ++i) std::this_thread::sleep_for(50ms);
    kill(child, signal);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  // Bytes of requests.csv under way.
  [[nodiscard]] std::uintmax_t written() const {
    std::error_code none;
    const auto size = std::filesystem::file_size(folder() / "out/requests.csv.partial", none);
    return none ? 0 : size;
  }
};

TEST_F(Interrupt, WritesWhatWasMeasuredSoFarMarkedIncomplete) {
  EXPECT_EQ(interrupted(SIGINT), 130);
  const Json summary = Json::parse(read("out/summary.json"));
  EXPECT_EQ(summary["incomplete"], true);
  EXPECT_GT(summary["requests"]["completed"], 1000);
  const std::string csv = read("out/requests.csv");
  EXPECT_EQ(csv.back(), '\n');
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n') - 1, summary["requests"]["arrived"]);
  for (const auto& entry : std::filesystem::directory_iterator(folder() / "out"))
    EXPECT_NE(entry.path().extension(), ".partial") << entry.path();
}

TEST_F(Interrupt, BeingTerminatedDoesTheSame) {
  EXPECT_EQ(interrupted(SIGTERM), 143);
  EXPECT_EQ(Json::parse(read("out/summary.json"))["incomplete"], true);
}

TEST_F(Interrupt, AnIncompleteRunIsNoBaseToCompareWith) {
  interrupted(SIGINT);
  write("gates.json", R"({"latency_s.ttft.p99": "+5%"})");
  const CommandResult result = kvsim({"compare", "out", "out", "--gates", "gates.json"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("incomplete"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace kvsim::cli_test
