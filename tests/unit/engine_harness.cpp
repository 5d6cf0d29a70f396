#include "tests/unit/engine_harness.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>

#include "sim/base/check.hpp"
#include "sim/base/registry.hpp"
#include "sim/des/agenda.hpp"
#include "sim/frontend/frontend.hpp"
#include "sim/frontend/load_driver.hpp"
#include "sim/store/store_client.hpp"
#include "sim/workload/content_stream.hpp"
#include "tests/child.hpp"
#include "tests/store_world.hpp"

namespace kvsim {

namespace {

class ScriptedSource : public RequestSource {
 public:
  explicit ScriptedSource(const std::vector<ScriptedRequest>& asks) : asks_(asks) {}

  bool next(Request& request) override {
    if (next_ == asks_.size()) return false;
    const ScriptedRequest& ask = asks_[next_];
    const auto id = static_cast<std::uint64_t>(next_++);
    request = {};
    request.id = static_cast<std::int64_t>(id);
    request.arrival = Seconds(ask.arrival);
    request.input = Tokens(ask.input);
    request.output = Tokens(ask.output);
    request.session = ask.session;
    request.turn = ask.turn;
    request.think = Seconds(ask.think);
    request.priority = ask.priority;
    request.answer_stream = content_stream(StreamKind::kAnswer, id);
    request.prompt = ask.prompt;
    if (request.prompt.empty())
      request.prompt = {{content_stream(StreamKind::kPrompt, id), 0, ask.input}};
    std::int64_t tokens = 0;
    for (const ContentRun& run : request.prompt) tokens += run.length;
    KV_CHECK(tokens == ask.input, "request {}: {} tokens in the prompt", id, tokens);
    return true;
  }
  std::string digest() const override { return ""; }

 private:
  const std::vector<ScriptedRequest>& asks_;
  std::size_t next_ = 0;
};

// Keeps the shapes it is asked for: step by step, those are the steps that ran.
class ScriptedStepTime : public StepTime {
 public:
  ScriptedStepTime(const Script& script, std::vector<StepShape>& shapes)
      : script_(script), shapes_(shapes) {}
  Seconds gpu(const StepShape& shape) const override {
    shapes_.push_back(shape);
    return Seconds(script_.step_gpu +
                   script_.step_per_prefill_token * static_cast<double>(shape.prefill_tokens));
  }
  Seconds cpu(const StepShape&) const override { return Seconds(script_.step_cpu); }
  std::int64_t window() const override { return 0; }

