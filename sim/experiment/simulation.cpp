#include "sim/experiment/simulation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "sim/base/check.hpp"
#include "sim/base/registry.hpp"
#include "sim/base/sha256.hpp"
#include "sim/engine/scheduler.hpp"
#include "sim/experiment/breakable.hpp"
#include "sim/experiment/calibrated.hpp"
#include "sim/experiment/complaints.hpp"
#include "sim/experiment/dispatch_assembly.hpp"
#include "sim/experiment/host_links.hpp"
#include "sim/experiment/kv_map_assembly.hpp"
#include "sim/experiment/live_session.hpp"
#include "sim/experiment/pool_assembly.hpp"
#include "sim/experiment/run_facts_assembly.hpp"
#include "sim/experiment/scaling_assembly.hpp"
#include "sim/experiment/stages.hpp"
#include "sim/kv/conn_remote_prefill.hpp"
#include "sim/perf/model_files.hpp"
#include "sim/perf/model_overlay.hpp"
#include "sim/perf/price_book.hpp"
#include "sim/report/summary.hpp"

namespace kvsim {

namespace {

constexpr const char* kVersion = "0.1.0";

std::string place_of(const ConfigNode& node) { return node.file() + ": " + node.path(); }

// The name of a profile, or the path of its file: relative to the experiment's. Fails at `key` when
// there is neither.
void find_profile(const ConfigNode& section, const char* key, const char* kind, std::string& name) {
  if (!section.has(key)) return;
  const ConfigNode node = section.at(key);
  if (name.ends_with(".json")) name = node.resolve_path(name);
  named_by(place_of(node), [&] { return load_model(find_model(kind, name)); });
}

// Checked early, so that complaints name the file.
void find_scheduler(const ConfigNode& pool, EngineConfig& engine) {
  if (!pool.has("engine") || !pool.at("engine").has("scheduler")) return;
  const ConfigNode node = pool.at("engine").at("scheduler");
  engine.scheduler = Registry<Scheduler>::instance().find(node).resolve(node);
}

Recorder make_recorder(const ExperimentConfig& config) {
  MeasureWindow window;
  window.warmup = config.measure.warmup;
  if (config.measure.duration) window.duration = *config.measure.duration;
  window.by = config.measure.count == "completed" ? MeasureWindow::By::kCompleted
                                                  : MeasureWindow::By::kArrived;
  return Recorder(window, {config.slo.ttft, config.slo.tpot});
}

// Free resources that nothing has would be no what-if at all.
void check_free(const ConfigNode& node, const std::vector<std::string>& free) {
  const std::vector<std::string> kinds = {"client", "server", "disk", "network", "memory", "pcie"};
  for (std::size_t i = 0; i < free.size(); ++i)
    if (std::find(kinds.begin(), kinds.end(), free[i]) == kinds.end())
      node.at("assume_free").at(i).fail('"' + free[i] + '"', "one of " + join_names(kinds));
}

}  // namespace

struct Simulation::State {
  // What was asked for. `node` refers to `json`.
  Json json;
  ConfigNode node;
  ExperimentConfig config;
  RouterPlan router;
  std::optional<StagePlan> plan;
  std::vector<PoolPlan> pools;
  Placement placement;
  std::vector<std::string> llms;  // by Request::llm
  PriceBook prices;
  Json resolved;
  RunProvenance provenance;
  std::vector<std::string> tiers = {"hbm"};

  // The world; after run() only read.
  Recorder recorder;
  std::vector<LoadStage> loads;  // until build()
  std::optional<std::int64_t> total_requests;
  std::unique_ptr<LiveSession> live;  // null without live lanes
  World world;
  std::unique_ptr<HostLinks> links;
  std::unique_ptr<Machines> machines;        // null without lower tiers
  std::unique_ptr<KvTransferHub> transfers;  // null unless prefill and decode are apart
  std::unique_ptr<Frontend> frontend;
  std::vector<std::unique_ptr<StoreEvents>> store_events;
  std::unique_ptr<Scaling> scaling;  // null: replicas stay as they are
  std::unique_ptr<Breakable> breakable;
  std::unique_ptr<FaultInjector> faults;
  std::unique_ptr<StageSequence> stages;
  std::optional<StageRecorder> stage_recorder;  // none: not asked for
  std::unique_ptr<Timer> end_of_window;
  std::unique_ptr<KvMap> kv_map;  // null: not asked for
  std::function<bool(std::int64_t)> watch;
  Seconds ended_at{0};
  bool interrupted = false;

