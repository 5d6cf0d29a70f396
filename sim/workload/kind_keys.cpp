#include "sim/workload/kind_keys.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/check.hpp"
#include "sim/base/config_node.hpp"

namespace kvsim {

void check_keys(const std::string& path, const std::string& kind,
                const std::vector<KindKeys>& rules, const std::vector<std::string>& given) {
  const auto rule = std::find_if(rules.begin(), rules.end(),
                                 [&](const KindKeys& row) { return kind == row.kind; });
  KV_CHECK(rule != rules.end(), "{}: no kind {}", path, kind);
  for (const char* key : rule->needed) {
    if (std::find(given.begin(), given.end(), key) == given.end())
      fail_at(path, fmt::format("kind \"{}\" without {}", kind, key),
              fmt::format("{} together with {}", kind,
                          join_names({rule->needed.begin(), rule->needed.end()})));
  }
  std::vector<std::string> known(rule->needed.begin(), rule->needed.end());
  known.insert(known.end(), rule->optional.begin(), rule->optional.end());
  for (const std::string& key : given) {
    if (std::find(known.begin(), known.end(), key) == known.end())
      fail_at(path + "/" + key, fmt::format("it with kind \"{}\"", kind),
              known.empty() ? "no further keys" : "with that kind " + join_names(known));
  }
}

void fail_at(const std::string& path, const std::string& found, const std::string& allowed) {
  throw ConfigError(fmt::format("{}: found {}; allowed: {}", path, found, allowed));
}

}  // namespace kvsim
