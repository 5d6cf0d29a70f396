// The command line of LMCache's multiprocess server. Example:
//
//   lmcache server --l1-size-gb 100 --eviction-policy LRU --chunk-size 512
//
// Also as `python -m lmcache.v1.multiprocess.http_server ...`. After LMCache of July 2026.
#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/explain/command_line.hpp"
#include "sim/explain/config_format.hpp"
#include "sim/explain/lmcache_options.hpp"
#include "sim/explain/lmcache_tables.hpp"

namespace kvsim {

namespace {

bool is_server(const std::vector<std::string>& words, std::size_t index) {
  if (words[index].starts_with("lmcache.v1.multiprocess")) return true;
  return index > 0 && words[index] == "server" && words[index - 1].ends_with("lmcache");
}

class LmcacheServerFormat final : public ConfigFormat {
 public:
  using Options = NoOptions;
  LmcacheServerFormat(const NoOptions&, const Context&) {}

  [[nodiscard]] bool recognises(const std::string& text, const std::string&) const override {
    return text.find("lmcache server") != std::string::npos ||
           text.find("lmcache.v1.multiprocess") != std::string::npos ||
           text.find("--l1-size-gb") != std::string::npos;
  }

  [[nodiscard]] Explanation explain(const std::string& text,
                                    const std::string& name) const override {
    Explanation out;
    out.target = "connector";
    const CommandLine line = parse_command_line(text, name, is_server);
    std::vector<NamedValue> options =
        parse_flags(line.arguments, lmcache_server_table(), FlagNames::kUnderscores);
    std::erase_if(options, [](const NamedValue& option) { return option.name.empty(); });
    explain_lmcache_server(options, out);
    return out;
  }
};

const Register<ConfigFormat, LmcacheServerFormat> kRegistered(
    "lmcache-server", "command line of LMCache's multiprocess server");

}  // namespace

}  // namespace kvsim
