// A frontend before replicas whose steps take 10 ms, for tests: whole requests, or prefill and
// decode replicas on machines of their own with 1 GB/s between them and 1 MB of KV a block.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/frontend/frontend.hpp"
#include "tests/pd_world.hpp"

namespace kvsim {

// The first that is ready.
class FirstReady final : public Router {
 public:
  Decision route(const Ask&, const ClusterView& view) override {
    for (std::size_t i = 0; i < view.replicas.size(); ++i)
      if (view.replicas[i].ready) return {static_cast<std::int32_t>(i)};
    return {Decision::kRefuse};
  }
};

// Holds requests while it is shut, and lets one go for each call of open().
class Gate final : public Admission {
 public:
  Verdict admit(const Ask& ask, const ClusterView&) override {
    waiting_.push_back(ask.number);
    return Verdict::kHold;
  }
  std::optional<std::int64_t> next(const ClusterView&) override {
    if (waiting_.empty() || open_ == 0) return std::nullopt;
    --open_;
    const std::int64_t number = waiting_.front();
    waiting_.pop_front();
    return number;
  }
  void gone(std::int64_t number) override { std::erase(waiting_, number); }
  [[nodiscard]] std::int64_t held() const override {
    return static_cast<std::int64_t>(waiting_.size());
  }
  void open(std::int64_t requests) { open_ += requests; }

 private:
  std::deque<std::int64_t> waiting_;
  std::int64_t open_ = 0;
};

struct FrontendSetup {
  std::int32_t replicas = 1;
  std::int32_t prefills = 0;  // beside them: then they decode
  Frontend::Options frontend;
  Dispatcher::Options dispatcher;
  ApiServerCosts api;
  KvTransferOptions transfer{.setup = Seconds(1.5e-3), .descriptor = Seconds(0)};
  bool gate = false;
};

class FrontendWorld final : public StoreAccess, public RequestSink {
 public:
  explicit FrontendWorld(const FrontendSetup& setup)
      : recorder({}, {}),
        frontend(world, setup.frontend, recorder),
        setup_(setup),
        tasks_(world),
        fabric(tasks_, {.efficiency = 1, .round_trip = Seconds(0)}),
        hub_(tasks_, fabric, setup.transfer, true) {
    recorder.add_sink(*this);
    for (std::int32_t i = 0; i < setup.replicas + setup.prefills; ++i) add_replica(i);
    hub_.open();
    frontend.set_transfers(&hub_);
    add_dispatcher();
    frontend.set_ended([this](const Request& request, Seconds at) {
      told.resize(std::max(told.size(), static_cast<std::size_t>(request.id) + 1), -1);
      told[static_cast<std::size_t>(request.id)] = at.count();
    });
  }
  ~FrontendWorld() override { tasks_.clear(); }

  // A request of 160 tokens, ten blocks. Ids count from 0.
  void ask(double when, std::int64_t output = 2) {
    const std::int64_t id = asked_++;
    at(when, [this, id, output] {
      Request request;
      request.id = id;
      request.input = Tokens(160);
      request.output = Tokens(output);
      const auto content = static_cast<std::uint64_t>(id);
      request.answer_stream = content_stream(StreamKind::kAnswer, content);
      request.prompt = {{content_stream(StreamKind::kPrompt, content), 0, 160}};
      frontend.arrive(request, world.now());
    });
  }
  void at(double when, std::function<void()> action) {
    tasks_.start(wait(when, std::move(action)));
  }
  [[nodiscard]] Replica& replica(std::size_t index) { return *frontend.replicas()[index]; }
  [[nodiscard]] std::int64_t used_blocks(std::size_t index) {
    const BlockPool& pool = replica(index).engine->pool();
    return pool.total() - 1 - pool.free();
  }
  [[nodiscard]] const RequestRecord& record(std::int64_t id) const {
    for (const RequestRecord& record : records)
      if (record.id == id) return record;
    throw std::runtime_error("request " + std::to_string(id) + " has not ended");
  }

  void finished(const RequestRecord& record) override { records.push_back(record); }
  void close(const Json&) override {}
  const StoreRoute& find(const std::string&) override { throw std::runtime_error("no stores"); }

