// Parts below know the value they complain of, not the file it came from: named_by puts the place
// in front of their ConfigErrors, unless they name the file themselves.
#pragma once

#include <string>

#include "sim/base/errors.hpp"

namespace kvsim {

// `place`: "file" or "file: /json/path". Returns what `body` does.
template <class Body>
auto named_by(const std::string& place, const Body& body) {
  try {
    return body();
  } catch (const ConfigError& error) {
    const std::string what = error.what();
    if (what.starts_with(place.substr(0, place.find(": ")) + ": ")) throw;
    throw ConfigError(place + ": " + what);
  }
}

}  // namespace kvsim
