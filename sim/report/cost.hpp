// What a deployment costs: hourly money by part, and money per token served. Plain numbers in; who
// reads the price book knows where they come from.
#pragma once

#include <optional>
#include <vector>

namespace kvsim {

struct Priced {
  double units = 0;  // GPUs, nodes, GB
  double usd_per_unit_hour = 0;
};

struct CostInputs {
  std::vector<Priced> gpus;
  std::vector<Priced> nodes;  // the host that carries the GPUs, where it is priced by itself
  std::vector<Priced> dram_gb;
  std::vector<Priced> nvme_gb;
  std::vector<Priced> stores;   // dedicated store machines
  std::vector<Priced> network;  // ports, switches
  double power_w = 0;           // mean draw of everything that is not rented with power included
  double power_usage_effectiveness = 1;
  double usd_per_kwh = 0;
};

// US dollars per hour. Hosts count as `gpu`, because clouds price both together.
struct HourlyCost {
  double gpu = 0;
  double dram = 0;
  double nvme = 0;
  double store = 0;
  double network = 0;
  double power = 0;
  [[nodiscard]] double total() const { return gpu + dram + nvme + store + network + power; }
};

[[nodiscard]] HourlyCost hourly_cost(const CostInputs& inputs);

// None when nothing is produced: money without tokens has no price per token.
[[nodiscard]] std::optional<double> usd_per_million(double usd_per_hour, double tokens_per_s);

}  // namespace kvsim
