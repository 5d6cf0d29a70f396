#include "sim/explain/unit_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace kvsim {

namespace {

constexpr double kKibi = 1024;
constexpr double kMebi = kKibi * 1024;
constexpr double kGibi = kMebi * 1024;

// A number and what follows it; nothing when it does not begin with a finite number.
std::optional<std::pair<double, std::string>> split_number(const std::string& text) {
  if (text.empty() || std::isspace(static_cast<unsigned char>(text[0])) != 0) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  const bool hexadecimal = text.find_first_of("xX") != std::string::npos;
  if (end == text.c_str() || !std::isfinite(value) || hexadecimal) return std::nullopt;
  return std::make_pair(value, std::string(end));
}

std::optional<double> plain_number(const std::string& text) {
  const auto split = split_number(text);
  if (!split || !split->second.empty()) return std::nullopt;
  return split->first;
}

// An integer as JSON writes it where it is one, so that 5.0 GiB is 5368709120 and not 5.36e9.
Json exact(double value) {
  if (value == std::floor(value) && std::abs(value) < 9e15) return static_cast<std::int64_t>(value);
  return value;
}

std::optional<Json> whole(const std::string& text, double factor) {
  const auto value = plain_number(text);
  if (!value || *value != std::floor(*value) || text.find_first_of(".eE") != std::string::npos)
    return std::nullopt;
  return exact(*value * factor);
}

std::optional<Json> fraction(const std::string& text, double factor) {
  const auto value = plain_number(text);
  if (!value) return std::nullopt;
  return exact(*value * factor);
}

std::optional<Json> bytes_of_fraction(const std::string& text, double factor) {
  const auto value = plain_number(text);
  if (!value) return std::nullopt;
  return exact(std::round(*value * factor));
}

std::optional<Json> flag(const std::string& text) {
  const std::string word = lower_case(text);
  for (const char* yes : {"yes", "true", "on", "1", "y"})
    if (word == yes) return true;
  for (const char* no : {"no", "false", "off", "0", "n"})
    if (word == no) return false;
  return std::nullopt;
}

using Suffix = std::pair<const char*, double>;

template <std::size_t n>
std::optional<Json> with_suffix(const std::string& text, const std::array<Suffix, n>& suffixes,
                                bool any_case) {
  const auto split = split_number(text);
  if (!split) return std::nullopt;
  const std::string tail = any_case ? lower_case(split->second) : split->second;
  for (const auto& [suffix, factor] : suffixes)
    if (tail == suffix) return exact(std::floor(split->first * factor));
  return std::nullopt;
}

constexpr std::array kRedisSuffixes{Suffix{"", 1},       Suffix{"b", 1},     Suffix{"k", 1e3},
                                    Suffix{"kb", kKibi}, Suffix{"m", 1e6},   Suffix{"mb", kMebi},
                                    Suffix{"g", 1e9},    Suffix{"gb", kGibi}};
constexpr std::array kHumanSuffixes{Suffix{"", 1},     Suffix{"k", 1e3},   Suffix{"K", kKibi},
                                    Suffix{"m", 1e6},  Suffix{"M", kMebi}, Suffix{"g", 1e9},
                                    Suffix{"G", kGibi}};

}  // namespace

std::optional<Json> parse_unit(const std::string& text, Unit unit) {
  switch (unit) {
    case Unit::kText:
      return Json(text);
    case Unit::kFlag:
      return flag(text);
    case Unit::kInteger:
    case Unit::kBytes:
    case Unit::kMebibytes:
      return whole(text, unit_factor(unit));
    case Unit::kGibibytes:
      return bytes_of_fraction(text, unit_factor(unit));
    case Unit::kRedisMemory:
      return with_suffix(text, kRedisSuffixes, true);
    case Unit::kHumanCount:
      return with_suffix(text, kHumanSuffixes, false);
    case Unit::kNumber:
    case Unit::kSeconds:
    case Unit::kMilliseconds:
    case Unit::kPercent:
      break;
  }
  return fraction(text, unit_factor(unit));
}

double unit_factor(Unit unit) {
  if (unit == Unit::kMebibytes) return kMebi;
  if (unit == Unit::kGibibytes) return kGibi;
  if (unit == Unit::kMilliseconds) return 1e-3;
  if (unit == Unit::kPercent) return 1e-2;
  return 1;
}

const char* unit_name(Unit unit) {
  switch (unit) {
    case Unit::kText:
      return "text";
    case Unit::kFlag:
      return "yes or no";
    case Unit::kInteger:
    case Unit::kHumanCount:
      return "a whole number";
    case Unit::kNumber:
      return "a number";
    case Unit::kBytes:
      return "a whole number of bytes";
    case Unit::kMebibytes:
      return "a whole number of MiB";
    case Unit::kGibibytes:
      return "a number of GiB";
    case Unit::kRedisMemory:
      return "bytes, or a number with k, kb, m, mb, g or gb";
    case Unit::kSeconds:
      return "seconds";
    case Unit::kMilliseconds:
      return "milliseconds";
    case Unit::kPercent:
      break;
  }
  return "per cent";
}

std::string human_bytes(double bytes) {
  static constexpr std::array<Suffix, 4> kUnits{Suffix{"TiB", kGibi * 1024}, Suffix{"GiB", kGibi},
                                                Suffix{"MiB", kMebi}, Suffix{"KiB", kKibi}};
  for (const auto& [name, size] : kUnits)
    if (std::abs(bytes) >= size) return fmt::format("{:.4g} {}", bytes / size, name);
  return fmt::format("{:.4g} B", bytes);
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return text;
}

}  // namespace kvsim
