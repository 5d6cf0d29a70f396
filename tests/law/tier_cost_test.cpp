// What tiers cost by the hour, and how fast disks wear, in whole runs.
#include <gtest/gtest.h>

#include "sim/perf/price_book.hpp"
#include "tests/law/small_world.hpp"

namespace kvsim {
namespace {

// Two nodes of one GPU, LMCache above one store.
Json experiment_above(const Json& store) {
  Json out = {
      {"schema", "kvsim.experiment/1"},
      {"workload",
       {{"kind", "generate"},
        {"requests", 20},
        {"input", {{"kind", "constant"}, {"value", 600}}},
        {"output", {{"kind", "constant"}, {"value", 8}}}}},
      {"load", {{"kind", "closed_loop"}, {"clients", 2}}},
      {"nodes", {{{"gpus", 1}}, {{"name", "server"}, {"gpus", 1}}}},
      {"stores", {store}},
      {"pools",
       {{{"llm", "qwen3-0.6b"},
         {"gpu", "l4"},
         {"replicas", 2},
         {"connector", {{"kind", "lmcache"}, {"max_local_cpu_bytes", 4e9}, {"remote", "kv"}}}}}}};
  return out;
}

Json redis() { return {{"name", "kv"}, {"kind", "redis"}, {"maxmemory_bytes", 10e9}}; }

Json files_on(Json disk) {
  disk["name"] = "ssd";
  Json out =
      experiment_above({{"name", "kv"}, {"kind", "files"}, {"disk", "ssd"}, {"io", "direct"}});
  out["nodes"][0]["disks"] = {std::move(disk)};
  return out;
}

Json summary_of(const Json& experiment) { return Json::parse(summary_of_child(experiment)); }

double part(const Json& summary, const char* name) {
  return summary["cost"]["by_part"][name].get<double>();
}

TEST(TierCost, DramIsThatOfConnectorsAndStores) {
  const PriceBook prices = load_prices("rental-on-demand");
  const Json summary = summary_of(experiment_above(redis()));
  EXPECT_NEAR(part(summary, "dram"), (2 * 4 + 2 * 10) * prices.dram_usd_per_gb_hour.value, 1e-9);
  EXPECT_EQ(part(summary, "store"), 0);
  EXPECT_EQ(part(summary, "network"), 0);  // each node has its own
}

TEST(TierCost, ADedicatedStoreIsAMachineAndNeedsANetwork) {
  const PriceBook prices = load_prices("rental-on-demand");
  Json store = redis();
  store["place"] = "dedicated";
  store["node"] = "server";
  const Json summary = summary_of(experiment_above(store));
  EXPECT_NEAR(part(summary, "store"), prices.store_node_usd_per_hour.value, 1e-9);
  // Three cards of 100 Gbit/s.
  EXPECT_NEAR(part(summary, "network"), 300 * prices.network_usd_per_gbit_hour.value, 1e-9);
}

TEST(TierCost, DisksCostTheirCapacityOnEachNode) {
  const PriceBook prices = load_prices("rental-on-demand");
  const Json summary = summary_of(files_on({{"kind", "nvme"}, {"capacity_bytes", 2e12}}));
  EXPECT_NEAR(part(summary, "nvme"), 4000 * prices.nvme_usd_per_gb_hour.value, 1e-9);
}

TEST(TierCost, ATmpfsCostsMemoryAndNoFlash) {
  const Json summary = summary_of(files_on({{"kind", "tmpfs"}, {"capacity_bytes", 2e12}}));
  EXPECT_EQ(part(summary, "nvme"), 0);
  EXPECT_GT(part(summary, "dram"), 8 * load_prices("rental-on-demand").dram_usd_per_gb_hour.value);
}

TEST(TierCost, ADiskThatWearsTooFastIsWarnedOf) {
  const auto wears = [](double capacity) {
    const Json summary = summary_of(
        files_on({{"kind", "nvme"}, {"capacity_bytes", capacity}, {"drive_writes_per_day", 1}}));
    const Json& disk = summary["disks"][0];
    const double years = disk["years_of_life"].get<double>();
    EXPECT_NEAR(years * disk["drive_writes_per_day"].get<double>(), 5, 1e-9);
    return summary["warnings"].dump().find("worn out in") != std::string::npos;
  };
  EXPECT_TRUE(wears(50e9));
  EXPECT_FALSE(wears(5e15));
}

}  // namespace
}  // namespace kvsim
