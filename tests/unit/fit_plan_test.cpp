#include "sim/validate/fit_plan.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/validate/fit_report.hpp"

namespace kvsim {
namespace {

ValidationCase case_of(const char* id, const char* study, const char* gpu) {
  return {{{"case_id", id}, {"study", study}, {"gpu", gpu}, {"model", "m"}, {"split", "dev"}}};
}

PlannedRun run_of(const char* study, std::vector<std::size_t> cases) {
  PlannedRun run;
  run.study = study;
  for (const std::size_t index : cases) run.cuts.push_back({index, CaseCut::Of::kAll, 0, {}});
  return run;
}

FitPlan plan_of(const char* more = "") {
  const Json json = Json::parse(std::string(R"({
    "schema": "kvsim.fit/1",
    "constants": [{"model": "engine/vllm", "path": "/versions/*/cpu_step_s", "prior": 1,
                   "spread": 0.5, "low": 0, "high": 3, "reason": "test"}],
    "studies": ["s"])") + more + "}");
  return read_config<FitPlan>(ConfigNode(json, "fit.json"));
}

TEST(FitPlan, WholeRunsAreTakenFromEachKindInTurn) {
  const std::vector<ValidationCase> cases = {case_of("a", "s", "h100"), case_of("b", "s", "h100"),
                                             case_of("c", "s", "h100"), case_of("d", "s", "l4"),
                                             case_of("e", "other", "l4")};
  const std::vector<PlannedRun> runs = {run_of("s", {0, 1}), run_of("s", {2}), run_of("s", {3}),
                                        run_of("other", {4})};
  EXPECT_EQ(thin_cases(plan_of(R"(, "max_cases_per_study": 3)"), runs, cases),
            (std::vector<std::size_t>{0, 1, 3}));
  EXPECT_EQ(thin_cases(plan_of(R"(, "max_cases_per_study": 9)"), runs, cases),
            (std::vector<std::size_t>{0, 1, 2, 3}));
}

TEST(FitPlan, APriorOutsideItsRangeIsRefused) {
  const Json json = Json::parse(R"({"schema": "kvsim.fit/1", "studies": [],
      "constants": [{"model": "a/b", "path": "/c", "prior": 9, "spread": 1, "low": 0, "high": 3,
                     "reason": ""}]})");
  const ConfigNode node(json, "fit.json");
  EXPECT_THROW(read_config<FitPlan>(node).check(node), ConfigError);
}

TEST(FitPlan, ValuesBecomeModelOverrides) {
  EXPECT_EQ(plan_of().overrides(Eigen::VectorXd::Constant(1, 2.5)).dump(),
            R"([{"model":"engine/vllm","path":"/versions/*/cpu_step_s","value":2.5}])");
}

TEST(FitPlan, RowsThatCountAreMeasuredUnflaggedAndOfItsStats) {
  const auto file = std::filesystem::temp_directory_path() / "kvsim-fit-rows.csv";
  std::ofstream(file) << "case_id,study,split,metric,stat,unit,predicted,actual,flag\n"
                         "a,s,dev,ttft,mean(not stated),s,2,1,\n"
                         "a,s,dev,ttft,p99,s,2,1,\n"
                         "a,s,dev,e2e,mean,s,2,1,overload\n"
                         "a,s,dev,itl,mean,s,,1,\n"
                         "a,s,dev,throughput,total,s,2,1,\n"
                         "a,s,dev,e2e,p50,s,2,,\n";
  FitPlan plan = plan_of();
  plan.left_out.push_back({"s", "throughput", "of the client"});
  const auto rows = read_measured_rows(file.string(), plan, {case_of("a", "s", "h100")});
  std::filesystem::remove(file);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_NEAR(rows[0].residual, std::log(2), 1e-12);
  EXPECT_EQ(rows[0].gpu, "h100");
  EXPECT_TRUE(std::isnan(rows[1].residual)) << "no prediction";
}

// What a made-up fit of three rows reports and writes.
FitOutcome outcome() {
  FitOutcome out;
  out.plan = plan_of();
  out.before = {{"a", "s", "h100", "m", "ttft mean", "ttft", 0.2},
                {"b", "s", "h100", "m", "ttft mean", "ttft", 0.1},
                {"c", "s", "l4", "m", "ttft mean", "ttft", 0.1}};
  Linearised& end = out.fit.end;
  end.at = Eigen::VectorXd::Constant(1, 1.23456);
  end.residuals = Eigen::VectorXd::Constant(3, std::log(1.01));
  end.jacobian = Eigen::MatrixXd::Constant(3, 1, 0.1);
  end.weights = Eigen::VectorXd::Constant(3, 1.0 / 3);
  out.half_widths = Eigen::VectorXd::Constant(1, 5);
  out.cross.push_back({"gpu", {{"l4", end.at, {2}, Eigen::VectorXd::Constant(1, 0.3)}}, {}});
  return out;
}

TEST(FitReport, HeldOutRowsAreThoseOfTheirFold) {
  const Eigen::VectorXd residuals = outcome().cross_validated(outcome().cross[0]);
  EXPECT_EQ(residuals[2], 0.3);
  EXPECT_EQ(residuals[0], std::log(1.01));
}

TEST(FitReport, TheTableTellsMedianErrorsBeforeAndAfter) {
  const std::string table = fit_table(outcome());
  EXPECT_NE(table.find("engine/vllm cpu_step_s"), std::string::npos) << table;
  EXPECT_NE(table.find("10.5        1.0           1.0"), std::string::npos) << table;
}

TEST(FitReport, AValueIsNotedWithAnIntervalInsideItsRange) {
  Json file = {{"versions", Json::array()}};
  put_fitted(file, "engine/vllm", outcome());
  put_fitted(file, "engine/vllm", outcome());  // replaces itself
  EXPECT_EQ(file["fitted"].dump(),
            R"([{"path":"/versions/*/cpu_step_s","value":1.235,"low_95":0.0,"high_95":3.0}])");
}

TEST(FitReport, TheLayoutOfEngineFilesIsKept) {
  const std::string path = std::string(KVSIM_SOURCE_DIR) + "/models/engine/vllm.json";
  std::ifstream in(path);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  EXPECT_EQ(engine_text(load_json(path)), text);
}

TEST(FitReport, TheMedianIsOfTheSizesOfErrors) {
  EXPECT_NEAR(median_percent({std::log(1.1), std::log(0.5), 0}), 10, 1e-9);
  EXPECT_EQ(median_percent({}), 0);
}

}  // namespace
}  // namespace kvsim
