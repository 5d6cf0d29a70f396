#include "sim/workload/line_reader.hpp"

#include <fmt/format.h>

#include "sim/base/errors.hpp"

namespace kvsim {

namespace {
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
}

bool LineReader::take(std::string_view& line) {
  joined_.clear();
  unfinished_ = false;
  while (true) {
    if (chunk_.empty()) chunk_ = bytes_->next();
    if (chunk_.empty()) {
      if (joined_.empty()) return false;
      unfinished_ = true;
      line = joined_;
      break;
    }
    const std::size_t end = chunk_.find('\n');
    if (end == std::string_view::npos) {
      joined_ += chunk_;
      chunk_ = {};
      continue;
    }
    line = chunk_.substr(0, end);
    chunk_.remove_prefix(end + 1);
    if (!joined_.empty()) line = joined_ += line;
    break;
  }
  ++number_;
  if (number_ == 1 && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  if (line.ends_with('\r')) line.remove_suffix(1);
  return true;
}

bool LineReader::next(std::string_view& line) {
  while (take(line)) {
    if (line.find_first_not_of(" \t") != std::string_view::npos) return true;
  }
  return false;
}

std::string LineReader::place() const { return fmt::format("{}:{}", bytes_->name(), number_); }

void LineReader::fail(const std::string& found, const std::string& allowed) const {
  throw TraceError(fmt::format("{}: found {}; allowed: {}", place(), found, allowed));
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  std::string out = "\"";
  for (const char c : text.substr(0, kLongest)) {
    const bool printable = static_cast<unsigned char>(c) >= ' ' && c != '\x7f';
    out += printable ? c : '?';
  }
  return out + (text.size() > kLongest ? "...\"" : "\"");
}

}  // namespace kvsim
