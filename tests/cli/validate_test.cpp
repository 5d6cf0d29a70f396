// kvsim validate from a made-up index of cases to predictions, errors and exit codes.
#include <algorithm>

#include "tests/cli/experiments.hpp"

namespace kvsim::cli_test {
namespace {

// Closed loops of 1 and 4 clients on one server life.
Json ladder() {
  Json experiment = small_experiment();
  for (const char* key : {"schema", "name", "slo"}) experiment.erase(key);
  experiment["workload"].erase("sessions");
  experiment["workload"]["requests"] = 1000;
  experiment["load"] = {{"kind", "closed_loop"}, {"duration_s", 5}, {"at_end", "cancel"}};
  experiment["pools"][0]["replicas"] = {{"$column", "replicas"}};
  return {{"schema", "kvsim.validation/1"},
          {"studies", {"made_up"}},
          {"run_by", {"replicas"}},
          {"levels", {1, 4}},
          {"level", {{"$column", "load_level"}}},
          {"experiment", experiment},
          {"stage", {{"load", {{"clients", {{"$level", true}}}}}}},
          {"count", {{"requests", "completed"}, {"seconds", "duration"}}}};
}

class Validate : public CommandTest {
 protected:
  Validate() {
    write("templates/made_up.json", ladder().dump());
    write("templates/other.json", R"({"schema": "kvsim.something/1"})");
    write_cases(
        "a,made_up,1,1,A,dev,l4,m\nb,made_up,1,4,A,dev,l4,m\nc,made_up,2,4,A,blind,l4,m\n"
        "d,made_up,2,1,C,dev,l4,m\n");
    write("m.csv",
          "case_id,study,metric,stat,unit,value,flag\n"
          "a,made_up,ttft,mean,ms,10,\nb,made_up,ttft,mean,ms,20,\n"
          "b,made_up,gpu_active,mean,%,50,\n");
  }
  void write_cases(const std::string& rows) const {
    write("c.csv", "case_id,study,replicas,load_level,completeness,split,gpu,model\n" + rows);
  }
  CommandResult validate(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"validate", "--cases",     "c.csv",     "--measurements",
                                          "m.csv",    "--templates", "templates", "-o",
                                          "out",      "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return kvsim(arguments);
  }
  [[nodiscard]] std::size_t lines(const std::string& file) const {
    const std::string text = read(file);
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
};

TEST_F(Validate, EveryCaseOfTheUsualGradesGetsPredictions) {
  const CommandResult result = validate();
  ASSERT_EQ(result.exit_code, 0) << result.err << result.out;
  const std::string predictions = read("out/predictions.csv");
  EXPECT_EQ(lines("out/predictions.csv"), 1u + 1 + 2 + 10) << predictions;
  EXPECT_NE(predictions.find("\na,made_up,dev,ttft,mean,ms,"), std::string::npos);
  EXPECT_NE(predictions.find("\nc,made_up,blind,output_throughput,total,tok/s,"),
            std::string::npos);
  EXPECT_NE(result.out.find("no prediction: gpu_active (1)"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("2 runs, 0 taken over, 0 failed"), std::string::npos) << result.out;
  const Json errors = Json::parse(read("out/errors.json"));
  EXPECT_EQ(errors["errors"][0]["count"], 2);
  EXPECT_FALSE(exists("out/runs/made_up/a/requests.csv"));
}

TEST_F(Validate, TheExperimentOfARunCanBeRunAsItIs) {
  ASSERT_EQ(validate({"--case", "a", "--keep"}).exit_code, 0);
  EXPECT_EQ(lines("out/predictions.csv"), 2u);
  const std::string requests = read("out/runs/made_up/a/requests.csv");
  EXPECT_NE(requests, "");
  ASSERT_EQ(kvsim({"run", "out/runs/made_up/a/experiment.json", "-q", "-o", "again"}).exit_code, 0);
  EXPECT_EQ(read("again/requests.csv"), requests);
}

TEST_F(Validate, ResumeTakesOverWhatWasCounted) {
  ASSERT_EQ(validate().exit_code, 0);
  const std::string first = read("out/predictions.csv");
  const CommandResult again = validate({"--resume"});
  EXPECT_NE(again.out.find("2 runs, 2 taken over"), std::string::npos) << again.out;
  EXPECT_EQ(read("out/predictions.csv"), first);
  Json other = ladder();
  other["experiment"]["seed"] = 5;
  write("templates/made_up.json", other.dump());
  const CommandResult changed = validate({"--resume"});
  EXPECT_NE(changed.out.find("2 runs, 0 taken over"), std::string::npos) << changed.out;
}

TEST_F(Validate, ARunThatFailsIsToldAndTheOthersGoOn) {
  write_cases("a,made_up,1,1,A,dev,l4,m\nb,made_up,-1,4,A,dev,l4,m\n");
  const CommandResult result = validate();
  EXPECT_EQ(result.exit_code, 1) << result.out;
  EXPECT_NE(result.err.find("made_up/b failed with exit code 2"), std::string::npos) << result.err;
  EXPECT_NE(read("out/predictions.csv").find("b,made_up,dev,ttft,mean,ms,,20,,,\n"),
            std::string::npos);
  EXPECT_NE(result.out.find("2 runs, 0 taken over, 1 failed"), std::string::npos) << result.out;
}

TEST_F(Validate, ATemplateWithAnErrorIsToldWithItsPath) {
  write("templates/made_up.json", R"({"schema": "kvsim.validation/1", "studies": ["made_up"],
                                      "experiment": {"x": {"$column": "none"}}})");
  const CommandResult result = validate();
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("made_up.json: /experiment/x/$column: found \"none\""),
            std::string::npos)
      << result.err;
}

TEST_F(Validate, FiltersThatMatchNothingAreErrors) {
  const CommandResult result = validate({"--study", "mode_up"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("--study: found \"mode_up\""), std::string::npos) << result.err;
}

TEST_F(Validate, PlanWritesExperimentsAndRunsNothing) {
  const CommandResult result = validate({"--plan", "--split", "dev", "--completeness", "A,C"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("2 runs planned"), std::string::npos) << result.out;
  EXPECT_TRUE(exists("out/runs/made_up/c/experiment.json"));
  EXPECT_FALSE(exists("out/runs/made_up/c/summary.json"));
}

// Ten published runs, cited one by one (configs/validation/cited/README.md).
TEST_F(Validate, TheCitedFiguresKeepTheirBounds) {
  const std::string cited = KVSIM_SOURCE_DIR "/configs/validation/cited/";
  const CommandResult result =
      kvsim({"validate", "--cases", cited + "cases.csv", "--measurements",
             cited + "measurements.csv", "--gates", cited + "gates.json", "-o", "out", "--quiet"});
  EXPECT_EQ(result.exit_code, 0) << result.err << result.out;
}

TEST_F(Validate, ABrokenBoundIsToldAndTheExitCodeSaysSo) {
  write("gates.json", R"({"schema": "kvsim.validation-gates/1",
                          "gates": [{"metric": "ttft", "worst_percent": 0.001}]})");
  const CommandResult result = validate({"--gates", "gates.json"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("ttft: worst error"), std::string::npos) << result.err;
}

TEST_F(Validate, APageGetsItsTables) {
  std::string page = "before\n";
  for (const char* part :
       {"errors by all", "errors by study", "errors by gpu", "errors by model", "grades"})
    page += std::string("<!-- ") + part + " -->\n<!-- end of " + part + " -->\n";
  write("page.md", page);
  EXPECT_EQ(validate({"--page", "page.md"}).exit_code, 0);
  EXPECT_NE(read("page.md").find("| made_up | A |"), std::string::npos) << read("page.md");
  EXPECT_EQ(read("page.md").substr(0, 7), "before\n");
}

}  // namespace
}  // namespace kvsim::cli_test
