#include "sim/perf/price_book.hpp"

#include <fmt/format.h>

#include "sim/perf/model_files.hpp"

namespace kvsim {

void PriceBook::check(const ConfigNode& node) const {
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    require_provenance(node.at("gpus").at(i), gpus[i].provenance);
    if (gpus[i].date.empty()) node.at("gpus").at(i).fail("an empty \"date\"", "year-month");
  }
  for (const auto& [key, price] :
       {std::pair<const char*, const PartPrice&>{"node_usd_per_hour", node_usd_per_hour},
        {"dram_usd_per_gb_hour", dram_usd_per_gb_hour},
        {"nvme_usd_per_gb_hour", nvme_usd_per_gb_hour},
        {"store_node_usd_per_hour", store_node_usd_per_hour},
        {"network_usd_per_gbit_hour", network_usd_per_gbit_hour},
        {"power_usd_per_kwh", power_usd_per_kwh},
        {"power_usage_effectiveness", power_usage_effectiveness},
        {"power_share", power_share}}) {
    require_provenance(node.at(key), price.provenance);
    if (price.low > price.value || price.value > price.high)
      node.at(key).fail(fmt::format("{:g}", price.value),
                        fmt::format("between low {:g} and high {:g}", price.low, price.high));
  }
}

const GpuPrice& PriceBook::gpu(const std::string& wanted) const {
  std::vector<std::string> known;
  for (const GpuPrice& price : gpus) {
    if (price.gpu == wanted) return price;
    known.push_back(price.gpu);
  }
  throw ConfigError(fmt::format("price of \"{}\" in {}: found none; allowed: {}", wanted, name,
                                join_names(known)));
}

PriceBook load_prices(const std::string& name) { return load_profile<PriceBook>("prices", name); }

}  // namespace kvsim
