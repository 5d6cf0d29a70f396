#include "sim/experiment/network.hpp"

#include <algorithm>
#include <vector>

#include "sim/perf/model_files.hpp"
#include "sim/store/disk_profile.hpp"

namespace kvsim {

namespace {

struct NetworkPreset {
  std::string schema;
  std::string name;
  std::string description;
  Json network;
  std::vector<FigureSource> provenance;
  template <class F>
  void fields(F& f) {
    f.choice("schema", schema, {"kvsim.network/1"}, "What this file is.");
    f.required("name", name, "As the file is called.");
    f.required("description", description, "What it stands for.");
    f.required("network", network, "Figures, by the names of an experiment's \"network\".");
    f.required("provenance", provenance, "Where they come from: each is named once.");
  }
  void check(const ConfigNode& node) const {
    const ConfigNode figures = node.at("network");
    figures.expect_object();
    (void)read_config<NetworkConfig>(figures);
    for (const auto& [key, value] : network.items()) {
      const auto named = [&key = key](const FigureSource& source) {
        return std::find(source.figures.begin(), source.figures.end(), key) != source.figures.end();
      };
      if (std::count_if(provenance.begin(), provenance.end(), named) != 1)
        figures.at(key).fail("no single source", "one that names it in /provenance");
    }
    for (std::size_t i = 0; i < provenance.size(); ++i)
      require_provenance(node.at("provenance").at(i), provenance[i].provenance);
  }
};

}  // namespace

NetworkConfig read_network(const ConfigNode& experiment) {
  if (!experiment.has("network")) return {};
  const ConfigNode given = experiment.at("network");
  auto config = read_config<NetworkConfig>(given);
  if (config.topology.empty()) return config;
  if (config.topology.ends_with(".json"))
    config.topology = given.at("topology").resolve_path(config.topology);
  Json all = load_profile<NetworkPreset>("network", config.topology).network;
  all.update(given.json());
  all["topology"] = config.topology;
  return read_config<NetworkConfig>(ConfigNode(all, given.file(), given.path()));
}

}  // namespace kvsim
