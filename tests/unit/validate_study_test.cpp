// From the rows of a study and its template to runs, stages and cuts.
#include "sim/base/errors.hpp"
#include "sim/validate/study.hpp"
#include "tests/unit/validate_files.hpp"

namespace kvsim {
namespace {

class Planning : public ValidateFiles {
 protected:
  // `more`: members of the template beside schema and studies.
  Study study(const std::string& more) const {
    return Study(
        write("t.json", R"({"schema": "kvsim.validation/1", "studies": ["s"], )" + more + "}"));
  }
  std::vector<ValidationCase> cases(const std::string& rows) const {
    return read_cases(write("c.csv", "case_id,study,gpu,tier,level\n" + rows));
  }
  std::vector<PlannedRun> plan(const std::string& more, const std::string& rows,
                               const std::vector<bool>& chosen = {}) const {
    return study(more).plan(cases(rows), chosen, "");
  }
  std::string error(const std::string& more, const std::string& rows) const {
    return complaint<ConfigError>([&] { return plan(more, rows); });
  }
};

constexpr const char* kLadder = R"(
  "run_by": ["gpu", "tier"], "levels": [1, 10], "level": {"$column": "level"},
  "experiment": {"pools": [{"gpu": {"$column": "gpu"}}]},
  "stage": {"load": {"clients": {"$level": true}}})";

TEST_F(Planning, EveryRowIsARunOfItsOwnUnlessSaidOtherwise) {
  const auto runs = plan(R"("experiment": {"gpu": {"$column": "gpu"}})",
                         "a,s,H100,,1\nx,other,L4,,1\nb,s,L4,,1\n");
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[1].name, "b");
  EXPECT_EQ(runs[1].experiments.at(0),
            Json::parse(R"({"schema": "kvsim.experiment/1", "name": "b", "gpu": "L4"})"));
  ASSERT_EQ(runs[1].cuts.size(), 1u);
  EXPECT_EQ(runs[1].cuts[0].of, CaseCut::Of::kAll);
  EXPECT_EQ(runs[1].cuts[0].of_case, 2u);
}

TEST_F(Planning, RowsThatAgreeShareAServerLife) {
  const auto runs = plan(kLadder, "a,s,L4,x,10\nb,s,L4,y,1\nc,s,L4,x,1\n");
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].levels, (std::vector<std::string>{"1", "10"}));
  ASSERT_EQ(runs[0].cuts.size(), 2u);
  EXPECT_EQ(runs[0].cuts[0].stage, 1u);
  EXPECT_EQ(runs[0].cuts[1].stage, 0u);
  EXPECT_EQ(runs[0].experiments.at(0).at("stages"),
            Json::parse(R"([{"name": "1", "load": {"clients": 1}},
                            {"name": "10", "load": {"clients": 10}}])"));
}

TEST_F(Planning, ARunDoesNotDependOnWhichOfItsCasesAreChosen) {
  const std::string rows = "a,s,L4,x,10\nb,s,L4,y,1\nc,s,L4,x,1\n";
  const auto runs = plan(kLadder, rows, {false, false, true});
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].name, "a");
  EXPECT_EQ(runs[0].experiments, plan(kLadder, rows).at(0).experiments);
  ASSERT_EQ(runs[0].cuts.size(), 1u);
  EXPECT_EQ(runs[0].cuts[0].of_case, 2u);
}

TEST_F(Planning, RulesAreLaidOverTheTemplateInOrder) {
  const auto runs = plan(R"("experiment": {"pools": [{"a": 1, "b": 2}]}, "rules": [
      {"when": {"tier": "^dram"}, "set": {"experiment": {"pools": [{"a": 3}]}}},
      {"when": {"tier": "big", "gpu": "L4"}, "set": {"experiment": {"pools": [{"a": 4}]}}}])",
                         "a,s,L4,dram big,1\nb,s,H100,dram big,1\nc,s,L4,no dram,1\n");
  EXPECT_EQ(runs.at(0).experiments[0]["pools"], Json::parse(R"([{"a": 4, "b": 2}])"));
  EXPECT_EQ(runs.at(1).experiments[0]["pools"], Json::parse(R"([{"a": 3, "b": 2}])"));
  EXPECT_EQ(runs.at(2).experiments[0]["pools"], Json::parse(R"([{"a": 1, "b": 2}])"));
}

