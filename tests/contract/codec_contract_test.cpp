// What every codec must keep to, whatever the type of KV.
#include <gtest/gtest.h>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/kv/codec.hpp"

namespace kvsim {
namespace {

constexpr Bytes kChunk{32 << 20};

std::unique_ptr<Codec> make(const Json& config, const std::string& kv_dtype) {
  return Registry<Codec>::instance().make(ConfigNode(config, "test"), {kv_dtype});
}

class CodecContract : public testing::TestWithParam<std::string> {
 protected:
  // Of every KV type that it has figures for.
  std::vector<std::unique_ptr<Codec>> codecs() const {
    std::vector<std::unique_ptr<Codec>> out;
    for (const char* kv_dtype : {"bf16", "fp16", "fp8"}) {
      try {
        out.push_back(make(GetParam(), kv_dtype));
      } catch (const ConfigError& error) {
        EXPECT_NE(std::string(error.what()).find(kv_dtype), std::string::npos) << error.what();
      }
    }
    return out;
  }
};

TEST_P(CodecContract, ItHasFiguresForTheUsualTypesOfKv) {
  EXPECT_NO_THROW((void)make(GetParam(), "bf16"));
  EXPECT_NO_THROW((void)make(GetParam(), "fp16"));
}

TEST_P(CodecContract, WhatItWritesIsNeitherNothingNorMuchMoreThanItRead) {
  for (const auto& codec : codecs()) {
    EXPECT_GT(codec->encoded(kChunk), Bytes(0));
    EXPECT_LT(codec->encoded(kChunk).real(), 1.01 * kChunk.real());
    EXPECT_EQ(codec->encoded(Bytes(0)), Bytes(0));
  }
}

TEST_P(CodecContract, MoreBytesNeverBecomeFewer) {
  for (const auto& codec : codecs())
    for (std::int64_t n = 1; n < 1000; ++n)
      EXPECT_LE(codec->encoded(Bytes(n)), codec->encoded(Bytes(n + 1)));
}

TEST_P(CodecContract, BytesAreGainedOnlyForWork) {
  for (const auto& codec : codecs()) {
    if (codec->encoded(kChunk) == kChunk) continue;
    const Seconds there =
        Codec::time(kChunk, codec->encode()) + Codec::time(kChunk, codec->gpu_encode());
    const Seconds back =
        Codec::time(kChunk, codec->decode()) + Codec::time(kChunk, codec->gpu_decode());
    EXPECT_GT(there, Seconds(0));
    EXPECT_GT(back, Seconds(0));
  }
}

TEST_P(CodecContract, ALossyOneWarns) {
  for (const auto& codec : codecs())
    EXPECT_EQ(codec->warnings(GetParam()).size(), codec->lossy() ? 1U : 0U);
}

INSTANTIATE_TEST_SUITE_P(All, CodecContract, testing::ValuesIn(Registry<Codec>::instance().names()),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name)
                             if (c == '-') c = '_';
                           return name;
                         });

}  // namespace
}  // namespace kvsim
