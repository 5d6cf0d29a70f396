// Lists of cases and measurements: quoted CSV by the names of its columns.
#include "sim/base/errors.hpp"
#include "sim/validate/case.hpp"
#include "sim/validate/csv_table.hpp"
#include "tests/unit/validate_files.hpp"

namespace kvsim {
namespace {

using CsvTableTest = ValidateFiles;
using ValidateCases = ValidateFiles;

TEST_F(CsvTableTest, QuotedFieldsHoldCommasQuotesAndLineBreaks) {
  const CsvTable table =
      read_csv(write("a.csv", "a,b,c\r\n\"1,5\",\"say \"\"x\"\"\",\"two\nlines\"\r\n,,z\n"));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0], (std::vector<std::string>{"1,5", "say \"x\"", "two\nlines"}));
  EXPECT_EQ(table.rows[1], (std::vector<std::string>{"", "", "z"}));
  EXPECT_EQ(table.place(1).substr(table.file.size()), ":4");
}

TEST_F(CsvTableTest, ARowOfAnotherLengthIsNamed) {
  const std::string file = write("a.csv", "a,b\n1,2\n1,2,3\n");
  EXPECT_EQ(complaint<TraceError>([&] { return read_csv(file); }),
            "a.csv:3: found 3 fields; allowed: 2 as in the header");
}

TEST_F(CsvTableTest, AQuoteThatStaysOpenIsNamed) {
  const std::string file = write("a.csv", "a,b\n1,\"2\n3\n");
  EXPECT_EQ(complaint<TraceError>([&] { return read_csv(file); }),
            "a.csv:2: found a quote that stays open; allowed: \"...\"");
}

TEST_F(CsvTableTest, AFieldIsQuotedWhereItMustBe) {
  EXPECT_EQ(csv_field("plain text"), "plain text");
  EXPECT_EQ(csv_field("a,\"b\""), "\"a,\"\"b\"\"\"");
}

TEST_F(ValidateCases, ColumnsAreFoundByName) {
  const auto cases = read_cases(write("c.csv", "study,case_id,gpu\ns,one,\"a, b\"\n"));
  ASSERT_EQ(cases.size(), 1u);
  EXPECT_EQ(cases[0].id(), "one");
  EXPECT_EQ(cases[0].at("gpu"), "a, b");
  EXPECT_EQ(cases[0].at("nothing"), "");
}

TEST_F(ValidateCases, ASecondCaseOfANameIsAnError) {
  const std::string file = write("c.csv", "study,case_id\ns,one\ns,one\n");
  EXPECT_EQ(complaint<TraceError>([&] { return read_cases(file); }),
            "c.csv:3: found a second case \"one\"; allowed: each once");
}

TEST_F(ValidateCases, MeasurementsAreNumbers) {
  const std::string header = "case_id,study,metric,stat,unit,value,flag\n";
  const auto read = read_measurements(write("m.csv", header + "c,s,ttft,mean,ms,1.5e3,overload\n"));
  EXPECT_EQ(read.at(0).value, 1500);
  EXPECT_EQ(read.at(0).flag, "overload");
  const std::string bad = write("m.csv", header + "c,s,ttft,mean,ms,fast,\n");
  EXPECT_EQ(complaint<TraceError>([&] { return read_measurements(bad); }),
            "m.csv:2: value: found \"fast\"; allowed: a number");
}

}  // namespace
}  // namespace kvsim
