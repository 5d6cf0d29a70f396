// JSON pointers (RFC 6901).
#pragma once

#include <string>

namespace kvsim {

// A key as a pointer has it: ~ and / escaped.
[[nodiscard]] inline std::string escape_pointer(const std::string& key) {
  std::string out;
  for (const char c : key) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

}  // namespace kvsim
