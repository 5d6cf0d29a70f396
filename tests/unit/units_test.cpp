#include "sim/base/units.hpp"

#include <gtest/gtest.h>

namespace kvsim {
namespace {

TEST(Units, ATransferTakesBytesOverBandwidth) {
  EXPECT_DOUBLE_EQ((Bytes(2'000'000'000) / Bandwidth(1e9)).count(), 2.0);
}

TEST(Units, GroupsOfRoundsUp) {
  EXPECT_EQ(groups_of(0, 16), 0);
  EXPECT_EQ(groups_of(1, 16), 1);
  EXPECT_EQ(groups_of(16, 16), 1);
  EXPECT_EQ(groups_of(17, 16), 2);
}

}  // namespace
}  // namespace kvsim
