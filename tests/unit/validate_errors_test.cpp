// Predictions of cut runs, their errors and what they decide.
#include <cmath>
#include <fstream>
#include <sstream>

#include "sim/validate/error_table.hpp"
#include "sim/validate/grades.hpp"
#include "sim/validate/run_files.hpp"
#include "tests/unit/request_records.hpp"
#include "tests/unit/validate_files.hpp"

namespace kvsim {
namespace {

using Predicting = ValidateFiles;
using Grading = ValidateFiles;
using RunFiles = ValidateFiles;

StageOutcome stage_of(double ttft, std::int64_t output) {
  StageOutcome out;
  out.requests = {completed_record(0, 0, ttft, 0.1, output)};
  out.end = out.requests[0].ended;
  return out;
}

ValidationCase case_of(const std::string& id, const std::string& tier,
                       const std::string& grade = "A") {
  ValidationCase out;
  out.columns = {{"case_id", id}, {"study", "s"}, {"split", "dev"},       {"tier", tier},
                 {"gpu", "L4"},   {"model", "m"}, {"completeness", grade}};
  return out;
}

Prediction prediction(std::size_t of_case, const std::string& metric, double predicted,
                      double actual, const std::string& flag = "") {
  return {of_case, metric, "mean", "s", predicted, actual, flag};
}

TEST_F(Predicting, ACaseWithoutMeasurementsGetsTheUsualQuestions) {
  const std::vector<ValidationCase> cases = {case_of("a", ""), case_of("b", "")};
  const auto wanted = wanted_predictions(cases, {{"b", "s", "ttft", "p95", "ms", 7, "overload"}});
  EXPECT_EQ(wanted.at(0).size(), 10u);
  ASSERT_EQ(wanted.at(1).size(), 1u);
  EXPECT_EQ(wanted[1][0].of_case, 1u);
  EXPECT_EQ(wanted[1][0].actual, 7);
  EXPECT_EQ(wanted[1][0].flag, "overload");
}

TEST_F(Predicting, EachCutSeesItsPartOfTheRun) {
  PlannedRun run;
  run.levels = {"1", "10"};
  run.cuts = {{0, CaseCut::Of::kStage, 1, {}},
              {1, CaseCut::Of::kAll, 0, {}},
              {2, CaseCut::Of::kBest, 0, Json(10)}};
  std::vector<std::vector<Prediction>> wanted(3);
  for (std::size_t i = 0; i < 3; ++i)
    wanted[i].push_back({i, "ttft", "mean", "s", std::nullopt, 2, ""});
  // The first stage makes 11 tokens in 1.5 s, the second 11 tokens in 4 s.
  const auto out = predict(run, {stage_of(0.5, 11), stage_of(3, 11)}, wanted);
  ASSERT_EQ(out.size(), 4u);
  EXPECT_DOUBLE_EQ(*out[0].predicted, 3);
  EXPECT_DOUBLE_EQ(*out[0].signed_percent(), 50);
  EXPECT_DOUBLE_EQ(*out[1].predicted, 1.75);
  EXPECT_DOUBLE_EQ(*out[2].predicted, 0.5);
  EXPECT_EQ(out[3].metric, "peak_level");
  EXPECT_EQ(out[3].predicted, 1);
  EXPECT_EQ(out[3].actual, 10);
}

TEST_F(Predicting, TheTableHasARowForEachPredictionAndEmptyFieldsForWhatIsUnknown) {
  const std::vector<ValidationCase> cases = {case_of("a,b", "")};
  const std::string file = (folder_ / "p.csv").string();
  write_predictions(file, cases,
                    {{0, "ttft", "mean", "ms", 110, 100, "x"},
                     {0, "e2e", "p99", "s", 5, std::nullopt, ""},
                     {0, "itl", "mean", "s", std::nullopt, 1, ""}});
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  EXPECT_EQ(
      text.str(),
      "case_id,study,split,metric,stat,unit,predicted,actual,ape_percent,signed_percent,flag\n"
      "\"a,b\",s,dev,ttft,mean,ms,110,100,10,10,x\n"
      "\"a,b\",s,dev,e2e,p99,s,5,,,,\n"
      "\"a,b\",s,dev,itl,mean,s,,1,,,\n");
}

TEST_F(Predicting, CountedRunsCanBeReadAgain) {
  const std::vector<ValidationCase> cases = {case_of("a", ""), case_of("b", "")};
  const Json kept = predictions_json({prediction(1, "ttft", 3, 4, "f")}, cases);
  const auto read = read_predictions(kept, cases);
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].of_case, 1u);
  EXPECT_EQ(read[0].predicted, 3);
  EXPECT_EQ(read[0].flag, "f");
}

TEST(Errors, AreSummarisedBySizeAndSign) {
  const ErrorSummary e = summarise({-10, 20, -30, 40, -50});
  EXPECT_EQ(e.count, 5u);
  EXPECT_DOUBLE_EQ(e.median, 30);
  EXPECT_DOUBLE_EQ(e.mean, 30);
  EXPECT_DOUBLE_EQ(e.p90, 46);
  EXPECT_DOUBLE_EQ(e.worst, 50);
  EXPECT_DOUBLE_EQ(e.bias, -10);
}

TEST(Errors, TailsAreClassesOfTheirOwn) {
  EXPECT_EQ(metric_class("ttft", "p50(report: median)"), "ttft");
  EXPECT_EQ(metric_class("ttft", "p99"), "ttft tail");
  EXPECT_EQ(metric_class("tpot", "mean"), "itl");
  EXPECT_EQ(metric_class("tpot_incl_ttft", "mean"), "e2e");
  EXPECT_EQ(metric_class("success", "rate"), "other");
}

