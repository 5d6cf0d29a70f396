// Helpers of the tests of real configuration files.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/base/errors.hpp"
#include "sim/explain/translate.hpp"
#include "sim/explain/unit_text.hpp"

namespace kvsim {

inline constexpr std::int64_t kMebi = std::int64_t{1} << 20;
inline constexpr std::int64_t kGibi = std::int64_t{1} << 30;

inline Explanation kvrocks(const std::string& text) {
  return explain_text("kvrocks", text, "a.conf");
}
inline Explanation lmcache(const std::string& text) {
  return explain_text("lmcache", text, "a.yaml");
}
inline Explanation vllm(const std::string& text) { return explain_text("vllm", text, ""); }

inline Effect effect_of(Explanation explanation, const std::string& option) {
  const Explained* found = explanation.find(option);
  EXPECT_NE(found, nullptr) << option;
  return found == nullptr ? Effect::kUnknown : found->effect;
}

inline std::string text_of(Explanation explanation, const std::string& option) {
  const Explained* found = explanation.find(option);
  EXPECT_NE(found, nullptr) << option;
  return found == nullptr ? "" : found->text;
}

inline bool says(const std::vector<std::string>& lines, const std::string& part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(part) != std::string::npos; });
}

inline std::string all(const Explanation& explanation) {
  return explanation_json(explanation).dump(1);
}

}  // namespace kvsim
