// Figures of codecs, and what the configuration lays over them.
#include "sim/kv/codec.hpp"

#include <gtest/gtest.h>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"

namespace kvsim {
namespace {

std::unique_ptr<Codec> make(const Json& config, const std::string& kv_dtype) {
  return Registry<Codec>::instance().make(ConfigNode(config, "test"), {kv_dtype});
}

TEST(Codec, FiguresDependOnTheTypeOfKv) {
  EXPECT_DOUBLE_EQ(make("zstd-1-shuffled", "bf16")->ratio(), 1.439);
  EXPECT_DOUBLE_EQ(make("zstd-1-shuffled", "fp16")->ratio(), 1.151);
}

TEST(Codec, AStatedFigureReplacesTheDefault) {
  const auto codec = make({{"kind", "lz4"}, {"ratio", 2}, {"decode_bytes_per_s", 4e9}}, "bf16");
  EXPECT_EQ(codec->encoded(Bytes(1000)), Bytes(500));
  EXPECT_DOUBLE_EQ(Codec::time(Bytes(4'000'000'000), codec->decode()).count(), 1);
  EXPECT_DOUBLE_EQ(codec->encode().count(), 1.43e9);
}

TEST(Codec, ATypeWithoutFiguresMustStateThem) {
  EXPECT_THROW((void)make("lz4", "fp8"), ConfigError);
  const Json stated = {
      {"kind", "lz4"}, {"ratio", 1.2}, {"encode_bytes_per_s", 1e9}, {"decode_bytes_per_s", 2e9}};
  EXPECT_DOUBLE_EQ(make(stated, "fp8")->ratio(), 1.2);
}

TEST(Codec, AnEightBitScaleTakesItsPlace) {
  EXPECT_EQ(make("fp8-pack", "bf16")->encoded(Bytes(256)), Bytes(128));
  EXPECT_EQ(make("int8-pack", "bf16")->encoded(Bytes(256)), Bytes(130));
}

TEST(Codec, KvOfEightBitsIsPackedAlready) {
  const auto codec = make("fp8-pack", "fp8");
  EXPECT_EQ(codec->encoded(Bytes(256)), Bytes(256));
  EXPECT_FALSE(codec->lossy());
  EXPECT_DOUBLE_EQ(codec->gpu_encode().count(), 0);
}

TEST(Codec, CacheGenWorksOnTheGpuAtBothEnds) {
  const auto codec = make("cachegen", "bf16");
  EXPECT_TRUE(codec->lossy());
  EXPECT_DOUBLE_EQ(codec->encode().count(), 0);
  EXPECT_GT(codec->gpu_encode().count(), 0);
  EXPECT_GT(codec->gpu_decode().count(), 0);
}

}  // namespace
}  // namespace kvsim
