// The lane codec: LZ4 and Zstandard for real, and the codecs' constants from them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "sim/probe/bench_codec_coder.hpp"
#include "sim/probe/byte_shuffle.hpp"
#include "sim/probe/kv_bytes.hpp"
#include "tests/unit/lane_fixture.hpp"

namespace kvsim {
namespace {

std::vector<std::byte> kv(std::size_t bytes) {
  std::vector<std::byte> out(bytes);
  fill_kv_bytes(out, "bf16", 1);
  return out;
}

TEST(ByteShuffle, GroupsBytesByWeightAndBack) {
  const std::vector<std::byte> in = {std::byte{1}, std::byte{11}, std::byte{2}, std::byte{12},
                                     std::byte{3}, std::byte{13}, std::byte{9}};
  std::vector<std::byte> out(in.size());
  shuffle_bytes(in, out, 2);
  EXPECT_EQ(out, (std::vector<std::byte>{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{11},
                                         std::byte{12}, std::byte{13}, std::byte{9}}));
  for (const std::size_t width : {1, 2, 4})
    for (const std::size_t bytes : {0, 1, 63, 64, 1003}) {
      const std::vector<std::byte> plain = kv(bytes);
      std::vector<std::byte> grouped(bytes);
      std::vector<std::byte> back(bytes);
      shuffle_bytes(plain, grouped, width);
      unshuffle_bytes(grouped, back, width);
      EXPECT_EQ(back, plain) << width << " " << bytes;
    }
}

TEST(Coders, GiveBackWhatTheyTook) {
  for (const std::string& name : coder_names())
    for (const std::size_t bytes : {1, 1000, 100'001}) {
      const std::vector<std::byte> plain = kv(bytes);
      const auto coder = make_coder(name, 2);
      std::vector<std::byte> encoded;
      std::vector<std::byte> back(bytes);
      coder->encode(plain, encoded);
      coder->decode(encoded, back);
      EXPECT_EQ(back, plain) << name << " " << bytes;
    }
}

TEST(Coders, RefuseWhatIsDamaged) {
  for (const std::string& name : coder_names()) {
    const auto coder = make_coder(name, 2);
    std::vector<std::byte> encoded;
    std::vector<std::byte> back(10'000);
    coder->encode(kv(back.size()), encoded);
    encoded.resize(encoded.size() / 2);
    EXPECT_NE(environment_error_of([&] { coder->decode(encoded, back); }), "") << name;
  }
}

TEST(CodecLane, FitFindsTheConstantsThatTheTwinHad) {
  const auto model = lane_model("codec");
  const Json rates = {{"ratio", 1.3}, {"encode_bytes_per_s", 0.7e9}, {"decode_bytes_per_s", 2.1e9}};
  Figures truth = {{"cpu", {{"cores", 3}}}};
  for (const std::string& name : coder_names())
    for (const char* kv_dtype : {"bf16", "fp16", "fp8"}) truth["codecs"][name][kv_dtype] = rates;
  std::vector<Sample> samples = twin_samples(*model, truth, true);
  for (Sample& sample : samples) sample.extra.emplace_back("ratio", 1.3);
  Figures found = {{"cpu", {{"cores", 3}}}};
  (void)model->fit(samples, found);
  for (const std::string& name : coder_names())
    for (const char* kv_dtype : {"bf16", "fp16", "fp8"}) {
      const std::string path = "/codecs/" + name + "/" + kv_dtype;
      EXPECT_NEAR(figure(found, path + "/encode_bytes_per_s"), 0.7e9, 1e5) << path;
      EXPECT_NEAR(figure(found, path + "/decode_bytes_per_s"), 2.1e9, 1e5) << path;
      EXPECT_NEAR(figure(found, path + "/ratio"), 1.3, 1e-9) << path;
    }
  EXPECT_NEAR(figure(found, "/stores/kvrocks/compress_bytes_per_s"), 0.7e9, 1e5);
  EXPECT_NEAR(figure(found, "/stores/kvrocks/decompress_bytes_per_s"), 2.1e9, 1e5);
}

TEST(CodecLane, TheBenchCompressesAndChecks) {
  Scratch scratch(testing::TempDir(), Bytes(0));
  const auto bench = lane_bench("codec", scratch);
  const auto ratio = [&](const char* name) {
    const Sample sample = bench->measure({name, Bytes(1 << 18), 2}, in_a_hurry());
    EXPECT_GT(sample.shortest, Seconds(0));
    return sample.seen("ratio").value_or(0);
  };
  const double plain = ratio("encode/zstd-1/bf16");
  EXPECT_GT(plain, 1.1);
  EXPECT_GT(ratio("decode/zstd-1-shuffled/bf16"), plain);
}

TEST(CodecLane, AFileStandsInForSyntheticValues) {
  Scratch scratch(testing::TempDir(), Bytes(0));
  const std::string file = scratch.path() + "/zeros";
  std::ofstream(file) << std::string(1 << 20, '\0');
  const auto bench = lane_bench({{"kind", "codec"}, {"file", file}}, scratch);
  const BenchOperation operation{"encode/lz4/bf16", Bytes(1 << 20), 1};
  EXPECT_GT(bench->measure(operation, in_a_hurry()).seen("ratio").value_or(0), 100);
}

TEST(CodecLane, WhatCannotBeDoneIsOneClearLine) {
  Scratch scratch(testing::TempDir(), Bytes(0));
  EXPECT_EQ(environment_error_of([&] {
              (void)lane_bench({{"kind", "codec"}, {"file", "/nowhere/kv"}}, scratch);
            }),
            "/nowhere/kv: cannot be read");
  const auto bench = lane_bench("codec", scratch);
  const std::string error = environment_error_of([&] {
    (void)bench->measure({"encode/gzip/bf16", Bytes(4096), 1}, in_a_hurry());
  });
  EXPECT_NE(error.find("found operation encode/gzip/bf16; allowed: "), std::string::npos) << error;
}

}  // namespace
}  // namespace kvsim