TEST_F(Planning, ARowOfAPeakIsCutFromTheBestStage) {
  const auto runs = plan(std::string(kLadder) + R"json(,
      "rules": [{"when": {"level": "^peak"}, "set": {"cut": "best"}}],
      "grade": {"peak_level": {"$column": "level", "pattern": "c(\\d+)", "default": null}})json",
                         "a,s,L4,x,peak@c10\nb,s,L4,x,1\nc,s,L4,y,peak@c?\n");
  ASSERT_EQ(runs.at(0).cuts.size(), 2u);
  EXPECT_EQ(runs[0].cuts[0].of, CaseCut::Of::kBest);
  EXPECT_EQ(runs[0].cuts[0].peak_level, Json(10));
  EXPECT_EQ(runs[0].cuts[1].of, CaseCut::Of::kStage);
  EXPECT_TRUE(runs.at(1).cuts.at(0).peak_level.is_null());
}

TEST_F(Planning, RulesByWhatDiffersWithinARunOnlySayHowRowsAreCut) {
  EXPECT_EQ(error(std::string(kLadder) +
                      R"(, "rules": [{"when": {"level": "1"}, "set": {"experiment": {}}}])",
                  "a,s,L4,x,10\nb,s,L4,x,1\n"),
            "t.json: /rules/0/set: found the unknown key \"experiment\"; allowed: cut, level");
}

TEST_F(Planning, AColumnThatDiffersWithinARunCannotBeAskedFor) {
  EXPECT_EQ(error(R"("run_by": ["gpu"], "experiment": {"x": {"$column": "tier"}})",
                  "a,s,L4,x,10\nb,s,L4,y,1\n"),
            "t.json: /experiment/x/$column: found tier: \"x\" for a and \"y\" for b, which share a "
            "run; allowed: columns in which all rows of a run agree (see \"run_by\")");
}

TEST_F(Planning, WithRestartEachLevelThatIsNeededIsASimulation) {
  const auto runs = plan(
      std::string(kLadder) + R"(, "restart": true, "first_stages": [{"load": {"clients": 2}}])",
      "a,s,L4,x,10\n");
  ASSERT_EQ(runs.at(0).experiments.size(), 2u);
  EXPECT_TRUE(runs[0].experiments[0].is_null());
  EXPECT_EQ(runs[0].first_stages, 1u);
  EXPECT_EQ(runs[0].experiments[1].at("stages"),
            Json::parse(R"([{"name": "first-1", "load": {"clients": 2}},
                            {"name": "10", "load": {"clients": 10}}])"));
}

TEST_F(Planning, LevelsMayComeFromTheRows) {
  const auto runs = plan(R"("run_by": ["gpu"], "levels": "rows", "level": {"$column": "level"},
                            "experiment": {}, "stage": {})",
                         "a,s,L4,,0.5\nb,s,L4,,7\nc,s,L4,,0.50\n");
  EXPECT_EQ(runs.at(0).levels, (std::vector<std::string>{"0.5", "7"}));
  EXPECT_EQ(runs[0].cuts.at(2).stage, 0u);
}

TEST_F(Planning, ALevelThatThereIsNotIsAnError) {
  EXPECT_EQ(error(kLadder, "a,s,L4,x,50\n"), "t.json: /level: found 50 for a; allowed: 1, 10");
}

TEST_F(Planning, ATemplateIsReadStrictly) {
  EXPECT_EQ(error(R"("experimnt": {})", "a,s,L4,x,1\n").substr(0, 51),
            "t.json: /: found the unknown key \"experimnt\"; allow");
  EXPECT_EQ(error(R"("experiment": {}, "count": {"seconds": "ever"})", "a,s,L4,x,1\n"),
            "t.json: /count/seconds: found \"ever\"; allowed: duration, span, sending");
}

}  // namespace
}  // namespace kvsim
