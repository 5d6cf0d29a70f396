#include "sim/experiment/run_facts_assembly.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/base/config_node.hpp"
#include "sim/store/disk_wear.hpp"

namespace kvsim {

namespace {

StoreFacts store_facts(const Machines::NamedStore& named) {
  const StoreUse use = named.store->use();
  StoreFacts facts;
  facts.name = named.name;
  facts.live = use.live;
  facts.stored = use.stored;
  facts.evicted = use.evicted;
  facts.refused = use.refused;
  facts.gets = use.gets;
  facts.hits = use.hits;
  facts.puts = use.puts;
  facts.write_amplification = use.write_amplification;
  return facts;
}

DiskFacts disk_facts(const Machines::NamedDisk& named, Seconds ended) {
  DiskFacts facts;
  facts.name = named.name;
  facts.read = named.use.read;
  facts.written = named.use.written;
  facts.written_flash = named.use.written_flash;
  facts.capacity = named.use.capacity;
  facts.used = named.use.used;
  facts.rated_drive_writes_per_day = named.use.rated_drive_writes_per_day;
  if (ended <= Seconds(0) || named.use.capacity <= Bytes(0)) return facts;
  const DiskWear wear = wear_of(named.use, ended);
  facts.drive_writes_per_day = wear.drive_writes_per_day;
  facts.years_of_life = wear.years;
  return facts;
}

// What stores and disks did, and how the disks wear.
void add_machines(const Machines& machines, Seconds ended, RunFacts& out) {
  double written = 0;
  double taken = 0;
  for (const Machines::NamedStore& named : machines.stores()) {
    out.stores.push_back(store_facts(named));
    const StoreFacts& facts = out.stores.back();
    if (facts.write_amplification <= 0) continue;
    written += facts.write_amplification * facts.stored.real();
    taken += facts.stored.real();
  }
  for (const StoreFacts& store : out.stores)
    if (store.refused > Bytes(0))
      out.warnings.push_back(fmt::format("store {} refused {:.3g} GB for lack of room", store.name,
                                         store.refused.real() / 1e9));
  if (taken > 0) out.write_amplification = written / taken;
  for (const Machines::NamedDisk& named : machines.disks()) {
    out.disks.push_back(disk_facts(named, ended));
    const DiskFacts& disk = out.disks.back();
    const double rated = disk.rated_drive_writes_per_day;
    if (rated > 0 && disk.drive_writes_per_day > rated)
      out.warnings.push_back(
          fmt::format("disk {}: {:.3g} drive writes a day at this rate, rated for {:g}: worn out "
                      "in {:.2g} years",
                      disk.name, disk.drive_writes_per_day, rated, disk.years_of_life));
  }
}

// `tiers`: where the connector's stand among the run's.
void add_connector(const Connector& connector, const std::vector<std::size_t>& tiers,
                   RunFacts& out) {
  for (const std::string& warning : connector.warnings())
    if (std::find(out.warnings.begin(), out.warnings.end(), warning) == out.warnings.end())
      out.warnings.push_back(warning);
  std::size_t tier = 1;
  for (const TierUse& use : connector.tiers()) {
    TierFacts& facts = out.tiers[tiers[tier++]];
    facts.evicted += Tokens(use.evicted_tokens);
    facts.stored += Bytes(use.stored_bytes);
    facts.dropped += Tokens(use.dropped_tokens);
    facts.failed_loads += use.failed_loads;
    facts.bypassed += use.bypassed;
  }
}

void add_waits(const Engine& engine, StepWaitFacts& out) {
  const StepWaits& waits = engine.waits();
  out.loads += waits.loads;
  for (std::size_t i = 0; i < kStages; ++i) out.load_stages[i] += waits.load_stages.seconds[i];
  out.stores += waits.stores;
  out.lookups += waits.lookups;
}

// For the list of resources: time in which an engine could not do the step it had to do.
ResourceUse stalls_of(const Engine& engine, std::size_t number) {
  const StepWaits& waits = engine.waits();
  ResourceUse out;
  out.name = "engine-" + std::to_string(number) + ".waits";
  out.kind = "stall";
  out.busy = waits.loads + waits.stores + waits.lookups;
  return out;
}

std::vector<ResourceFacts> resources_of(const FinishedRun& run) {
  std::vector<ResourceUse> uses = run.frontend.resources();
  const auto add = [&uses](std::vector<ResourceUse> more) {
    for (ResourceUse& use : more) uses.push_back(std::move(use));
  };
  if (run.links != nullptr) add(run.links->resources());
  for (const auto& replica : run.frontend.replicas())
    if (const Connector* connector = replica->engine->connector()) add(connector->resources());
  for (std::size_t i = 0; i < run.frontend.replicas().size(); ++i)
    if (const Engine& engine = *run.frontend.replicas()[i]->engine; engine.connector() != nullptr)
      add({stalls_of(engine, i)});
  if (run.machines != nullptr) add(run.machines->resources());
  if (run.transfers != nullptr) add(run.transfers->resources());
  std::vector<ResourceFacts> out;
  for (const ResourceUse& use : uses) {
    ResourceFacts facts;
    facts.name = use.name;
    facts.kind = use.kind;
    facts.bytes = use.bytes;
    facts.busy = use.busy;
    const double capacity = run.ended.count() * use.servers;
    facts.utilisation = capacity > 0 ? use.busy.count() / capacity : 0;
    out.push_back(std::move(facts));
  }
  return out;
}

// What lies below the GPUs: memory and flash that is set aside for KV, machines of stores, and the
// network where one is used.
void add_tier_costs(const FinishedRun& run, CostInputs& inputs) {
  const PriceBook& prices = run.prices;
  Bytes dram{0};
  Bytes flash{0};
  for (const auto& replica : run.frontend.replicas())
    if (const Connector* connector = replica->engine->connector()) dram += connector->dram();
  if (run.machines != nullptr) {
    for (const Machines::NamedStore& store : run.machines->stores()) dram += store.store->dram();
    // A tmpfs takes memory, and only for what is in it.
    for (const Machines::NamedDisk& disk : run.machines->disks())
      (disk.kind == "tmpfs" ? dram : flash) +=
          disk.kind == "tmpfs" ? disk.use.used : disk.use.capacity;
    inputs.stores = {{static_cast<double>(run.machines->dedicated_hosts()),
                      prices.store_node_usd_per_hour.value}};
    constexpr double kGbit = 1e9 / 8;  // bytes
    inputs.network = {
        {run.machines->network_cards().count() / kGbit, prices.network_usd_per_gbit_hour.value}};
  }
  constexpr double kGigabyte = 1e9;
  inputs.dram_gb = {{dram.real() / kGigabyte, prices.dram_usd_per_gb_hour.value}};
  inputs.nvme_gb = {{flash.real() / kGigabyte, prices.nvme_usd_per_gb_hour.value}};
}

// GPUs of a pool, on the average over the run: replicas that are not rented cost nothing.
double gpus_of(const FinishedRun& run, std::size_t pool) {
  Seconds rented{0};
  for (const auto& replica : run.frontend.replicas())
    if (static_cast<std::size_t>(replica->pool) == pool) rented += replica->rented(run.ended);
  const PoolPlan& plan = run.pools[pool];
  const auto gpus = static_cast<double>(plan.gpus_per_replica());
  const double all = static_cast<double>(plan.config.replicas) * gpus;
  const bool fixed = plan.most_replicas() == plan.config.replicas;
  return fixed || run.ended <= Seconds(0) ? all : gpus * (rented / run.ended);
}

CostInputs cost_of(const FinishedRun& run) {
  const PriceBook& prices = run.prices;
  CostInputs inputs;
  for (std::size_t i = 0; i < run.pools.size(); ++i) {
    const double gpus = gpus_of(run, i);
    inputs.gpus.push_back({gpus, run.pools[i].gpu_usd_per_hour});
    if (prices.power_included) continue;
    inputs.power_w += gpus * run.pools[i].context.gpu.peaks.power_w * prices.power_share.value;
    inputs.power_usage_effectiveness = prices.power_usage_effectiveness.value;
    inputs.usd_per_kwh = prices.power_usd_per_kwh.value;
  }
  inputs.nodes = {
      {static_cast<double>(run.placement.machines.size()), prices.node_usd_per_hour.value}};
  add_tier_costs(run, inputs);
  return inputs;
}

}  // namespace

RunFacts gather_facts(const FinishedRun& run) {
  RunFacts out;
  out.name = run.config.name;
  out.warnings = run.config.warnings;
  out.gpus = 0;
  for (std::size_t i = 0; i < run.pools.size(); ++i) out.gpus += gpus_of(run, i);
  out.tiers.resize(run.tiers.size());
  for (std::size_t i = 0; i < run.tiers.size(); ++i) out.tiers[i].name = run.tiers[i];
  if (run.machines != nullptr) out.fetch_stages.assign(kStageNames.begin(), kStageNames.end());
  for (const auto& replica : run.frontend.replicas()) {
    const Engine& engine = *replica->engine;
    out.tiers[0].evicted += Tokens(engine.pool().evicted_blocks() * engine.block_tokens());
    out.recomputed += Tokens(engine.recomputed_tokens());
    add_waits(engine, out.waits);
    if (engine.connector() != nullptr) add_connector(*engine.connector(), replica->tiers, out);
  }
  if (run.machines != nullptr) add_machines(*run.machines, run.ended, out);
  out.resources = resources_of(run);
  out.cost = cost_of(run);
  out.simulated = run.ended;
  std::vector<std::string> assumed;
  for (const PoolPlan& pool : run.pools)
    for (const std::string& name : pool.assumed)
      if (std::find(assumed.begin(), assumed.end(), name) == assumed.end()) assumed.push_back(name);
  if (!assumed.empty()) out.warnings.push_back("assumed, not measured: " + join_names(assumed));
  return out;
}

}  // namespace kvsim
