#include "sim/perf/model_overlay.hpp"

#include <gtest/gtest.h>

#include "sim/perf/engine_profile.hpp"
#include "sim/perf/gpu_profile.hpp"
#include "sim/perf/model_files.hpp"

namespace kvsim {
namespace {

std::vector<ModelOverride> changes_of(const Json& list) {
  const ConfigNode node(list, "test.json", "/model_overrides");
  std::vector<ModelOverride> out;
  read_value(node, out, kAnyNumber);
  return out;
}

// An overlay of what the list says, and what it refers to.
struct Laid {
  Json list;
  ModelOverlay overlay;
  explicit Laid(Json json)
      : list(std::move(json)),
        overlay(changes_of(list), ConfigNode(list, "test.json", "/model_overrides")) {}
};

std::string complaint_of(const Json& list) {
  try {
    const Laid laid(list);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(ModelOverlay, ANumberOfAModelIsMultipliedWhileTheOverlayLives) {
  const double before = load_gpu("h100-sxm").peaks.memory.count();
  {
    const Laid laid(Json::parse(
        R"([{"model": "gpu/h100-sxm", "path": "/peaks/memory_bytes_per_s", "times": 1.1}])"));
    EXPECT_NEAR(load_gpu("h100-sxm").peaks.memory.count(), 1.1 * before, 1);
    EXPECT_NEAR(load_gpu("H100-SXM").peaks.memory.count(), 1.1 * before, 1);
    EXPECT_TRUE(laid.overlay.unused().empty());
  }
  EXPECT_EQ(load_gpu("h100-sxm").peaks.memory.count(), before);
}

TEST(ModelOverlay, AStarIsEveryElementOfAList) {
  const Laid laid(
      Json::parse(R"([{"model": "engine/vllm", "path": "/versions/*/cpu_step_s", "value": 0.5}])"));
  for (const EngineOverheads& version : load_engine("vllm").versions)
    EXPECT_EQ(version.cpu_step.count(), 0.5);
}

TEST(ModelOverlay, ChangesAreLaidInTheirOrder) {
  const Laid laid(Json::parse(
      R"([{"model": "engine/vllm", "path": "/versions/0/cpu_step_s", "value": 0.25},
          {"model": "engine/vllm", "path": "/versions/0/cpu_step_s", "times": 2}])"));
  EXPECT_EQ(load_engine("vllm").versions[0].cpu_step.count(), 0.5);
}

TEST(ModelOverlay, WholeNumbersStayWhole) {
  const Laid laid(Json::parse(
      R"([{"model": "gpu/h100-sxm", "path": "/peaks/usable_bytes", "times": 0.9001}])"));
  EXPECT_EQ(load_gpu("h100-sxm").peaks.usable.count(), 76448173748);
}

TEST(ModelOverlay, WhatNothingLoadedIsTold) {
  const Laid laid(Json::parse(
      R"([{"model": "gpu/h100-sxm", "path": "/peaks/power_w", "times": 2},
          {"model": "gpu/l4", "path": "/peaks/power_w", "times": 2}])"));
  (void)load_gpu("l4");
  ASSERT_EQ(laid.overlay.unused().size(), 1u);
  EXPECT_EQ(laid.overlay.unused()[0].text(), "gpu/h100-sxm /peaks/power_w times 2");
}

TEST(ModelOverlay, AnUnknownKeyIsRefusedWithThoseThatAreKnown) {
  const std::string text = complaint_of(
      Json::parse(R"([{"model": "engine/vllm", "path": "/versions/*/cpu_stop_s", "times": 2}])"));
  EXPECT_NE(text.find("engine/vllm.json: /versions/0: found \"cpu_stop_s\""), std::string::npos)
      << text;
  EXPECT_NE(text.find("cpu_step_s"), std::string::npos) << text;
}

TEST(ModelOverlay, AnUnknownModelIsRefusedWithThoseThatAreKnown) {
  const std::string text =
      complaint_of(Json::parse(R"([{"model": "gpu/h101", "path": "/peaks/power_w", "times": 2}])"));
  EXPECT_NE(text.find("h100-sxm"), std::string::npos) << text;
}

TEST(ModelOverlay, ATextIsNoNumberToChange) {
  const std::string text =
      complaint_of(Json::parse(R"([{"model": "gpu/l4", "path": "/name", "times": 2}])"));
  EXPECT_NE(text.find("found \"l4\""), std::string::npos) << text;
}

TEST(ModelOverlay, AFactorAndAValueTogetherAreRefused) {
  const std::string text = complaint_of(
      Json::parse(R"([{"model": "gpu/l4", "path": "/peaks/power_w", "times": 2, "value": 3}])"));
  EXPECT_NE(text.find("test.json: /model_overrides/0"), std::string::npos) << text;
}

// Who edits a fitted number by hand has to take its interval away.
TEST(ModelOverlay, FittedNumbersOfEngineFilesAreThoseThatTheFitGave) {
  for (const std::string& name : model_names("engine")) {
    const std::string file = find_model("engine", name);
    const Json as_is = load_json(file);
    for (const FittedInterval& one : load_engine(name).fitted) {
      Json again = as_is;
      override_model(again, {"engine/" + name, one.path, std::nullopt, one.value}, file);
      EXPECT_EQ(again, as_is) << file << " " << one.path;
      EXPECT_LE(one.low_95, one.value);
      EXPECT_GE(one.high_95, one.value);
    }
  }
}

}  // namespace
}  // namespace kvsim
