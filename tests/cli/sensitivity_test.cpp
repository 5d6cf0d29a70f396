// kvsim validate --sensitivity and --fit, and the model overrides that both work with.
#include <fmt/format.h>

#include <functional>
#include <sstream>

#include "tests/cli/experiments.hpp"

namespace kvsim::cli_test {
namespace {

using Sensitivity = CommandTest;

double mean_tpot(const std::string& summary) {
  return Json::parse(summary)["latency_s"]["tpot"]["mean"].get<double>();
}

TEST_F(Sensitivity, AModelOverrideChangesARunAndIsToldWithIt) {
  write("experiment.json", small_experiment().dump());
  ASSERT_EQ(kvsim({"run", "experiment.json", "-q", "-o", "a"}).exit_code, 0);
  const char* slower =
      R"(/model_overrides=[{"model":"gpu/l4","path":"/peaks/memory_bytes_per_s","times":0.5}])";
  ASSERT_EQ(kvsim({"run", "experiment.json", "-q", "-o", "b", "--set", slower}).exit_code, 0);
  EXPECT_GT(mean_tpot(read("b/summary.json")), 1.3 * mean_tpot(read("a/summary.json")));
  const Json assumed = Json::parse(read("b/summary.json"))["provenance"]["assumed_profiles"];
  EXPECT_NE(assumed.dump().find("gpu/l4 /peaks/memory_bytes_per_s times 0.5"), std::string::npos);
  EXPECT_EQ(Json::parse(read("b/run.json"))["experiment"]["model_overrides"].size(), 1u);
}

TEST_F(Sensitivity, AnOverrideOfAnUnusedModelIsWarnedOf) {
  write("experiment.json", small_experiment().dump());
  const char* other =
      R"(/model_overrides=[{"model":"gpu/h100-sxm","path":"/peaks/power_w","times":0.5}])";
  ASSERT_EQ(kvsim({"run", "experiment.json", "-q", "-o", "a", "--set", other}).exit_code, 0);
  EXPECT_NE(read("a/summary.json").find("nothing here uses that model"), std::string::npos);
}

TEST_F(Sensitivity, AnOverrideOfNothingIsTheUsersError) {
  write("experiment.json", small_experiment().dump());
  const CommandResult result =
      kvsim({"run", "experiment.json", "-q", "--set",
             R"(/model_overrides=[{"model":"gpu/l4","path":"/peaks/no_such_s","times":0.5}])"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("memory_bytes_per_s"), std::string::npos) << result.err;
}

TEST_F(Sensitivity, TheTableTellsWhatMovesWhat) {
  write("experiment.json", small_experiment().dump());
  write("inputs.json", R"({"schema": "kvsim.sensitivity/1",
                           "inputs": ["gpu/l4 /peaks/memory_bytes_per_s", "gpu/l4 /peaks/power_w",
                                      "/load/rate_per_s"]})");
  const CommandResult result = kvsim(
      {"validate", "--sensitivity", "experiment.json", "--inputs", "inputs.json", "-o", "out"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("no effect: gpu/l4 /peaks/power_w"), std::string::npos) << result.out;
  const Json rows = Json::parse(read("out/sensitivity.json"))["inputs"];
  ASSERT_EQ(rows.size(), 3u);
  for (const Json& row : rows) {
    if (row["path"] != "/peaks/memory_bytes_per_s") continue;
    EXPECT_LT(row["elasticity"]["tpot"]["central"], -0.3);
    EXPECT_GT(row["elasticity"]["tpot"]["central"], -1.1);
  }
}

// Three cases of a made-up study, by rate.
void write_study(const std::function<void(const char*, std::string)>& write) {
  write("cases.csv",
        "case_id,study,gpu,model,completeness,split,load_level\n"
        "a,made-up,l4,q,A,dev,1\nb,made-up,l4,q,A,dev,4\nc,made-up,l4,q,A,dev,8\n");
  Json experiment = small_experiment();
  experiment.erase("schema");
  experiment.erase("name");
  experiment["load"]["rate_per_s"] = {{"$column", "load_level"}};
  experiment["pools"][0]["engine"]["version"] = "0.12";
  write("made-up.json",
        Json{{"schema", "kvsim.validation/1"}, {"studies", {"made-up"}}, {"experiment", experiment}}
            .dump());
  write("fit.json", R"({"schema": "kvsim.fit/1", "studies": ["made-up"], "noise": 0.01,
      "checked_folds": 0, "constants": [
        {"model": "engine/vllm", "path": "/versions/*/cpu_step_s", "prior": 0.001, "spread": 0.002,
         "low": 0, "high": 0.01, "reason": "test"}]})");
  write("true.json",
        R"([{"model": "engine/vllm", "path": "/versions/*/cpu_step_s", "value": 0.004}])");
}

// What a validation predicted, as measurements.
std::string measured(const std::string& predictions) {
  std::string out = "case_id,study,metric,stat,unit,value,flag\n";
  std::istringstream in(predictions);
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::vector<std::string> fields;
    std::istringstream split(line);
    for (std::string field; std::getline(split, field, ',');) fields.push_back(field);
    out += fmt::format("{},{},{},{},{},{},\n", fields[0], fields[1], fields[3], fields[4],
                       fields[5], fields[6]);
  }
  return out;
}

TEST_F(Sensitivity, AFitFindsTheConstantThatMeasurementsWereMadeWith) {
  write_study([&](const char* name, const std::string& text) { write(name, text); });
  const std::string here = folder().string();
  CommandResult result = kvsim({"validate", "--cases", "cases.csv", "--templates", here,
                                "--overrides", "true.json", "-o", "truth", "--quiet"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  write("measurements.csv", measured(read("truth/predictions.csv")));
  result = kvsim({"validate", "--fit", "fit.json", "--cases", "cases.csv", "--measurements",
                  "measurements.csv", "--templates", here, "-o", "fit", "--quiet"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json constant = Json::parse(read("fit/fit.json"))["constants"][0];
  EXPECT_NEAR(constant["value"].get<double>(), 0.004, 0.0006) << result.out;
}

}  // namespace
}  // namespace kvsim::cli_test
