// A kind of configuration file of a real system. Each is a plug-in in a format_*.cpp: it recognises
// its files, says what each option does here, and translates them into our own keys.
#pragma once

#include <string>

#include "sim/base/registry.hpp"
#include "sim/explain/explanation.hpp"

namespace kvsim {

class ConfigFormat {
 public:
  static constexpr const char* kPlugin = "configuration format";
  struct Context {};
  virtual ~ConfigFormat() = default;

  // `text` is the whole file, `name` its path ("" for text given directly). At most one format
  // recognises a text.
  [[nodiscard]] virtual bool recognises(const std::string& text, const std::string& name) const = 0;
  // Never throws for what an option says: a value that the real system would refuse comes back as
  // Effect::kRefused. Throws ConfigError (naming `name`) for text that is not of this format.
  [[nodiscard]] virtual Explanation explain(const std::string& text,
                                            const std::string& name) const = 0;
};

}  // namespace kvsim
