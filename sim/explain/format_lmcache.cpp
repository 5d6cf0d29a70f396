// LMCache's YAML file (LMCACHE_CONFIG_FILE). Example:
//
//   chunk_size: 512
//   local_cpu: true
//   max_local_cpu_size: 20.0     # GB
//   remote_url: "redis://cache:6666"
//   extra_config: {use_odirect: true}
//
// Of both generations (about v0.3.9, and 2026); options of the multiprocess server
// (l1_size_gb, eviction_policy, ...) make it that server's.
#include <sstream>

#include "sim/base/registry.hpp"
#include "sim/explain/config_format.hpp"
#include "sim/explain/lmcache_options.hpp"
#include "sim/explain/yaml_options.hpp"

namespace kvsim {

namespace {

class LmcacheFormat final : public ConfigFormat {
 public:
  using Options = NoOptions;
  LmcacheFormat(const NoOptions&, const Context&) {}

  // A line "name:" with a name of LMCache's is enough, so that a file with a mistake elsewhere is
  // recognised and its mistake told.
  [[nodiscard]] bool recognises(const std::string& text, const std::string&) const override {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const std::size_t colon = line.find(':');
      if (colon == std::string::npos) continue;
      std::string name = line.substr(0, colon);
      for (char& letter : name)
        if (letter == '-') letter = '_';
      const bool address = name == "host" || name == "port" || name == "config_file";
      if (!address && (is_lmcache_option(name) || is_lmcache_server_option(name))) return true;
    }
    return false;
  }

  [[nodiscard]] Explanation explain(const std::string& text,
                                    const std::string& name) const override {
    Explanation out;
    out.target = "connector";
    explain_lmcache(parse_yaml_options(text, name), out);
    return out;
  }
};

const Register<ConfigFormat, LmcacheFormat> kRegistered("lmcache", "LMCache's YAML file");

}  // namespace

}  // namespace kvsim