 private:
  const Script& script_;
  std::vector<StepShape>& shapes_;
};

class Collector : public RequestSink {
 public:
  void finished(const RequestRecord& record) override { records.push_back(record); }
  void close(const Json&) override {}
  std::vector<RequestRecord> records;
};

struct HostLink {
  HostLink(World& world, const Offload& offload)
      : duplex(world, "pcie", {Bandwidth(offload.up), Bandwidth(offload.up_together)},
               {Bandwidth(offload.down), Bandwidth(offload.down_together)}),
        to_host(world, "up", "pcie", {duplex.link(DuplexLink::kUp)}, &duplex, DuplexLink::kUp),
        to_device(world, "down", "pcie", {duplex.link(DuplexLink::kDown)}, &duplex,
                  DuplexLink::kDown) {}
  DuplexLink duplex;
  Lane to_host;
  Lane to_device;
};

// The machine around an engine: what a connector may use and reach.
struct Surroundings : StoreAccess {
  Surroundings(World& world, const Offload& offload)
      : tasks(world), host(tasks, "host", CpuOptions{}, Bytes(0)), link(world, offload) {
    host.add_disk("ssd", std::make_unique<PlainDisk>(tasks, Seconds(0), Bandwidth(offload.disk),
                                                     Bytes(1'000'000'000)));
    for (const auto& [name, plugin] : offload.stores.items()) {
      Store::Context context{.tasks = tasks, .host = host, .name = name};
      stores.push_back(Registry<Store>::instance().make(ConfigNode(plugin, "store"), context));
      wires.push_back(std::make_unique<Wire>(tasks, Wire::Options{}));
      routes[name].shards.push_back({stores.back().get(), wires.back().get(), &host});
    }
  }
  ~Surroundings() override { tasks.clear(); }
  const StoreRoute& find(const std::string& name) override { return routes.at(name); }

  Tasks tasks;
  Host host;
  HostLink link;
  std::vector<std::unique_ptr<Store>> stores;
  std::vector<std::unique_ptr<Wire>> wires;
  std::map<std::string, StoreRoute> routes;
};

void connect(Engine& engine, const Offload& offload, Surroundings& around) {
  Connector::Context context{
      .tasks = around.tasks,
      .host = around.host,
      .stores = around,
      .name = "replica",
      .model = "model",
      .pool = engine.pool(),
      .block_tokens = engine.block_tokens(),
      .block_bytes = Bytes(offload.block_bytes),
      .layers = offload.layers,
      .to_host = around.link.to_host,
      .to_device = around.link.to_device,
      .to_device_rate = Bandwidth(offload.down),
      .descriptor = Seconds(offload.descriptor),
      .rate_limit = [](Bytes) { return Bandwidth(0); },
      .loaded = [&engine](KvSequence& sequence,
                          std::int64_t tokens) { engine.on_loaded(sequence, tokens); },
      .missed = [&engine](KvSequence& sequence,
                          std::int64_t tokens) { engine.on_missed(sequence, tokens); },
      .changed = [&engine] { engine.on_changed(); },
  };
  engine.set_connector(
      Registry<Connector>::instance().make(ConfigNode(offload.plugin, "connector"), context));
}

Counts count(const Engine& engine, const Recorder& recorder, const HostLink* link) {
  Counts out;
  out.free_blocks = engine.pool().free();
  out.total_blocks = engine.pool().total();
  out.steps = engine.steps();
  out.computed_tokens = engine.computed_tokens();
  out.recomputed_tokens = engine.recomputed_tokens();
  out.longest_gap = recorder.gaps().max();
  if (link == nullptr) return out;
  const TierUse tier = engine.connector()->tiers().front();
  out.stored_bytes = tier.stored_bytes;
  out.evicted_tokens = tier.evicted_tokens;
  out.dropped_tokens = tier.dropped_tokens;
  out.up_busy = link->to_host.use().busy.count();
  out.down_busy = link->to_device.use().busy.count();
  out.up_bytes = link->to_host.use().bytes.count();
  out.down_bytes = link->to_device.use().bytes.count();
  return out;
}

class Nowhere final : public Router {
 public:
  Decision route(const Ask&, const ClusterView&) override { return {}; }
};

Story run_here(const Script& script, bool coalesce) {
  Story story;
  World world;
  Recorder recorder;
  Collector collector;
  recorder.add_sink(collector);
  Frontend::Options options;
  options.client_timeout = Seconds(script.client_timeout);
  Frontend frontend(world, options, recorder);
  Engine::Options engine_options = script.engine;
  engine_options.coalesce = coalesce;
  Engine& engine =
      *frontend
           .add_replica({}, std::make_unique<Engine>(
                                world, engine_options,
                                std::make_unique<ScriptedStepTime>(script, story.steps), frontend))
           .engine;
  // One replica: nobody has to choose.
  Dispatcher::Side side;
  side.replicas = {frontend.replicas().front().get()};
  side.router = std::make_unique<Nowhere>();
  auto dispatcher = std::make_unique<Dispatcher>(world, Dispatcher::Options{});
  dispatcher->set_main(std::move(side));
  frontend.add_dispatcher(std::move(dispatcher));
  std::optional<Surroundings> around;
  if (script.offload) {
    around.emplace(world, *script.offload);
    connect(engine, *script.offload, *around);
  }
  Agenda<int> probes(world, Priority::kObserve,
                     [&](int&, Seconds now) { story.gauges.push_back(engine.gauges(now)); });
  for (const double at : script.probes) probes.add(Seconds(at), 0);
  ScriptedSource source(script.requests);
  LoadDriver driver(world, {}, source, frontend);
  driver.set_told({.all_sent = nullptr, .finished = [&world] { world.stop(); }});
  frontend.set_ended([&driver](const Request& request, Seconds at) { driver.ended(request, at); });
  driver.start();
  world.run();
  frontend.close(world.now());
  story.requests = std::move(collector.records);
  std::sort(story.requests.begin(), story.requests.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  story.counts = count(engine, recorder, around ? &around->link : nullptr);
  return story;
}

template <class T>
void write(std::string& bytes, const std::vector<T>& items) {
  const std::size_t count = items.size();
  bytes.append(reinterpret_cast<const char*>(&count), sizeof count);
  bytes.append(reinterpret_cast<const char*>(items.data()), count * sizeof(T));
}

template <class T>
void read(const char*& at, std::vector<T>& items) {
  std::size_t count = 0;
  std::memcpy(&count, at, sizeof count);
  at += sizeof count;
  items.resize(count);
  if (count == 0) return;
  std::memcpy(static_cast<void*>(items.data()), at, count * sizeof(T));
  at += count * sizeof(T);
}

Story run_in_child(const Script& script, bool coalesce) {
  std::fflush(stdout);  // or the child prints what is buffered once more
  const std::string bytes = text_of_child([&] {
    const Story story = run_here(script, coalesce);
    std::string out;
    write(out, story.requests);
    write(out, story.gauges);
    write(out, story.steps);
    write(out, std::vector<Counts>{story.counts});
    return out;
  });
  Story story;
  std::vector<Counts> counts;
  const char* at = bytes.data();
  read(at, story.requests);
  read(at, story.gauges);
  read(at, story.steps);
  read(at, counts);
  story.counts = counts.front();
  return story;
}

constexpr double kNanosecond = 1e-9;

void expect_same(const RequestRecord& a, const RequestRecord& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.outcome, b.outcome);
  EXPECT_EQ(a.preemptions, b.preemptions);
  EXPECT_EQ(a.output_tokens, b.output_tokens);
  EXPECT_EQ(a.hit_tokens, b.hit_tokens);
  EXPECT_NEAR(a.sent.count(), b.sent.count(), kNanosecond);
  EXPECT_NEAR(a.first_token.count(), b.first_token.count(), kNanosecond);
  EXPECT_NEAR(a.ended.count(), b.ended.count(), kNanosecond);
  EXPECT_NEAR(a.queue.count(), b.queue.count(), kNanosecond);
  EXPECT_NEAR(a.fetch.count(), b.fetch.count(), kNanosecond);
  EXPECT_NEAR(a.prefill.count(), b.prefill.count(), kNanosecond);
}

void expect_same(const Story& a, const Story& b) {
  ASSERT_EQ(a.requests.size(), b.requests.size());
  for (std::size_t i = 0; i < a.requests.size(); ++i) {
    SCOPED_TRACE("request " + std::to_string(i));
    expect_same(a.requests[i], b.requests[i]);
  }
  ASSERT_EQ(a.gauges.size(), b.gauges.size());
  for (std::size_t i = 0; i < a.gauges.size(); ++i) {
    SCOPED_TRACE("probe " + std::to_string(i));
    EXPECT_EQ(a.gauges[i].running, b.gauges[i].running);
    EXPECT_EQ(a.gauges[i].waiting, b.gauges[i].waiting);
    EXPECT_DOUBLE_EQ(a.gauges[i].kv_usage, b.gauges[i].kv_usage);
  }
  EXPECT_EQ(a.counts.free_blocks, b.counts.free_blocks);
  EXPECT_EQ(a.counts.steps, b.counts.steps);
  EXPECT_EQ(a.counts.computed_tokens, b.counts.computed_tokens);
  EXPECT_EQ(a.counts.recomputed_tokens, b.counts.recomputed_tokens);
  EXPECT_EQ(a.counts.stored_bytes, b.counts.stored_bytes);
  EXPECT_EQ(a.counts.evicted_tokens, b.counts.evicted_tokens);
  EXPECT_EQ(a.counts.dropped_tokens, b.counts.dropped_tokens);
  EXPECT_NEAR(a.counts.longest_gap, b.counts.longest_gap, kNanosecond);
  EXPECT_NEAR(a.counts.up_busy, b.counts.up_busy, kNanosecond);
}

}  // namespace

Script::Script() {
  engine.limits.max_batched_tokens = 256;
  engine.async_scheduling = false;
  engine.kv_blocks = 1001;
}

ContentRun text(std::uint64_t number, std::int64_t length) {
  return {content_stream(StreamKind::kShared, number), 0, length};
}

ContentRun answer_of(std::int64_t id, std::int64_t length) {
  return {content_stream(StreamKind::kAnswer, static_cast<std::uint64_t>(id)), 0, length};
}

std::vector<std::int64_t> Story::prefill_tokens() const {
  std::vector<std::int64_t> out;
  for (const StepShape& shape : steps) out.push_back(shape.prefill_tokens);
  return out;
}

Story run(const Script& script) {
  const Story stepped = run_in_child(script, false);
  Story coalesced = run_in_child(script, true);
  SCOPED_TRACE("steps coalesced against step by step");
  expect_same(coalesced, stepped);
  coalesced.steps = stepped.steps;
  for (const RequestRecord& record : coalesced.requests)
    EXPECT_NE(record.outcome, Outcome::kUnfinished) << "request " << record.id << " is stuck";
  EXPECT_EQ(coalesced.counts.free_blocks, coalesced.counts.total_blocks - 1)
      << "blocks are still held at the end";
  return coalesced;
}

}  // namespace kvsim
