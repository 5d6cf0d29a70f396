#include <fmt/format.h>

#include <charconv>
#include <regex>

#include "sim/base/errors.hpp"
#include "sim/probe/bench_resp_connection.hpp"

namespace kvsim {

namespace {

std::string decoded(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    int code = 0;
    const char* digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(digits, digits + 2, code, 16).ptr == digits + 2) {
      out.push_back(static_cast<char>(code));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// A message must not show a password.
std::string without_password(const std::string& url) {
  static const std::regex kPassword("//.*@");
  return std::regex_replace(url, kPassword, "//...@");
}

[[noreturn]] void fail(const std::string& url) {
  throw ConfigError(
      fmt::format("store: found '{}'; allowed: redis://[[user]:password@]host[:port][/database], "
                  "also valkey:// and kvrocks://",
                  without_password(url)));
}

}  // namespace

std::string RespTarget::name() const {
  const std::string shown = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return fmt::format("redis://{}:{}", shown, port);
}

RespTarget parse_resp_url(const std::string& url) {
  static const std::regex kUrl(
      R"((?:redis|valkey|kvrocks)://(?:([^:@/]*):([^@/]*)@)?)"
      R"((\[[0-9a-fA-F:.]+\]|[^:@/\[\]?#]+)(?::(\d{1,5}))?(?:/(\d{0,4}))?)");
  std::smatch parts;
  if (!std::regex_match(url, parts, kUrl)) fail(url);
  RespTarget out;
  out.user = decoded(parts[1]);
  out.password = decoded(parts[2]);
  out.host = parts[3];
  if (out.host.front() == '[') out.host = out.host.substr(1, out.host.size() - 2);
  if (parts[4].matched) out.port = std::stoi(parts[4]);
  if (parts[5].length() > 0) out.database = std::stoi(parts[5]);
  if (out.port < 1 || out.port > 65535) fail(url);
  return out;
}

}  // namespace kvsim
