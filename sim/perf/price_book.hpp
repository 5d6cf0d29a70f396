// What a deployment's parts cost by the hour. Files: models/prices/*.json. Prices of hardware move
// and sources conflict: every entry has a date and a source, and a run names the book it used.
#pragma once

#include <string>
#include <vector>

#include "sim/perf/provenance.hpp"

namespace kvsim {

struct GpuPrice {
  std::string gpu;  // name of a GPU profile
  double usd_per_hour = 0;
  std::string date;
  Provenance provenance;

  template <class F>
  void fields(F& f) {
    f.required("gpu", gpu, "GPU profile.");
    f.required("usd_per_hour", usd_per_hour, Range{0, 1e5}, "One GPU with its share of the host.");
    f.required("date", date, "When the price was seen: year-month.");
    f.required("provenance", provenance, "Who asks it.");
  }
};

// A price with the range within which it is plausible.
struct PartPrice {
  double value = 0;
  double low = 0;
  double high = 0;
  Provenance provenance;

  template <class F>
  void fields(F& f) {
    f.required("value", value, Range{0, 1e6}, "What is charged.");
    f.required("low", low, Range{0, 1e6}, "Lowest plausible value.");
    f.required("high", high, Range{0, 1e6}, "Highest plausible value.");
    f.required("provenance", provenance, "Where these come from.");
  }
};

struct PriceBook {
  std::string schema;
  std::string name;
  std::string terms;
  std::vector<GpuPrice> gpus;
  PartPrice node_usd_per_hour;     // beside its GPUs
  PartPrice dram_usd_per_gb_hour;  // 1e9 bytes
  PartPrice nvme_usd_per_gb_hour;
  PartPrice store_node_usd_per_hour;    // a host without GPUs that serves a remote store
  PartPrice network_usd_per_gbit_hour;  // NIC and switch port, per Gbit/s
  PartPrice power_usd_per_kwh;
  PartPrice power_usage_effectiveness;  // facility power over IT power
  PartPrice power_share;                // of the board limit that a busy GPU draws
  bool power_included = true;           // the GPU price already pays for power

  template <class F>
  void fields(F& f) {
    f.choice("schema", schema, {"kvsim.prices/1"}, "What this file is.");
    f.required("name", name, "The book's name: that of its file.");
    f.choice("terms", terms, {"on-demand", "spot", "owned"}, "How the GPUs are paid for.");
    f.required("gpus", gpus, "Hourly prices.");
    f.required("node_usd_per_hour", node_usd_per_hour, "A node beside its GPUs.");
    f.required("dram_usd_per_gb_hour", dram_usd_per_gb_hour, "Host memory used for KV.");
    f.required("nvme_usd_per_gb_hour", nvme_usd_per_gb_hour, "Flash used for KV.");
    f.required("store_node_usd_per_hour", store_node_usd_per_hour, "A host of a remote store.");
    f.required("network_usd_per_gbit_hour", network_usd_per_gbit_hour, "Per Gbit/s of a NIC.");
    f.required("power_usd_per_kwh", power_usd_per_kwh, "Electricity.");
    f.required("power_usage_effectiveness", power_usage_effectiveness, "Facility over IT power.");
    f.required("power_share", power_share, "Of the board limit, while busy.");
    f.optional("power_included", power_included, "The GPU price pays for power.");
  }
  void check(const ConfigNode& node) const;

  // ConfigError listing the GPUs with a price otherwise.
  [[nodiscard]] const GpuPrice& gpu(const std::string& name) const;
};

PriceBook load_prices(const std::string& name);

}  // namespace kvsim
