#include "sim/report/progress.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace kvsim {
namespace {

// Work at a steady rate: `per_s` units each second of a clock that we turn.
std::string output_of(ProgressOptions options, int units, double per_s) {
  std::ostringstream out;
  double now = 100;
  Progress progress(std::move(options), out, [&now] { return now; });
  for (int done = 1; done <= units; ++done) {
    now = 100 + done / per_s;
    progress.update(done);
  }
  progress.finish(units);
  return out.str();
}

TEST(Progress, PlainOutputIsALineEveryFewSecondsAndALastOne) {
  const std::string text = output_of({.total = 2000}, 2000, 100);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4) << text;
  EXPECT_NE(text.find(" 25 %  5"), std::string::npos) << text;
  EXPECT_NE(text.find("100/s, 0:15 left"), std::string::npos) << text;
  EXPECT_NE(text.find("100 %  2000 of 2000 requests, 100/s, took 0:20"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(Progress, ATerminalGetsABarInPlace) {
  const std::string text = output_of({.total = 1000, .terminal = true}, 1000, 500);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_GT(std::count(text.begin(), text.end(), '\r'), 10) << text;
  EXPECT_NE(text.find("[###############               ]"), std::string::npos) << text;
}

TEST(Progress, AnUnknownTotalShowsCountAndRate) {
  const std::string text = output_of({.unit = "points"}, 600, 100);
  EXPECT_NE(text.find("points, 100/s\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("left"), std::string::npos);
}

TEST(Progress, QuietSaysNothing) {
  EXPECT_EQ(output_of({.total = 2000, .quiet = true}, 2000, 10), "");
}

TEST(Progress, ShortWorkSaysNothingOffATerminal) {
  EXPECT_EQ(output_of({.total = 100}, 100, 1000), "");
}

TEST(Progress, FastWorkSeldomAsksForTheTime) {
  std::ostringstream out;
  int asked = 0;
  double now = 0;
  Progress progress({.total = 1'000'000}, out, [&] {
    ++asked;
    return now;
  });
  for (int done = 1; done <= 1'000'000; ++done) {
    now = done / 100'000.0;
    progress.update(done);
  }
  EXPECT_LT(asked, 500);
}

}  // namespace
}  // namespace kvsim
