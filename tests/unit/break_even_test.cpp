// From which length on fetching a prefix beats computing it: what is read from probes, and the
// rule.
#include "sim/experiment/break_even.hpp"

#include <gtest/gtest.h>

#include "sim/base/errors.hpp"

namespace kvsim {
namespace {

BreakEvenPoint point(std::int64_t tokens, double fetch, double recompute) {
  return {tokens, Seconds(fetch), Seconds(recompute)};
}

TEST(BreakEven, LiesBetweenTheLastLossAndTheFirstGain) {
  // 1 s behind at 1000 tokens, 3 s ahead at 2000.
  EXPECT_EQ(break_even_tokens({point(500, 3, 1), point(1000, 3, 2), point(2000, 3, 6)}), 1250);
}

TEST(BreakEven, IsNeverWhenTheLongestPrefixLoses) {
  EXPECT_EQ(break_even_tokens({point(500, 1, 2), point(1000, 3, 2)}), std::nullopt);
}

TEST(BreakEven, IsAlwaysWhenEveryPrefixGains) {
  EXPECT_EQ(break_even_tokens({point(500, 1, 2), point(1000, 3, 4)}), 0);
}

TEST(BreakEven, WithoutAnyHitIsNever) { EXPECT_EQ(break_even_tokens({}), std::nullopt); }

TEST(BreakEven, AProbeCountsTheRequestsThatHitBelowHbm) {
  const std::string csv =
      "id,hit_tokens_hbm,hit_tokens_dram,lookup_s,fetch_s,prefill_s\n"
      "0,0,0,1,0,9\n"
      "1,0,512,0.5,1.5,2\n"
      "2,512,0,0,0,2\n"
      "3,0,512,0.5,3.5,4\n";
  const auto times = read_probe(csv, true);
  ASSERT_TRUE(times);
  EXPECT_EQ(times->hit_tokens, 512);
  EXPECT_DOUBLE_EQ(times->fetch.count(), 3);
  EXPECT_DOUBLE_EQ(times->prefill.count(), 3);
}

TEST(BreakEven, AProbeWithoutHitsSaysNothing) {
  EXPECT_FALSE(read_probe("id,hit_tokens_hbm,prefill_s\n0,0,9\n", true));
  EXPECT_DOUBLE_EQ(read_probe("id,hit_tokens_hbm,prefill_s\n0,0,9\n", false)->prefill.count(), 9);
}

TEST(BreakEven, APlainTierIsARateAndALatency) {
  const PlainTier tier = read_plain_tier("nic=12.5e9,0.002");
  EXPECT_EQ(tier.name, "nic");
  EXPECT_DOUBLE_EQ(tier.rate.count(), 12.5e9);
  EXPECT_DOUBLE_EQ(tier.latency.count(), 0.002);
  EXPECT_DOUBLE_EQ(read_plain_tier("nic=1e9").latency.count(), 0);
  for (const char* wrong : {"nic", "=1e9", "nic=", "nic=0", "nic=fast", "nic=1e9,", "nic=-1"})
    EXPECT_THROW((void)read_plain_tier(wrong), ConfigError) << wrong;
}

TEST(BreakEven, PrefixesFitTheModel) {
  EXPECT_EQ(prefix_lengths(2000), (std::vector<std::int64_t>{256, 512, 1024}));
  EXPECT_EQ(prefix_lengths(1 << 20).back(), 32768);
}

}  // namespace
}  // namespace kvsim