TEST(Errors, GradesAAndAMinusAreOneAndFlaggedOnesAreApart) {
  const std::vector<ValidationCase> cases = {case_of("a", "", "A"), case_of("b", "", "A-"),
                                             case_of("c", "", "B")};
  const auto rows = error_rows(
      cases, {prediction(0, "ttft", 11, 10), prediction(1, "ttft", 12, 10),
              prediction(2, "ttft", 5, 10, "overload"), prediction(2, "failures", 5, 0)});
  ASSERT_EQ(rows.size(), 8u);  // all, study, gpu, model; then the same, flagged
  EXPECT_EQ(rows[0].by, "all");
  EXPECT_EQ(rows[0].grade, "A");
  EXPECT_EQ(rows[0].errors.count, 2u);
  EXPECT_NEAR(rows[0].errors.median, 15, 1e-9);
  EXPECT_TRUE(rows[4].flagged);
  EXPECT_EQ(rows[4].grade, "B");
  EXPECT_NE(error_table(rows).find("flagged measurements only"), std::string::npos);
}

TEST_F(Grading, SignsRanksAndPeaksAreCountedWithinGroups) {
  std::vector<Study> studies;
  studies.emplace_back(write("t.json", R"({"schema": "kvsim.validation/1", "studies": ["s"],
      "experiment": {}, "grade": {"within": ["model"], "gain_against": {"tier": "^none"},
                                  "rank": true, "metric": "ttft"}})"));
  const std::vector<ValidationCase> cases = {case_of("a", "none"), case_of("b", "dram"),
                                             case_of("c", "disk"), case_of("d", "same")};
  PlannedRun run;
  run.study = "s";
  run.levels = {"1", "10", "50", "100"};
  run.cuts = {{0, CaseCut::Of::kBest, 0, Json(50)}, {1, CaseCut::Of::kBest, 0, Json(100)}};
  // Measured: dram +50 %, disk -20 %, same +3 % (noise). Predicted: +40 %, +10 %, -5 %.
  const auto grades =
      grade(studies, {run}, cases,
            {prediction(0, "ttft", 10, 100), prediction(1, "ttft", 14, 150),
             prediction(2, "ttft", 11, 80), prediction(3, "ttft", 9.5, 103),
             prediction(0, "peak_level", 10, 50), prediction(1, "peak_level", 10, 100)});
  ASSERT_EQ(grades.size(), 1u);
  EXPECT_EQ(grades[0].gains, 2u);
  EXPECT_EQ(grades[0].right_signs, 1u);
  EXPECT_NEAR(grades[0].gain_gap, 0.2, 1e-12);
  // none-dram, dram-disk and dram-same are in the right order, the other three are not.
  EXPECT_EQ(grades[0].ordered, 6u);
  EXPECT_NEAR(grades[0].kendall_tau, 0, 1e-12);
  EXPECT_EQ(grades[0].ordered_clear, 5u);
  EXPECT_NEAR(grades[0].kendall_tau_clear, 0.2, 1e-12);
  EXPECT_EQ(grades[0].peaks, 2u);
  EXPECT_EQ(grades[0].near_peaks, 1u);
}

constexpr const char* kHeader =
    "id,outcome,input_tokens,output_tokens,hit_tokens_hbm,hit_tokens_dram,sent_s,first_token_s,"
    "ended_s,queue_s,fetch_s";

TEST_F(RunFiles, StagesAreReadBackWithTheirTimesAndRequests) {
  (void)write("summary.json", R"({"stages": [{"name": "a", "begin_s": 0, "end_s": 5},
                                             {"name": "b", "begin_s": 6, "end_s": 9}]})");
  (void)write("requests.csv", std::string(kHeader) +
                                  ",stage\n0,completed,10,2,3,4,1,2.5,3,0.1,0.2,1\n"
                                  "1,unfinished,10,0,0,0,2,,5,0,0,0\n");
  const Json experiment =
      Json::parse(R"({"load": {"duration_s": 5}, "stages": [{}, {"load": {"duration_s": 2}}]})");
  const auto stages = read_run(folder_.string(), experiment);
  ASSERT_EQ(stages.size(), 2u);
  EXPECT_EQ(stages[0].duration, Seconds(5));
  EXPECT_EQ(stages[1].duration, Seconds(2));
  EXPECT_EQ(stages[1].begin, Seconds(6));
  ASSERT_EQ(stages[1].requests.size(), 1u);
  const RequestRecord& request = stages[1].requests[0];
  EXPECT_EQ(request.outcome, Outcome::kCompleted);
  EXPECT_EQ(request.hit_tokens[1], 4);
  EXPECT_EQ(request.first_token, Seconds(2.5));
  EXPECT_EQ(request.fetch, Seconds(0.2));
  EXPECT_EQ(stages[0].requests.at(0).outcome, Outcome::kUnfinished);
  EXPECT_LT(stages[0].requests[0].first_token, Seconds(0));
}

TEST_F(RunFiles, ARunWithoutStagesIsOneThatEndsWithItsLastRequest) {
  (void)write("summary.json", "{}");
  (void)write("requests.csv", std::string(kHeader) + "\n0,completed,10,2,3,4,1,2.5,3,0.1,0.2\n");
  const auto stages = read_run(folder_.string(), Json::object());
  ASSERT_EQ(stages.size(), 1u);
  EXPECT_EQ(stages[0].end, Seconds(3));
  EXPECT_EQ(stages[0].duration, Seconds(0));
}

}  // namespace
}  // namespace kvsim
