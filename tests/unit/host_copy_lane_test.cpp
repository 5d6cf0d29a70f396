// The lane host_copy: memcpy for real, and Host's constants from it.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/lane_fixture.hpp"

namespace kvsim {
namespace {

std::vector<Sample> with_cores(std::vector<Sample> samples, double cores) {
  for (Sample& sample : samples) sample.extra.emplace_back("cores", cores);
  return samples;
}

TEST(HostCopyLane, FitFindsTheConstantsThatTheTwinHad) {
  const auto model = lane_model("host_copy");
  const Figures truth = {{"cpu",
                          {{"cores", 4},
                           {"copy_bytes_per_s", 5e9},
                           {"memory_bytes_per_s", 26e9},
                           {"fresh_bytes_per_s", 1.5e9}}}};
  Figures found = Figures::object();
  const auto fitted = model->fit(with_cores(twin_samples(*model, truth, false), 4), found);
  EXPECT_EQ(found["cpu"]["cores"], 4);
  EXPECT_NEAR(figure(found, "/cpu/copy_bytes_per_s"), 5e9, 1e6);
  EXPECT_NEAR(figure(found, "/cpu/memory_bytes_per_s"), 26e9, 1e7);
  EXPECT_NEAR(figure(found, "/cpu/fresh_bytes_per_s"), 1.5e9, 1e7);
  ASSERT_EQ(fitted.size(), 4U);
  for (const FittedFigure& one : fitted) {
    EXPECT_LE(one.low, one.value * 1.001) << one.path;
    EXPECT_GE(one.high, one.value * 0.999) << one.path;
  }
}

TEST(HostCopyLane, CoreTimeCountsWhereSomethingElseRan) {
  const auto model = lane_model("host_copy");
  const Figures truth = {
      {"cpu", {{"cores", 2}, {"copy_bytes_per_s", 8e9}, {"memory_bytes_per_s", 1e12}}}};
  std::vector<Sample> samples = with_cores(twin_samples(*model, truth, false), 2);
  for (Sample& sample : samples) {
    const double running = std::max(1.0, static_cast<double>(sample.operation.at_once) / 2);
    sample.extra.emplace_back("cpu_s", sample.p50.count() / running);
    sample.p50 = sample.p50 * 3;
  }
  Figures found = Figures::object();
  (void)model->fit(samples, found);
  EXPECT_NEAR(figure(found, "/cpu/copy_bytes_per_s"), 8e9, 1e6);
}

TEST(HostCopyLane, MemoryThatCoresCannotFillIsSaidToBeWhatTheyUse) {
  const auto model = lane_model("host_copy");
  const Figures truth = {
      {"cpu", {{"cores", 2}, {"copy_bytes_per_s", 8e9}, {"memory_bytes_per_s", 1e12}}}};
  Figures found = Figures::object();
  (void)model->fit(with_cores(twin_samples(*model, truth, false), 2), found);
  EXPECT_NEAR(figure(found, "/cpu/memory_bytes_per_s"), 2 * 2 * 8e9, 1e8);
}

TEST(HostCopyLane, MoreCallersThanCoresTakeTurns) {
  const auto model = lane_model("host_copy");
  const Figures figures = {
      {"cpu", {{"cores", 2}, {"copy_bytes_per_s", 1e9}, {"memory_bytes_per_s", 1e12}}}};
  EXPECT_NEAR(twin_time(*model, {"copy", Bytes(1'000'000), 2}, figures).count(), 1e-3, 1e-9);
  EXPECT_NEAR(twin_time(*model, {"copy", Bytes(1'000'000), 16}, figures).count(), 8e-3, 1e-9);
}

TEST(HostCopyLane, TheBenchCopies) {
  Scratch scratch(testing::TempDir(), Bytes(0));
  const auto bench = lane_bench({{"kind", "host_copy"}, {"cold_bytes", 1 << 20}}, scratch);
  for (const char* name : {"copy", "copy/fresh"}) {
    const Sample sample = bench->measure({name, Bytes(65536), 2}, in_a_hurry());
    EXPECT_GT(sample.shortest, Seconds(0)) << name;
    EXPECT_LT(sample.shortest, Seconds(0.1)) << name;
    EXPECT_GE(sample.seen("cores").value_or(0), 1) << name;
    EXPECT_GT(sample.seen("cpu_s").value_or(0), 0) << name;
  }
  EXPECT_FALSE(bench->identity().at("processor").get<std::string>().empty());
}

TEST(HostCopyLane, WhatDoesNotFitIntoMemoryIsRefused) {
  Scratch scratch(testing::TempDir(), Bytes(0));
  const auto bench = lane_bench("host_copy", scratch);
  const std::string error = environment_error_of([&] {
    (void)bench->measure({"copy", Bytes(1LL << 46), 1}, in_a_hurry());
  });
  EXPECT_NE(error.find("needs 1.41e+05 GB of memory; available:"), std::string::npos) << error;
}

TEST(HostCopyLane, UnknownOperationsAreRefusedByName) {
  Scratch scratch(testing::TempDir(), Bytes(0));
  const auto bench = lane_bench("host_copy", scratch);
  const std::string error = environment_error_of([&] {
    (void)bench->measure({"move", Bytes(4096), 1}, in_a_hurry());
  });
  EXPECT_NE(error.find("found operation move; allowed here: "), std::string::npos) << error;
}

}  // namespace
}  // namespace kvsim