  explicit State(const ConfigNode& experiment);
  ~State() {
    if (machines) machines->tasks().clear();  // before what its tasks wait for
  }
  State(const State&) = delete;
  void read();
  void read_pool(std::size_t index);
  void resolve();
  void open_live();
  void build_machines();
  void add_replicas(std::size_t index);
  void build_changes();
  [[nodiscard]] std::vector<std::size_t> number_tiers(const Connector* connector);
  void build();
  void close_window(Seconds) { world.stop(); }
  [[nodiscard]] RunFacts facts() const;
  [[nodiscard]] std::string stuck_engines() const;
  [[nodiscard]] std::vector<std::string> unreached_stores() const;
};

Simulation::State::State(const ConfigNode& experiment)
    : json(experiment.json()),
      node(json, experiment.file(), experiment.path()),
      config(read_config<ExperimentConfig>(node)),
      recorder(make_recorder(config)) {
  // Every model file is read by the end of this constructor.
  const ModelOverlay overlay(config.model_overrides,
                             node.has("model_overrides") ? node.at("model_overrides") : node);
  read();
  resolve();
  build();
  // Last, because it may take a while and the rest is quickly told.
  total_requests = plan->count();
  for (const ModelOverride& change : overlay.unused())
    config.warnings.push_back(
        fmt::format("model override {}: nothing here uses that model", change.text()));
}

void Simulation::State::read() {
  if (!node.has("schema")) node.fail("no \"schema\"", "\"schema\": \"kvsim.experiment/1\"");
  if (config.pools.empty()) node.at("pools").fail("0 pools", "one or more");
  if (config.nodes.empty()) config.nodes.emplace_back();
  config.network = named_by(node.file() + ": /network", [&] { return read_network(node); });
  router = read_router(node, config.router);
  fill_disaggregation(config.disaggregation, router);
  for (std::size_t i = 0; i < config.pools.size(); ++i) read_pool(i);
  placement = place_replicas(pools);
  plan.emplace(node, config);
  check_free(node, config.assume_free);
  loads = plan->make();
  if (node.has("cost")) find_profile(node.at("cost"), "prices", "prices", config.cost.prices);
  prices = named_by(node.file(), [&] { return load_prices(config.cost.prices); });
  if (!config.cost.gpu_usd_per_hour)
    for (PoolPlan& pool : pools)
      pool.gpu_usd_per_hour = named_by(
          node.file() + ": /cost", [&] { return prices.gpu(pool.context.gpu.name).usd_per_hour; });
}

void Simulation::State::read_pool(std::size_t index) {
  const ConfigNode pool_node = node.at("pools").at(index);
  PoolConfig& pool = config.pools[index];
  if (!pool_node.has("name") && config.pools.size() > 1) pool.name += fmt::format("-{}", index);
  for (std::size_t i = 0; i < index; ++i)
    if (config.pools[i].name == pool.name)
      pool_node.fail("two pools called \"" + pool.name + "\"", "a name of its own for each");
  find_profile(pool_node, "llm", "llm", pool.llm);
  find_profile(pool_node, "gpu", "gpu", pool.gpu);
  find_scheduler(pool_node, pool.engine);
  pools.push_back(
      named_by(place_of(pool_node), [&] { return plan_pool(pool_node, pool, config.nodes); }));
  const std::string& llm = pools.back().context.llm.name;
  if (std::find(llms.begin(), llms.end(), llm) == llms.end()) llms.push_back(llm);
  if (config.cost.gpu_usd_per_hour) pools.back().gpu_usd_per_hour = *config.cost.gpu_usd_per_hour;
}

void Simulation::State::resolve() {
  for (std::size_t i = 0; i < pools.size(); ++i) config.pools[i] = pools[i].config;
  if (pools.size() == 1) config.cost.gpu_usd_per_hour = pools.front().gpu_usd_per_hour;
  resolved = echo_config(config);
  plan->resolve(resolved);
  resolved["router"] = resolve_router(node, router);
  provenance.version = kVersion;
  provenance.config_sha256 = sha256_hex(resolved.dump());
  provenance.seed = static_cast<std::uint64_t>(config.seed);
  std::set<std::string> gpus;
  for (const std::string& llm : llms) provenance.profiles.push_back("llm/" + llm);
  for (const PoolPlan& pool : pools)
    if (gpus.insert(pool.context.gpu.name).second)
      provenance.profiles.push_back("gpu/" + pool.context.gpu.name);
  provenance.profiles.push_back("engine/vllm");
  provenance.profiles.push_back("prices/" + prices.name);
  for (const std::string& name : load_calibrations(json, node.file()).names)
    provenance.profiles.push_back("calibration/" + name);
  for (const ModelOverride& change : config.model_overrides)
    provenance.assumed_profiles.push_back(change.text());
  for (const PoolPlan& pool : pools)
    for (const std::string& name : pool.assumed)
      if (std::find(provenance.assumed_profiles.begin(), provenance.assumed_profiles.end(), name) ==
          provenance.assumed_profiles.end())
        provenance.assumed_profiles.push_back(name);
}

void Simulation::State::build() {
  check_context().now_s = [this] { return world.now().count(); };
  check_context().replay = fmt::format("seed {}, configuration {}, kvsim run {}", config.seed,
                                       provenance.config_sha256.substr(0, 12), node.file());
  Frontend::Options options;
  options.client_timeout = plan->client_timeout();
  options.disaggregation = config.disaggregation.options;
  options.attempts = static_cast<std::int32_t>(config.retry.attempts);
  options.backoff = config.retry.backoff;
  options.backoff_factor = config.retry.backoff_factor;
  frontend = std::make_unique<Frontend>(world, options, recorder);
  open_live();
  if (std::any_of(pools.begin(), pools.end(),
                  [](const PoolPlan& pool) { return pool.needs_machines(); }))
    build_machines();
  for (std::size_t i = 0; i < pools.size(); ++i) add_replicas(i);
  if (transfers) {
    named_by(node.file() + ": /pools", [&] { transfers->open(); });
    frontend->set_transfers(transfers.get());
  }
  if (machines) named_by(node.file() + ": /nodes", [&] { machines->check_dram(); });
  for (const std::string& name : unreached_stores())
    config.warnings.push_back("store " + name + ": no connector asks it");
  store_events = add_dispatchers(world,
                                 {.node = node,
                                  .router = router,
                                  .config = config,
                                  .pools = pools,
                                  .tiers = tiers,
                                  .machines = machines.get(),
                                  .seed = provenance.seed},
                                 *frontend);
  build_changes();
  stages = std::make_unique<StageSequence>(world, std::move(loads), *frontend);
  if (config.stages) recorder.add_sink(stage_recorder.emplace(stages->spans()));
  if (config.measure.duration) {
    end_of_window =
        std::make_unique<Timer>(world, Priority::kClient, call<&State::close_window>(), this);
    end_of_window->set(config.measure.warmup + *config.measure.duration);
  }
}

// Autoscaling and faults.
void Simulation::State::build_changes() {
  const ConfigNode at(config.autoscaler, node.file(), "/autoscaler");
  resolved["autoscaler"] = Registry<Autoscaler>::instance().find(at).resolve(at);
  const bool scales = resolved["autoscaler"]["kind"] != "static";
  if (!scales && config.faults.empty()) return;
  ScalingPlan plan = plan_scaling(pools, *frontend);
  std::unique_ptr<Autoscaler> autoscaler;
  plan.context.seed = provenance.seed;
  if (scales) autoscaler = Registry<Autoscaler>::instance().make(at, plan.context);
  scaling =
      std::make_unique<Scaling>(world, std::move(plan.pools), std::move(autoscaler), *frontend);
  frontend->set_watcher(scaling.get());
  scaling->start();
  if (config.faults.empty()) return;
  breakable = std::make_unique<Breakable>(world, *frontend, *scaling, machines.get(),
                                          router.config.detection);
  faults = named_by(node.file() + ": /faults", [&] {
    return std::make_unique<FaultInjector>(
        world, FaultSchedule(config.faults, breakable->names(), provenance.seed), *breakable);
  });
  faults->start();
}

void Simulation::State::add_replicas(std::size_t index) {
  const PoolPlan& pool = pools[index];
  const ConfigNode pool_node = node.at("pools").at(index);
  for (std::size_t i = 0; i < placement.replicas[index].size(); ++i) {
    const Place& place = placement.of(index, i);
    const ReplicaPlace where{
        .replica = frontend->replicas().size(), .in_pool = i, .machine = place.machine};
    auto engine = named_by(place_of(pool_node), [&] {
      return make_engine(
          world, pool_node, pool, where,
          {.links = links.get(), .machines = machines.get(), .transfers = transfers.get()},
          *frontend);
    });
    Replica::Setup setup;
    setup.facts = replica_facts(pool, where, *engine);
    setup.role = pool.role();
    setup.llm = static_cast<std::int32_t>(
        std::find(llms.begin(), llms.end(), pool.context.llm.name) - llms.begin());
    setup.pool = static_cast<std::int32_t>(index);
    setup.api = pool.api;
    setup.tiers = number_tiers(engine->connector());
    Replica& replica = frontend->add_replica(std::move(setup), std::move(engine));
    if (static_cast<std::int64_t>(i) >= pool.config.replicas) {
      replica.state = Replica::State::kDown;
    } else {
      replica.rent(Seconds(0));
    }
  }
}

// Tiers of one name are one tier, whichever pool has them.
std::vector<std::size_t> Simulation::State::number_tiers(const Connector* connector) {
  std::vector<std::size_t> out = {0};
  if (connector == nullptr) return out;
  for (const TierUse& use : connector->tiers()) {
    if (use.name == kRemotePrefillTier) {  // its hits are none of the cache's
      out.push_back(0);
      continue;
    }
    const auto at = std::find(tiers.begin(), tiers.end(), use.name);
    out.push_back(static_cast<std::size_t>(at - tiers.begin()));
    if (at == tiers.end()) tiers.push_back(use.name);
  }
  if (tiers.size() > RequestRecord().hit_tokens.size())
    node.at("pools").fail("tiers " + join_names(tiers), "no more than three below HBM in all");
  return out;
}

std::vector<std::string> Simulation::State::unreached_stores() const {
  if (machines) return machines->unreached_stores();
  std::vector<std::string> out;
  for (const Json& store : config.stores)
    out.push_back(store.is_object() && store.contains("name") ? store["name"].dump()
                                                              : store.dump());
  return out;
}

void Simulation::State::open_live() {
  if (config.live.empty()) return;
  // What the model of a lane is made of here: calibrated, and as this experiment has it.
  Figures figures = load_calibrations(json, node.file()).figures;
  figures["cpu"] = echo_config(pools.front().node.cpu);
  figures["host_link"] = echo_config(pools.front().context.gpu.host_link);
  live = std::make_unique<LiveSession>(node.at("live"),
                                       LiveSession::Options{.lanes = config.live,
                                                            .shadow = config.shadow,
                                                            .figures = std::move(figures),
                                                            .seed = provenance.seed});
}

void Simulation::State::build_machines() {
  const auto& free = config.assume_free;
  const bool live_copies = live && live->drives(LiveLane::kCudaCopy);
  links = std::make_unique<HostLinks>(
      world, pools, placement,
      live_copies || std::find(free.begin(), free.end(), "pcie") != free.end());
  if (live) links->set_live(*live);
  Machines::Plan plan;
  plan.nodes = placement.machines;
  plan.network = config.network;
  plan.seed = provenance.seed;
  plan.deterministic = config.deterministic;
  plan.free = free;
  plan.live = live.get();
  machines = std::make_unique<Machines>(world, node, config.nodes, plan);
  if (std::any_of(pools.begin(), pools.end(),
                  [](const PoolPlan& pool) { return pool.role() != Role::kAggregated; }))
    transfers = std::make_unique<KvTransferHub>(machines->tasks(), machines->fabric(),
                                                config.disaggregation.transfer,
                                                plan.network.protocol == "rdma");
  if (!config.stores.empty()) resolved["stores"] = machines->resolved_stores();
}

RunFacts Simulation::State::facts() const {
  RunFacts out = gather_facts({.config = config,
                               .pools = pools,
                               .placement = placement,
                               .prices = prices,
                               .tiers = tiers,
                               .frontend = *frontend,
                               .links = links.get(),
                               .machines = machines.get(),
                               .transfers = transfers.get(),
                               .ended = ended_at});
  out.provenance = provenance;
  out.provenance.trace_sha256 = stages->digest();
  out.incomplete = interrupted;
  return out;
}

std::string Simulation::State::stuck_engines() const {
  std::string text;
  for (const auto& replica : frontend->replicas()) {
    const auto& engine = replica->engine;
    const EngineGauges gauges = engine->gauges(ended_at);
    if (gauges.running + gauges.waiting == 0) continue;
    text +=
        fmt::format("; an engine with {} running, {} waiting, {} of {} blocks free", gauges.running,
                    gauges.waiting, engine->pool().free(), engine->pool().total());
  }
  return text;
}

Simulation::Simulation(const ConfigNode& experiment)
    : state_(std::make_unique<State>(experiment)) {}
Simulation::~Simulation() = default;

const Json& Simulation::resolved() const { return state_->resolved; }
const std::string& Simulation::name() const { return state_->config.name; }
const RunProvenance& Simulation::provenance() const { return state_->provenance; }
const std::vector<std::string>& Simulation::tiers() const { return state_->tiers; }
std::vector<std::string> Simulation::fetch_stages() const {
  if (!state_->machines) return {};
  return {kStageNames.begin(), kStageNames.end()};
}
std::optional<std::int64_t> Simulation::total_requests() const { return state_->total_requests; }
void Simulation::add_sink(RequestSink& sink) { state_->recorder.add_sink(sink); }
void Simulation::map_kv(const std::string& folder) {
  State& state = *state_;
  state.kv_map = std::make_unique<KvMap>(KvMap::Plan{.world = state.world,
                                                     .measure = state.config.measure,
                                                     .pools = state.pools,
                                                     .tiers = state.tiers,
                                                     .frontend = *state.frontend,
                                                     .machines = state.machines.get()},
                                         folder);
}
const std::vector<StageSpan>& Simulation::stage_times() const { return state_->stages->spans(); }
void Simulation::set_watch(std::function<bool(std::int64_t)> watch) {
  state_->watch = std::move(watch);
}

void Simulation::run() {
  State& state = *state_;
  state.world.set_interrupt([&state] {
    if (!state.watch || !state.watch(state.recorder.counts().ended())) return false;
    return state.interrupted = true;
  });
  state.stages->start();
  state.world.run();
  state.ended_at = state.world.now();
  if (!state.config.measure.duration && !state.interrupted)
    state.ended_at = std::max(state.ended_at, state.frontend->last_ended());
  // What has been given up may still be with its engine.
  const bool cut =
      state.interrupted || state.config.measure.duration || state.frontend->in_flight() > 0;
  const bool done = state.stages->finished() && state.recorder.counts().in_flight() == 0;
  state.frontend->close(state.ended_at);
  state.stages->close(state.ended_at);
  if (state.kv_map) state.kv_map->finish(state.ended_at);
  const RequestCounts& counts = state.recorder.counts();
  KV_CHECK(state.interrupted || state.config.measure.duration || done,
           "{} requests sent, {} ended, nothing left to happen{}", counts.arrived, counts.ended(),
           state.stuck_engines());
  for (const auto& replica : state.frontend->replicas()) {
    const Engine& engine = *replica->engine;
    KV_CHECK(
        cut || engine.connector() != nullptr || engine.pool().free() == engine.pool().total() - 1,
        "{} of {} blocks free at the end", engine.pool().free(), engine.pool().total());
  }
}

Json Simulation::summary() const {
  Json out = summarise(state_->recorder, state_->facts());
  if (state_->stage_recorder) out["stages"] = state_->stage_recorder->json();
  if (state_->kv_map) out["kv_map"] = state_->kv_map->json();
  if (state_->live) out["live"] = state_->live->report();
  return out;
}

}  // namespace kvsim
