// The shipped coefficients of models/gpu are what our own fit makes of the calibration tables, and
// they give composed steps as well as published. Skips where the tables are not at hand: they are
// not part of the tree.
#include <gtest/gtest.h>

#include <filesystem>

#include "sim/calibrate/gpu_fit_recipes.hpp"
#include "sim/calibrate/gpu_fit_tables.hpp"

namespace kvsim {
namespace {

std::string tables() { return std::string(KVSIM_SOURCE_DIR) + "/../shared/calibration"; }

class GpuFitOracle : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(tables() + "/ops"))
      GTEST_SKIP() << "no calibration tables in " << tables();
  }
  static FitOptions plain() {
    FitOptions options;
    options.held_out_share = 0;
    return options;
  }
  static const std::vector<TransferErrors>& transfers() {
    static const auto kAll = leave_one_out(tables(), plain());
    return kAll;
  }
};

TEST_F(GpuFitOracle, ShippedCoefficientsAreThoseThatTheTablesGive) {
  for (const RebuiltGpu& gpu : rebuild_gpu_profiles(tables(), plain(), 0.005))
    for (const Drift& drift : gpu.drifts)
      ADD_FAILURE() << gpu.name << " " << drift.path << ": " << drift.in_file << " in the file, "
                    << drift.rebuilt << " rebuilt; kvsim fit --rebuild writes them anew";
}

TEST_F(GpuFitOracle, StepsOfOwnTablesAreWithinSixPercentOnAverage) {
  for (const TransferErrors& gpu : transfers()) {
    EXPECT_LT(gpu.own.decode.mean, 0.06) << gpu.name;
    EXPECT_LT(gpu.own.prefill.mean, 0.06) << gpu.name;
  }
}

TEST_F(GpuFitOracle, PcieGpusGiveEachOtherStepsWithinThePromisedErrors) {
  for (const TransferErrors& gpu : transfers()) {
    if (load_gpu(gpu.name).gpu_link.type != "pcie") continue;
    EXPECT_LT(gpu.measured.decode.mean, 0.10) << gpu.name;
    EXPECT_LT(gpu.measured.prefill.mean, 0.20) << gpu.name;
  }
}

}  // namespace
}  // namespace kvsim
