#include "sim/validate/error_gates.hpp"

#include <gtest/gtest.h>

#include "sim/base/errors.hpp"
#include "sim/validate/error_page.hpp"

namespace kvsim {
namespace {

std::vector<ErrorRow> rows() {
  return {{"all", "", "A", "ttft", false, {10, 6.0, 7.0, 14.0, 20.0, +1.0}},
          {"gpu", "L4", "B", "e2e", false, {3, 2.0, 2.0, 2.5, 3.0, -2.0}},
          {"gpu", "L4", "B", "ttft", true, {3, 90.0, 90.0, 90.0, 90.0, -90.0}}};
}

std::vector<std::string> broken(const Json& gates) {
  const Json file = {{"schema", "kvsim.validation-gates/1"}, {"gates", gates}};
  return broken_gates(read_error_gates(ConfigNode(file, "gates.json")), rows());
}

TEST(ErrorGates, ABoundThatIsKeptSaysNothing) {
  EXPECT_TRUE(broken({{{"metric", "ttft"}, {"median_percent", 6}, {"worst_percent", 20}}}).empty());
}

TEST(ErrorGates, EveryBrokenBoundIsALine) {
  const auto lines = broken({{{"metric", "ttft"}, {"median_percent", 5}, {"p90_percent", 13.9}}});
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0], "all  A ttft: median error 6.0 %, at most 5.0 allowed");
}

TEST(ErrorGates, AGateThatNothingPassesThroughIsBroken) {
  EXPECT_EQ(broken({{{"metric", "itl"}, {"median_percent", 5}}}).size(), 1u);
  EXPECT_EQ(broken({{{"by", "gpu"}, {"name", "L40S"}, {"metric", "e2e"}}}).size(), 1u);
}

TEST(ErrorGates, FlaggedMeasurementsAreNotHeld) {
  EXPECT_EQ(broken({{{"by", "gpu"}, {"metric", "ttft"}, {"median_percent", 100}}}).size(), 1u);
}

TEST(ErrorPage, PartsBetweenMarkersAreReplacedAndTheRestStays) {
  const std::string page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n";
  EXPECT_EQ(with_parts(page, {{"x", "new\n"}}, "page.md"),
            "a\n<!-- x -->\nnew\n<!-- end of x -->\nb\n");
  EXPECT_THROW((void)with_parts(page, {{"y", ""}}, "page.md"), ConfigError);
}

TEST(ErrorPage, ATableHasALineForEachNameAndGrade) {
  const std::string table = markdown_errors(rows(), "gpu");
  EXPECT_NE(table.find("| L4 | B | 2.0 / 2.5 (3) |"), std::string::npos) << table;
  EXPECT_EQ(table.find("90.0"), std::string::npos);
}

}  // namespace
}  // namespace kvsim
