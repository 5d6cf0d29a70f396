#include "kernels/bench/json.hpp"

#include <cmath>
#include <cstdio>

namespace kvsim::kernels {
namespace {

constexpr int kDepthOnLines = 3;  // deeper values, the fields of a sample, share a line

}  // namespace

void JsonWriter::text(std::string_view key, std::string_view value) {
  begin(key);
  quote(value);
}

void JsonWriter::number(std::string_view key, double value) {
  begin(key);
  if (!std::isfinite(value)) {
    out_ += "null";
    return;
  }
  char digits[40];
  const bool whole = std::abs(value) < 9e15 && value == std::floor(value);
  std::snprintf(digits, sizeof(digits), whole ? "%.0f" : "%.9g", value);
  out_ += digits;
}

void JsonWriter::boolean(std::string_view key, bool value) {
  begin(key);
  out_ += value ? "true" : "false";
}

void JsonWriter::open(std::string_view key, char bracket) {
  begin(key);
  out_ += bracket;
  ++depth_;
  first_ = true;
}

void JsonWriter::close(char bracket) {
  --depth_;
  if (!first_ && depth_ < kDepthOnLines - 1) out_ += "\n" + std::string(2 * depth_, ' ');
  out_ += bracket;
  first_ = false;
  if (depth_ == 0) out_ += '\n';
}

void JsonWriter::begin(std::string_view key) {
  if (!first_) out_ += ',';
  if (depth_ > 0 && depth_ < kDepthOnLines) {
    out_ += "\n" + std::string(2 * depth_, ' ');
  } else if (!first_) {
    out_ += ' ';
  }
  first_ = false;
  if (key.empty()) return;
  quote(key);
  out_ += ": ";
}

void JsonWriter::quote(std::string_view value) {
  out_ += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') out_ += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", static_cast<unsigned>(c));
      out_ += escaped;
    } else {
      out_ += c;
    }
  }
  out_ += '"';
}

}  // namespace kvsim::kernels
