// Two LLMs in two pools, asked by a mixed workload.
#include <algorithm>
#include <map>
#include <sstream>

#include "tests/cli/experiments.hpp"

namespace kvsim::cli_test {
namespace {

class Mixed : public CommandTest {
 protected:
  // All requests of an LLM begin alike.
  static Json part(const std::string& llm, const std::string& tenant) {
    Json out = Json::parse(R"({
      "share": 0.5,
      "workload": {
        "kind": "generate",
        "requests": 30,
        "input": {"kind": "constant", "value": 64},
        "output": {"kind": "constant", "value": 8},
        "prefix": {"groups": 1, "length": {"kind": "constant", "value": 512}}
      }
    })");
    out["llm"] = llm;
    out["tenant"] = tenant;
    return out;
  }
  static Json experiment() {
    Json out = {{"schema", "kvsim.experiment/1"},
                {"workload",
                 {{"kind", "mix"}, {"parts", {part("qwen3-0.6b", "a"), part("qwen3-8b", "b")}}}},
                {"load", {{"kind", "poisson"}, {"rate_per_s", 1}}}};
    for (const char* llm : {"qwen3-0.6b", "qwen3-8b"})
      out["pools"].push_back({{"name", llm}, {"llm", llm}, {"gpu", "h100-sxm"}});
    return out;
  }
  CommandResult run(const Json& json) {
    write("mix.json", json.dump());
    return kvsim({"run", "mix.json", "-q", "-o", "out"});
  }
  // Of requests.csv, by the name of the column.
  [[nodiscard]] std::vector<std::map<std::string, std::string>> rows() const {
    std::istringstream in(read("out/requests.csv"));
    std::vector<std::string> header;
    std::vector<std::map<std::string, std::string>> out;
    for (std::string line; std::getline(in, line);) {
      std::istringstream fields(line);
      std::map<std::string, std::string> row;
      std::size_t column = 0;
      for (std::string field; std::getline(fields, field, ','); ++column) {
        if (out.empty() && header.size() == column) header.push_back(field);
        row[header[column]] = field;
      }
      out.push_back(row);
    }
    if (!out.empty()) out.erase(out.begin());
    return out;
  }
};

TEST_F(Mixed, EachLlmIsServedByItsPoolAndHitsNothingOfTheOther) {
  const CommandResult result = run(experiment());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::map<std::string, int> count;
  std::map<std::string, int> cold;
  for (const auto& row : rows()) {
    EXPECT_EQ(row.at("outcome"), "completed");
    ++count[row.at("replica")];
    cold[row.at("replica")] += row.at("hit_tokens_hbm") == "0" ? 1 : 0;
  }
  EXPECT_EQ(count, (std::map<std::string, int>{{"0", 30}, {"1", 30}}));
  EXPECT_GE(cold["0"], 1);  // the first of each LLM finds nothing
  EXPECT_GE(cold["1"], 1);
  EXPECT_LT(cold["0"] + cold["1"], 10);  // the others find the prefix
}

TEST_F(Mixed, PartsWithoutAnLlmAskTheFirstPool) {
  Json json = experiment();
  json["workload"]["parts"][1].erase("llm");
  const CommandResult result = run(json);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const auto& row : rows()) EXPECT_EQ(row.at("replica"), "0");
}

TEST_F(Mixed, AnUnknownLlmIsAnErrorThatNamesThePools) {
  Json json = experiment();
  json["workload"]["parts"][1]["llm"] = "llama-3.1-8b";
  const CommandResult result = run(json);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("/workload/parts/1/llm"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("qwen3-0.6b, qwen3-8b"), std::string::npos) << result.err;
}

TEST_F(Mixed, ComplaintsNameThePart) {
  Json json = experiment();
  json["workload"]["parts"][1]["workload"]["input"] = {{"kind", "uniform"}, {"min", 9}, {"max", 3}};
  const CommandResult result = run(json);
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("/workload/parts/1/workload/input"), std::string::npos) << result.err;
}

TEST_F(Mixed, ClosedLoopsAndSessionsWork) {
  Json json = experiment();
  json["load"] = {{"kind", "closed_loop"}, {"clients", 4}};
  json["workload"]["parts"][0]["workload"]["sessions"] = {{"count", 5}};
  const CommandResult result = run(json);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(Json::parse(read("out/summary.json"))["requests"]["unfinished"], 0);
}

TEST_F(Mixed, TracesWithoutSharesKeepTheirTimes) {
  Json json = experiment();
  json["load"] = Json::object();
  json["workload"]["parts"] = Json::array();
  for (const char* llm : {"qwen3-0.6b", "qwen3-8b"})
    json["workload"]["parts"].push_back(
        {{"llm", llm}, {"workload", {{"path", source("traces/mooncake.jsonl")}}}});
  for (Json& pool : json["pools"]) pool["engine"]["max_model_len"] = 40000;
  const CommandResult result = run(json);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::map<std::string, int> count;
  for (const auto& row : rows()) ++count[row.at("replica")];
  EXPECT_EQ(count["0"], count["1"]);
  EXPECT_GT(count["0"], 0);
}

TEST_F(Mixed, AWrittenTraceKeepsLlmsAndTenants) {
  const Json json = experiment();
  ASSERT_EQ(run(json).exit_code, 0);
  const std::string summary = read("out/requests.csv");
  const CommandResult written = kvsim({"trace", "convert", "mix.json", "-o", "mix.kvt"});
  ASSERT_EQ(written.exit_code, 0) << written.err;
  Json replay = json;
  replay["workload"] = {{"path", "mix.kvt"}};
  replay.erase("load");
  ASSERT_EQ(run(replay).exit_code, 0);
  EXPECT_EQ(read("out/requests.csv"), summary);
}

}  // namespace
}  // namespace kvsim::cli_test
