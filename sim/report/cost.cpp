#include "sim/report/cost.hpp"

namespace kvsim {

namespace {

double sum(const std::vector<Priced>& items) {
  double out = 0;
  for (const Priced& item : items) out += item.units * item.usd_per_unit_hour;
  return out;
}

}  // namespace

HourlyCost hourly_cost(const CostInputs& inputs) {
  constexpr double kWattsPerKilowatt = 1000;
  return {.gpu = sum(inputs.gpus) + sum(inputs.nodes),
          .dram = sum(inputs.dram_gb),
          .nvme = sum(inputs.nvme_gb),
          .store = sum(inputs.stores),
          .network = sum(inputs.network),
          .power = inputs.power_w / kWattsPerKilowatt * inputs.power_usage_effectiveness *
                   inputs.usd_per_kwh};
}

std::optional<double> usd_per_million(double usd_per_hour, double tokens_per_s) {
  if (!(tokens_per_s > 0)) return std::nullopt;
  constexpr double kSecondsPerHour = 3600;
  return usd_per_hour / (tokens_per_s * kSecondsPerHour) * 1e6;
}

}  // namespace kvsim
