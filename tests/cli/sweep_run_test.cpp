// A sweep of real runs equals the runs made one by one.
#include <algorithm>

#include "tests/cli/experiments.hpp"

namespace kvsim::cli_test {
namespace {

class SweepRuns : public CommandTest {
 protected:
  SweepRuns() {
    write("small.json", small_experiment().dump());
    write_sweep(R"("/load/rate_per_s": [1, 4, 16], "/pools/0/replicas": [1, 2])");
  }
  void write_sweep(const std::string& grid) const {
    write("sweep.json",
          R"({"schema": "kvsim.sweep/1", "experiment": "small.json", "grid": {)" + grid + "}}");
  }
  CommandResult sweep(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"sweep", "sweep.json", "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return kvsim(arguments);
  }
  static std::string point(int index) {
    return "point-00" + std::string(index < 10 ? "0" : "") + std::to_string(index);
  }
};

TEST_F(SweepRuns, TwentyPointsEqualTwentySingleRuns) {
  write_sweep(R"("/load/rate_per_s": [1, 2, 4, 8, 16], "/pools/0/replicas": [1, 2],
                 "/router": ["random", {"kind": "prefix-aware", "view_refresh_s": 0}])");
  const CommandResult result = sweep({"-o", "out"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string csv = read("out/sweep.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 21) << csv;
  int index = 0;
  for (const char* rate : {"1", "2", "4", "8", "16"})
    for (const char* replicas : {"1", "2"})
      for (const char* router : {"random", R"({"kind": "prefix-aware", "view_refresh_s": 0})"}) {
        const std::vector<std::string> single = {"run",
                                                 "small.json",
                                                 "-q",
                                                 "-o",
                                                 "one",
                                                 "--set",
                                                 "/load/rate_per_s=" + std::string(rate),
                                                 "--set",
                                                 "/pools/0/replicas=" + std::string(replicas),
                                                 "--set",
                                                 "/router=" + std::string(router)};
        ASSERT_EQ(kvsim(single).exit_code, 0);
        const std::string summary = read("one/summary.json");
        EXPECT_FALSE(summary.empty());
        EXPECT_EQ(read("out/" + point(index) + "/summary.json"), summary) << index;
        ++index;
      }
}

TEST_F(SweepRuns, FinishedPointsAreNotRunAgain) {
  ASSERT_EQ(sweep({"-o", "out", "--shard", "1/4"}).exit_code, 0);
  const auto before = std::filesystem::last_write_time(folder() / "out/point-0000/summary.json");
  std::filesystem::remove_all(folder() / "out/point-0004");
  ASSERT_EQ(sweep({"-o", "out", "--shard", "1/4"}).exit_code, 0);
  EXPECT_EQ(std::filesystem::last_write_time(folder() / "out/point-0000/summary.json"), before);
  EXPECT_TRUE(exists("out/point-0004/summary.json"));
}

TEST_F(SweepRuns, ShardsMergeToTheTableOfTheWholeSweep) {
  ASSERT_EQ(sweep({"-o", "whole"}).exit_code, 0);
  for (const char* shard : {"1/3", "2/3", "3/3"})
    ASSERT_EQ(sweep({"-o", std::string("part-") + shard[0], "--shard", shard}).exit_code, 0);
  const CommandResult merge = sweep({"-o", "merged", "--merge", "part-1", "part-2", "part-3"});
  EXPECT_EQ(merge.exit_code, 0) << merge.err;
  EXPECT_EQ(read("merged/sweep.csv"), read("whole/sweep.csv"));
}

TEST_F(SweepRuns, APointThatIsWrongFailsTheSweepAndTheOthersRun) {
  write("sweep.json", R"({"schema": "kvsim.sweep/1", "experiment": "small.json",
                          "points": [{"/seed": 1}, {"/seed": -1}]})");
  const CommandResult result = sweep({"-o", "out"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("/seed: found -1"), std::string::npos) << result.err;
  EXPECT_TRUE(exists("out/point-0000/summary.json"));
  EXPECT_FALSE(exists("out/point-0001/summary.json"));
}

}  // namespace
}  // namespace kvsim::cli_test
