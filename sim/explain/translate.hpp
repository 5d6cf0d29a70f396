// Real configuration files by name: explained for people, translated for experiments.
#pragma once

#include <string>

#include "sim/explain/explanation.hpp"

namespace kvsim {

// `format` is a registered name (`kvsim list`), or "" to recognise it. `name` is for messages and
// helps to recognise. Throws ConfigError when no format, or more than one, recognises the text.
[[nodiscard]] Explanation explain_text(const std::string& format, const std::string& text,
                                       const std::string& name);
[[nodiscard]] Explanation explain_file(const std::string& format, const std::string& file);

// Our keys: a store, a connector or a part of a pool, as the format has it. Throws ConfigError also
// for a value that the real system would refuse to start with.
[[nodiscard]] Json translate_text(const std::string& format, const std::string& text,
                                  const std::string& name);
[[nodiscard]] Json translate(const std::string& format, const std::string& file);

}  // namespace kvsim
