// Calibrations under an experiment: what it says itself stays, the rest is as measured.
#include "sim/experiment/calibrated.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "sim/base/errors.hpp"
#include "sim/calibrate/calibration.hpp"

namespace kvsim {
namespace {

Json experiment() {
  return {{"nodes",
           {{{"cpu", {{"cores", 8}}},
             {"disks",
              {{{"name", "data"}, {"kind", "raid0"}, {"count", 2}, {"of", "nvme"}},
               {{"name", "ram"}, {"kind", "tmpfs"}, {"capacity_bytes", 1}}}}}}},
          {"stores",
           {{{"name", "kv"}, {"kind", "redis"}, {"command_s", 1e-6}},
            {{"name", "other"}, {"kind", "kvrocks"}, {"lsm", {{"wal", false}}}}}},
          {"pools",
           {{{"llm", "llama-3.1-8b"},
             {"connector", {{"kind", "lmcache"}, {"remote", "kv"}, {"serde", "lz4"}}}}}}};
}

Calibrations calibrations() {
  Calibrations out;
  out.files = {"p.json"};
  out.names = {"p"};
  out.figures = {{"cpu", {{"cores", 2}, {"copy_bytes_per_s", 5e9}}},
                 {"disk", {{"kind", "nvme"}, {"read_bytes_per_s", 1e9}}},
                 {"network", {{"loopback_round_trip_s", 1e-5}}},
                 {"codecs", {{"lz4", {{"bf16", {{"ratio", 1.1}}}, {"fp16", {{"ratio", 1.2}}}}}}},
                 {"clients", {{"redis", {{"command_s", 1e-5}}}, {"resp", {{"command_s", 2e-5}}}}},
                 {"stores",
                  {{"redis", {{"command_s", 9e-6}, {"copies_in", 3}}},
                   {"kvrocks", {{"lookup_s", 1e-6}, {"lsm", {{"wal", true}, {"levels", 4}}}}}}}};
  return out;
}

TEST(Calibrated, WhatTheExperimentSaysStays) {
  const Json laid = with_calibrations(experiment(), calibrations());
  EXPECT_EQ(laid["nodes"][0]["cpu"]["cores"], 8);
  EXPECT_EQ(laid["nodes"][0]["cpu"]["copy_bytes_per_s"], 5e9);
  EXPECT_EQ(laid["stores"][0]["command_s"], 1e-6);
  EXPECT_EQ(laid["stores"][0]["copies_in"], 3);
  EXPECT_EQ(laid["stores"][1]["lsm"]["wal"], false);
  EXPECT_EQ(laid["stores"][1]["lsm"]["levels"], 4);
  EXPECT_EQ(laid["network"]["loopback_round_trip_s"], 1e-5);
}

TEST(Calibrated, AMeasuredDiskStandsInForLocalOnesAndSaysSo) {
  const Json laid = with_calibrations(experiment(), calibrations());
  EXPECT_EQ(laid["nodes"][0]["disks"][0],
            Json({{"kind", "nvme"}, {"read_bytes_per_s", 1e9}, {"name", "data"}}));
  EXPECT_EQ(laid["nodes"][0]["disks"][1]["kind"], "tmpfs");
  EXPECT_EQ(laid["warnings"].size(), 1U);
}

TEST(Calibrated, CodecsAreTakenByTheTypeOfKv) {
  Json json = experiment();
  EXPECT_EQ(with_calibrations(json, calibrations())["pools"][0]["connector"]["serde"],
            Json({{"kind", "lz4"}, {"ratio", 1.1}}));
  json["pools"][0]["engine"] = {{"kv_cache_dtype", "fp8"}};
  EXPECT_EQ(with_calibrations(json, calibrations())["pools"][0]["connector"]["serde"], "lz4");
}

TEST(Calibrated, TheClientIsTheConnectors) {
  Json json = experiment();
  const auto costs = [&] {
    return with_calibrations(json, calibrations())["pools"][0]["connector"]["client_costs"];
  };
  EXPECT_EQ(costs()["command_s"], 1e-5);
  json["pools"][0]["connector"]["client"] = "resp";
  EXPECT_EQ(costs()["command_s"], 2e-5);
}

TEST(Calibrated, WithoutAProfileNothingChanges) {
  EXPECT_EQ(with_calibrations(experiment(), load_calibrations(experiment(), "x.json")),
            experiment());
}

class CalibrationFiles : public testing::Test {
 protected:
  CalibrationFiles()
      : folder_(std::filesystem::temp_directory_path() /
                ("kvsim-calibrated-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~CalibrationFiles() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& name, const Figures& figures) {
    Calibration calibration;
    calibration.name = name;
    calibration.identity = Json::object();
    calibration.figures = figures;
    std::ofstream(folder_ / (name + ".json")) << to_json(calibration);
    return name + ".json";
  }
  std::filesystem::path folder_;
};

TEST_F(CalibrationFiles, LaterOnesLieOverEarlier) {
  const std::string a = write("a", {{"cpu", {{"cores", 4}, {"copy_bytes_per_s", 1e9}}}});
  const std::string b = write("b", {{"cpu", {{"cores", 2}}}});
  const Json json = {{"profile", {a, b}}};
  const Calibrations read = load_calibrations(json, (folder_ / "x.json").string());
  EXPECT_EQ(read.figures["cpu"], Json({{"cores", 2}, {"copy_bytes_per_s", 1e9}}));
  EXPECT_EQ(read.names, (std::vector<std::string>{"a", "b"}));
}

TEST_F(CalibrationFiles, AnotherKindOfFileIsRefused) {
  std::ofstream(folder_ / "c.json") << R"({"schema": "kvsim.gpu/1"})";
  const Json json = {{"profile", "c.json"}};
  EXPECT_THROW((void)load_calibrations(json, (folder_ / "x.json").string()), ConfigError);
}

}  // namespace
}  // namespace kvsim
