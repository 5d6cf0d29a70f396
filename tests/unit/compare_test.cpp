#include "sim/report/compare.hpp"

#include <gtest/gtest.h>

#include "sim/report/summary.hpp"
#include "tests/unit/request_records.hpp"

namespace kvsim {
namespace {

NamedSummary summary(const char* file, double ttft_scale = 1) {
  Recorder recorder;
  for (int i = 0; i < 200; ++i) {
    recorder.arrived();
    recorder.finished(completed_record(i, 0.1 * i, ttft_scale * (0.1 + 0.001 * i), 0.02, 11));
  }
  RunFacts facts;
  facts.simulated = Seconds(30);
  facts.resources = {{"gpu-0", "gpu", 0.5, Bytes(0), Seconds(15)}};
  return {file, summarise(recorder, facts)};
}

std::vector<Gate> gates(const std::string& text) {
  const Json json = Json::parse(text);
  return read_gates(ConfigNode(json, "gates.json"));
}

bool passes(const std::string& gate, double base, double candidate) {
  const NamedSummary before{"base", {{"x", base}}};
  const NamedSummary after{"candidate", {{"x", candidate}}};
  return check_gates(before, after, gates("{\"x\": \"" + gate + "\"}")).front().passed;
}

TEST(Compare, EqualRunsPassEveryGate) {
  const auto rows = check_gates(summary("a"), summary("b"),
                                gates(R"({"latency_s.ttft.p99": "+0%", "requests.failed": "+0",
                                          "throughput.output_tokens_per_s": "-0%"})"));
  ASSERT_EQ(rows.size(), 3u);
  for (const Comparison& row : rows) EXPECT_TRUE(row.passed) << row.path;
}

TEST(Compare, SixPercentWorseFailsAFivePercentGate) {
  const auto gate = gates(R"({"latency_s.ttft.p99": "+5%"})");
  EXPECT_FALSE(check_gates(summary("a"), summary("b", 1.06), gate).front().passed);
  EXPECT_TRUE(check_gates(summary("a"), summary("b", 1.04), gate).front().passed);
}

TEST(Compare, AGateBoundsOneDirectionOnly) {
  EXPECT_TRUE(passes("+5%", 100, 10));
  EXPECT_TRUE(passes("-3%", 100, 1000));
  EXPECT_TRUE(passes("-3%", 100, 97));
  EXPECT_FALSE(passes("-3%", 100, 96.9));
}

TEST(Compare, WithoutPercentTheBoundIsInTheMetricsUnit) {
  EXPECT_TRUE(passes("+0", 3, 3));
  EXPECT_FALSE(passes("+0", 3, 4));
  EXPECT_TRUE(passes("+2", 3, 5));
  EXPECT_FALSE(passes("-0.5", 3, 2.4));
}

TEST(Compare, ABaseOfZeroAllowsNoRelativeRise) {
  EXPECT_TRUE(passes("+5%", 0, 0));
  EXPECT_FALSE(passes("+5%", 0, 1e-9));
}

TEST(Compare, ResourcesAreAddressedByName) {
  const auto rows =
      check_gates(summary("a"), summary("b"), gates(R"({"resources.gpu-0.utilisation": "+1%"})"));
  EXPECT_EQ(rows.front().base, 0.5);
}

TEST(Compare, AMissingPathListsCloseNames) {
  try {
    (void)check_gates(summary("a.json"), summary("b"), gates(R"({"latency_s.tfft.p99": "+5%"})"));
    FAIL();
  } catch (const ConfigError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("a.json: found no number \"latency_s.tfft.p99\""), std::string::npos);
    EXPECT_NE(message.find("latency_s.ttft.p99"), std::string::npos) << message;
  }
}

TEST(Compare, AnIncompleteRunIsNoBaseForAGate) {
  NamedSummary cut = summary("b");
  cut.json["incomplete"] = true;
  EXPECT_THROW((void)check_gates(summary("a"), cut, gates(R"({"requests.failed": "+0"})")),
               ConfigError);
}

TEST(Compare, MalformedGatesNameTheirPath) {
  for (const char* bad : {R"({"a": "5%"})", R"({"a": "+x"})", R"({"a": "+"})", R"({"a": "+-5%"})",
                          R"({"a": 5})", R"({"a": "+5 %%"})", R"({"a": "+inf"})", R"({"a": ""})"}) {
    try {
      (void)gates(bad);
      FAIL() << bad;
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find("gates.json: /a: found"), std::string::npos)
          << error.what();
    }
  }
  EXPECT_THROW((void)gates("{}"), ConfigError);
  EXPECT_THROW((void)gates("[]"), ConfigError);
}

TEST(Compare, WithoutGatesTheUsualMetricsAreShown) {
  const auto rows = compare_usual(summary("a"), summary("b", 1.5));
  EXPECT_GT(rows.size(), 10u);
  for (const Comparison& row : rows) EXPECT_TRUE(row.passed);
}

TEST(Compare, TheMarkdownTableShowsChangeAndVerdict) {
  EXPECT_EQ(to_markdown({{"a.b", 2, 3, "+5%", false}, {"c", 0, 0, "", true}}),
            "| metric | base | candidate | change | gate | pass |\n"
            "|---|---:|---:|---:|---:|---|\n"
            "| a.b | 2 | 3 | +50.00 % | +5% | **no** |\n"
            "| c | 0 | 0 | 0 |  |  |\n");
}

TEST(Compare, JunitHasACasePerGate) {
  const std::string xml = to_junit({{"a<b", 2, 3, "+5%", false}, {"c", 1, 1, "+0", true}});
  EXPECT_NE(xml.find("tests=\"2\" failures=\"1\""), std::string::npos) << xml;
  EXPECT_NE(xml.find("name=\"a&lt;b\""), std::string::npos) << xml;
  EXPECT_NE(xml.find("<failure message=\"2 became 3 (+50.00 %); gate +5%\"/>"), std::string::npos)
      << xml;
}

}  // namespace
}  // namespace kvsim