  World world;
  Recorder recorder;
  Frontend frontend;
  Gate* gate = nullptr;
  std::vector<RequestRecord> records;
  std::vector<double> told;  // by id: when its client was

 private:
  Task wait(double when, std::function<void()> action) {
    co_await tasks_.sleep(Seconds(when) - tasks_.now());
    action();
  }

  // Prefill replicas come last.
  void add_replica(std::int32_t index) {
    const bool apart = setup_.prefills > 0;
    const bool prefill = index >= setup_.replicas;
    const std::string name = "replica-" + std::to_string(index);
    Engine::Options engine;
    engine.limits.max_batched_tokens = 100'000;
    engine.limits.max_sequences = 16;
    engine.async_scheduling = false;
    engine.replica = index;
    engine.kv_blocks = 1001;
    auto made = std::make_unique<Engine>(world, engine,
                                         std::make_unique<ConstantStep>(Seconds(10e-3)), frontend);
    if (apart) made->set_connector(connect(*made, index, name, prefill));
    Replica::Setup replica;
    replica.facts.name = name;
    replica.facts.node = index;
    replica.role = !apart ? Role::kAggregated : prefill ? Role::kPrefill : Role::kDecode;
    replica.api = setup_.api;
    frontend.add_replica(std::move(replica), std::move(made));
  }

  std::unique_ptr<Connector> connect(Engine& engine, std::int32_t index, const std::string& name,
                                     bool prefill) {
    hosts_.push_back(std::make_unique<Host>(tasks_, name, CpuOptions{}, Bytes(0)));
    const DuplexLink::Rates rates{Bandwidth(1e9), Bandwidth(1e9)};
    links_.push_back(std::make_unique<DuplexLink>(world, name + ".pcie", rates, rates));
    for (const auto direction : {DuplexLink::kUp, DuplexLink::kDown})
      lanes_.push_back(
          std::make_unique<Lane>(world, name + (direction == DuplexLink::kUp ? ".d2h" : ".h2d"),
                                 "pcie", std::vector<World::LinkId>{links_.back()->link(direction)},
                                 links_.back().get(), direction));
    const Connector::Context context{
        .tasks = tasks_,
        .host = *hosts_.back(),
        .stores = *this,
        .name = name,
        .model = "model",
        .pool = engine.pool(),
        .block_tokens = engine.block_tokens(),
        .block_bytes = Bytes(1'000'000),
        .to_host = *lanes_[lanes_.size() - 2],
        .to_device = *lanes_.back(),
        .to_device_rate = Bandwidth(1e9),
        .rate_limit = [](Bytes) { return Bandwidth(0); },
        .loaded = [&engine](KvSequence& sequence,
                            std::int64_t tokens) { engine.on_loaded(sequence, tokens); },
        .missed = [&engine](KvSequence& sequence,
                            std::int64_t tokens) { engine.on_missed(sequence, tokens); },
        .changed = [&engine] { engine.on_changed(); },
    };
    return hub_.connect(index, nullptr, context,
                        {.end = {fabric.add_node(name, {.card = Bandwidth(1e9)})},
                         .prefill = prefill,
                         .decode = !prefill});
  }

  void add_dispatcher() {
    auto dispatcher = std::make_unique<Dispatcher>(world, setup_.dispatcher);
    Dispatcher::Side main;
    Dispatcher::Side prefill;
    for (const auto& replica : frontend.replicas())
      (replica->role == Role::kPrefill ? prefill : main).replicas.push_back(replica.get());
    main.router = std::make_unique<FirstReady>();
    prefill.router = std::make_unique<FirstReady>();
    dispatcher->set_main(std::move(main));
    if (setup_.prefills > 0) {
      const Json always = "always";
      dispatcher->set_prefill(std::move(prefill),
                              Registry<Decider>::instance().make(ConfigNode(always, "test"), {}));
    }
    if (setup_.gate) {
      auto admission = std::make_unique<Gate>();
      gate = admission.get();
      dispatcher->set_admission(std::move(admission));
    }
    frontend.add_dispatcher(std::move(dispatcher));
  }

  FrontendSetup setup_;
  Tasks tasks_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<std::unique_ptr<DuplexLink>> links_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::int64_t asked_ = 0;

 public:
  Fabric fabric;

 private:
  KvTransferHub hub_;
};

}  // namespace kvsim
