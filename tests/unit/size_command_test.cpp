#include <gtest/gtest.h>

#include "sim/base/errors.hpp"
#include "sim/base/json.hpp"
#include "sim/cli/commands.hpp"

namespace kvsim {
namespace {

std::string size(const std::string& flags) {
  CLI::App app;
  add_size_command(app);
  testing::internal::CaptureStdout();
  try {
    app.parse("size " + flags);
  } catch (...) {
    testing::internal::GetCapturedStdout();
    throw;
  }
  return testing::internal::GetCapturedStdout();
}

TEST(SizeCommand, PrintsWhatAnOperatorPlansWith) {
  const std::string table = size("--model llama-3.1-8b --gpu l4 --context 8000");
  for (const char* row : {"weights", "KV cache", "KV blocks", "KV tokens", "concurrent clients",
                          "at 8000 tokens each", "lowered from 131072"})
    EXPECT_NE(table.find(row), std::string::npos) << row << "\n" << table;
}

TEST(SizeCommand, JsonPartsAddUp) {
  const Json json = Json::parse(size("--model qwen3-32b --gpu h100 --tp 2 --json"));
  std::int64_t sum = 0;
  for (const char* part : {"weights_bytes", "activations_bytes", "collectives_bytes", "other_bytes",
                           "graphs_bytes", "kv_bytes"})
    sum += json[part].get<std::int64_t>();
  EXPECT_EQ(sum, json["requested_bytes"].get<std::int64_t>());
}

TEST(SizeCommand, AModelThatDoesNotFitIsTheUsersMistake) {
  EXPECT_THROW(size("--model llama-3.1-70b --gpu l4"), ConfigError);
}

TEST(SizeCommand, AnUnknownModelOrVersionIsTheUsersMistake) {
  EXPECT_THROW(size("--model llama-9 --gpu l4"), ConfigError);
  EXPECT_THROW(size("--model qwen3-8b --gpu l4 --version newest"), ConfigError);
}

}  // namespace
}  // namespace kvsim
