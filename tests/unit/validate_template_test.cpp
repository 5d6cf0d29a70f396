// Templates: merging of rules, filling of holes.
#include "sim/base/errors.hpp"
#include "sim/validate/template.hpp"
#include "tests/unit/validate_files.hpp"

namespace kvsim {
namespace {

Json merged(const char* target, const char* patch) {
  Json out = Json::parse(target);
  merge_template(out, Json::parse(patch));
  return out;
}

class Filling : public ValidateFiles {
 protected:
  Filling() {
    row_.columns = {{"case_id", "one"}, {"tp", "4"},       {"engine", "vLLM 0.13.0"},
                    {"gpu", "H100"},    {"tokens", "100"}, {"empty", ""}};
  }
  Json fill(const char* json, Json level = {}) {
    const Json hole = Json::parse(json);
    return fill_template(ConfigNode(hole, "t.json"), {{&row_}, std::move(level), folder_.string()},
                         patterns_);
  }
  std::string error(const char* json) {
    return complaint<ConfigError>([&] { return fill(json); });
  }

  ValidationCase row_;
  Patterns patterns_;
};

TEST(Merging, IsThePatchOfRfc7386) {
  EXPECT_EQ(merged(R"({"a": 1, "b": {"c": 2, "d": 3}})", R"({"a": null, "b": {"c": [1]}})"),
            Json::parse(R"({"b": {"c": [1], "d": 3}})"));
}

TEST(Merging, ArraysOfObjectsAreMergedElementByElement) {
  EXPECT_EQ(merged(R"([{"a": 1, "b": 2}])", R"([{"a": 3}, {"c": 4}])"),
            Json::parse(R"([{"a": 3, "b": 2}, {"c": 4}])"));
  EXPECT_EQ(merged("[1, 2]", "[3]"), Json::parse("[3]"));
  EXPECT_EQ(merged(R"([{"a": 1}])", "[]"), Json::array());
}

TEST(Merging, AHoleIsReplacedAndReplaces) {
  EXPECT_EQ(merged(R"({"a": {"$column": "x"}})", R"({"a": {"b": 1}})"),
            Json::parse(R"({"a": {"b": 1}})"));
  EXPECT_EQ(merged(R"({"a": {"b": 1}})", R"({"a": {"$column": "x"}})"),
            Json::parse(R"({"a": {"$column": "x"}})"));
}

TEST_F(Filling, WhatLooksLikeANumberBecomesOne) {
  EXPECT_EQ(fill(R"({"$column": "tp"})"), Json(4));
  EXPECT_EQ(fill(R"({"$column": "tp", "text": true})"), Json("4"));
  EXPECT_EQ(fill(R"({"$column": "gpu"})"), Json("H100"));
}

TEST_F(Filling, APatternTakesItsFirstGroup) {
  EXPECT_EQ(fill(R"json({"$column": "engine", "pattern": "vLLM (\\d+\\.\\d+)", "text": true})json"),
            Json("0.13"));
  EXPECT_EQ(fill(R"json({"$column": "engine", "pattern": "SGLang (.*)", "default": "none"})json"),
            Json("none"));
}

TEST_F(Filling, AMapMayHoldHolesOfItsOwn) {
  EXPECT_EQ(fill(R"({"$column": "gpu", "map": {"H100": {"n": {"$column": "tp", "times": 2}}}})"),
            Json::parse(R"({"n": 8})"));
}

TEST_F(Filling, NumbersAreScaledShiftedAndFloored) {
  EXPECT_EQ(fill(R"({"$column": "tokens", "times": 0.5, "plus": 1})"), Json(51));
  EXPECT_EQ(fill(R"({"$column": "tokens", "times": 0.0625})"), Json(6.25));
  EXPECT_EQ(fill(R"({"$column": "tokens", "times": 0.0625, "floor": true})"), Json(6));
  EXPECT_EQ(fill(R"({"$column": "tokens", "times": {"$column": "tp"}})"), Json(400));
}

TEST_F(Filling, AMemberThatDefaultsToNullIsLeftOut) {
  EXPECT_EQ(fill(R"({"a": {"$column": "empty", "default": null}, "b": null})"),
            Json::parse(R"({"b": null})"));
}

TEST_F(Filling, LevelsFillHolesWhereThereAreLevels) {
  EXPECT_EQ(fill(R"({"groups": {"$level": true, "times": 2}})", 50),
            Json::parse(R"({"groups": 100})"));
  EXPECT_EQ(fill(R"({"$level": true})", "warm-up"), Json("warm-up"));
  EXPECT_EQ(error(R"({"a": {"$level": true}})"),
            "t.json: /a: found \"$level\"; allowed: it in \"stage\" only");
}

TEST_F(Filling, AFileIsFoundByAPartOfItsName) {
  const std::string file = write("study_one_requests.csv", "x");
  (void)write("study_one_meta.json", "{}");
  EXPECT_EQ(fill(R"({"$file": {"$column": "case_id"}, "ends": ".csv"})"), Json(file));
  EXPECT_EQ(fill(R"({"$file": "two", "default": "none"})"), Json("none"));
  EXPECT_EQ(error(R"({"$file": "one"})"),
            "t.json: /: found 2 files for \"one\"; allowed: one; tell them by \"ends\"");
}

TEST_F(Filling, ComplaintsNameTheHole) {
  EXPECT_EQ(error(R"({"a": [{"$column": "none"}]})"),
            "t.json: /a/0/$column: found \"none\"; allowed: a column of the cases");
  EXPECT_EQ(error(R"({"a": {"$column": "gpu", "map": {"L4": 1}}})"),
            "t.json: /a: found \"H100\"; allowed: what \"pattern\" and \"map\" know, or a "
            "\"default\"");
  EXPECT_EQ(error(R"({"$column": "gpu", "pattern": "("})"),
            "t.json: /pattern: found \"(\"; allowed: a regular expression");
}

TEST(Levels, AreTheSameByValueOrByWord) {
  EXPECT_TRUE(same_level(50, "50.0"));
  EXPECT_TRUE(same_level("all", "all"));
  EXPECT_FALSE(same_level(5, "c5"));
}

}  // namespace
}  // namespace kvsim
