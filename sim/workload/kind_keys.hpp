// Which keys go with which kind: a key that its kind would ignore is an error, like a missing one.
#pragma once

#include <string>
#include <vector>

namespace kvsim {

struct KindKeys {
  const char* kind;
  std::vector<const char*> needed;
  std::vector<const char*> optional;
};

// Throws ConfigError. `path` is the JSON path of the object, `given` the keys that it holds beside
// those that go with every kind; `kind` is one of the rows of `rules`.
void check_keys(const std::string& path, const std::string& kind,
                const std::vector<KindKeys>& rules, const std::vector<std::string>& given);

// Throws ConfigError "path: found X; allowed: Y".
[[noreturn]] void fail_at(const std::string& path, const std::string& found,
                          const std::string& allowed);

}  // namespace kvsim
