// kvsim compare on the summaries of real runs.
#include "tests/cli/experiments.hpp"

namespace kvsim::cli_test {
namespace {

class CompareRuns : public CommandTest {
 protected:
  CompareRuns() {
    write("small.json", small_experiment().dump());
    write("gates.json", R"({"latency_s.ttft.p99": "+5%"})");
    EXPECT_EQ(kvsim({"run", "small.json", "-q", "-o", "base"}).exit_code, 0);
  }
  // The base's summary with another p99 of the time to first token.
  void write_candidate(double factor) const {
    Json summary = Json::parse(read("base/summary.json"));
    Json& value = summary["latency_s"]["ttft"]["p99"];
    value = value.get<double>() * factor;
    write("candidate/summary.json", summary.dump());
  }
};

TEST_F(CompareRuns, EqualRunsPassWithATableOnStandardOutput) {
  ASSERT_EQ(kvsim({"run", "small.json", "-q", "-o", "again"}).exit_code, 0);
  const CommandResult result = kvsim({"compare", "base", "again", "--gates", "gates.json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(result.out.starts_with("|")) << result.out;
  EXPECT_NE(result.out.find("latency_s.ttft.p99"), std::string::npos) << result.out;
  EXPECT_EQ(result.err, "");
}

TEST_F(CompareRuns, SixPercentWorseFailsUnderAGateOfFive) {
  write_candidate(1.06);
  const CommandResult result = kvsim({"compare", "base", "candidate", "--gates", "gates.json"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.out.find("+6.0"), std::string::npos) << result.out;
  EXPECT_EQ(result.err, "1 of 1 gates failed\n");
}

TEST_F(CompareRuns, FourPercentWorseAndAnyBetterPass) {
  for (const double factor : {1.04, 0.5}) {
    write_candidate(factor);
    EXPECT_EQ(kvsim({"compare", "base", "candidate", "--gates", "gates.json"}).exit_code, 0);
  }
}

TEST_F(CompareRuns, AGateOnAMetricThatIsNotThereIsAUserError) {
  write("gates.json", R"({"latency_s.ttft.p98": "+5%"})");
  const CommandResult result = kvsim({"compare", "base", "base", "--gates", "gates.json"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("latency_s.ttft.p98"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace kvsim::cli_test
