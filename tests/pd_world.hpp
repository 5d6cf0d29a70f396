// Prefill replica 0 and decode replicas 1.. on machines of their own, for tests: KV goes over a
// fabric, steps take a constant time.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "sim/engine/engine.hpp"
#include "sim/kv/conn_remote_prefill.hpp"
#include "sim/store/store_client.hpp"
#include "sim/workload/content_stream.hpp"

namespace kvsim {

class ConstantStep final : public StepTime {
 public:
  explicit ConstantStep(Seconds time) : time_(time) {}
  Seconds gpu(const StepShape&) const override { return time_; }
  Seconds cpu(const StepShape&) const override { return Seconds(0); }
  std::int64_t window() const override { return 0; }

 private:
  Seconds time_;
};

struct PdOptions {
  Fabric::Options fabric{.efficiency = 1, .round_trip = Seconds(0)};
  Fabric::Node machine{.card = Bandwidth(1e9)};
  KvTransferOptions transfer;
  std::int32_t decodes = 1;
  std::int32_t prefill_ranks = 1;
  std::int32_t decode_ranks = 1;
  std::int32_t layers = 2;
  Bytes block{1'000'000};  // of all ranks
  Seconds step{10e-3};
  std::int64_t batched_tokens = 100'000;  // in a step
  std::int64_t blocks = 1000;
  bool one_machine = false;
  Bandwidth gpu_link{0};
  Bandwidth pcie{1e9};  // of one rank
};

class PdWorld final : public EngineListener, public StoreAccess {
 public:
  // One request: its halves, and what became of them.
  struct Ask {
    std::int64_t tokens = 160;
    std::int64_t output = 2;
    double at = 0;
    std::int32_t decode = 1;
    bool together = false;
    double handover = 0;  // from the end of the prefill half to sending the decode half
    std::uint64_t content = 0;
    Sequence prefill;
    Sequence answer;
    double prefilled = -1;
    double first_token = -1;
    double ended = -1;
  };

  explicit PdWorld(const PdOptions& given)
      : options(given),
        tasks(world),
        fabric(tasks, given.fabric),
        hub(tasks, fabric, given.transfer, true) {
    for (std::int32_t i = 0; i <= options.decodes; ++i) add_replica(i);
    hub.open();
  }
  ~PdWorld() override { tasks.clear(); }

  // The ask must stay until the end of the run.
  void send(Ask& ask) {
    asks.push_back(&ask);
    ask.prefill.request = request(ask, 1);
    ask.prefill.kept_for_remote = true;
    ask.answer.request = request(ask, ask.output);
    tasks.start(begin(ask));
  }
  void at(double when, std::function<void()> action) { tasks.start(wait(when, std::move(action))); }
  [[nodiscard]] std::int64_t used_blocks(std::int32_t replica) const {
    const BlockPool& pool = engines[static_cast<std::size_t>(replica)]->pool();
    return pool.total() - 1 - pool.free();
  }

  void first_token(Sequence& sequence, Seconds now) override {
    sequence.record.first_token = now;
    for (Ask* ask : asks)
      if (&ask->answer == &sequence) ask->first_token = now.count();
  }
  void ended(Sequence& sequence, Outcome, Seconds now) override {
    for (Ask* ask : asks) {
      if (&ask->answer == &sequence) ask->ended = now.count();
      if (&ask->prefill != &sequence) continue;
      ask->prefilled = now.count();
      if (!ask->together) at(now.count() + ask->handover, [this, ask] { decode(*ask); });
    }
  }
  void token_gap(std::int32_t, Seconds, std::int64_t, Seconds) override {}
  const StoreRoute& find(const std::string&) override { throw std::runtime_error("no stores"); }

  PdOptions options;
  World world;
  Tasks tasks;
  Fabric fabric;
  KvTransferHub hub;
  std::vector<std::unique_ptr<Host>> hosts;
  std::vector<std::unique_ptr<DuplexLink>> links;
  std::vector<std::unique_ptr<Lane>> lanes;
  std::vector<std::unique_ptr<Engine>> engines;
  std::vector<Ask*> asks;

 private:
  static Request request(const Ask& ask, std::int64_t output) {
    Request out;
    out.input = Tokens(ask.tokens);
    out.output = Tokens(output);
    out.answer_stream = content_stream(StreamKind::kAnswer, ask.content);
    out.prompt = {{content_stream(StreamKind::kPrompt, ask.content), 0, ask.tokens}};
    return out;
  }

  Task begin(Ask& ask) {
    co_await tasks.sleep(Seconds(ask.at));
    engines[0]->submit(ask.prefill);
    if (!ask.together) co_return;
    hub.expect(0, ask.prefill.number);
    decode(ask);
  }
  Task wait(double when, std::function<void()> action) {
    co_await tasks.sleep(Seconds(when) - tasks.now());
    action();
  }
  void decode(Ask& ask) {
    ask.answer.remote_number = ask.prefill.number;
    ask.answer.prefill_replica = 0;
    engines[static_cast<std::size_t>(ask.decode)]->submit(ask.answer);
  }

  void add_replica(std::int32_t index) {
    const std::string name = "replica-" + std::to_string(index);
    Engine::Options engine;
    engine.limits.max_batched_tokens = options.batched_tokens;
    engine.limits.max_sequences = 16;
    engine.async_scheduling = false;
    engine.replica = index;
    engine.kv_blocks = options.blocks + 1;
    engines.push_back(std::make_unique<Engine>(
        world, engine, std::make_unique<ConstantStep>(options.step), *this));
    hosts.push_back(std::make_unique<Host>(tasks, name, CpuOptions{}, Bytes(0)));
    const Bandwidth pcie = options.pcie;
    links.push_back(std::make_unique<DuplexLink>(
        world, name + ".pcie", DuplexLink::Rates{pcie, pcie}, DuplexLink::Rates{pcie, pcie}));
    for (const auto direction : {DuplexLink::kUp, DuplexLink::kDown})
      lanes.push_back(
          std::make_unique<Lane>(world, name + (direction == DuplexLink::kUp ? ".d2h" : ".h2d"),
                                 "pcie", std::vector<World::LinkId>{links.back()->link(direction)},
                                 links.back().get(), direction));
    const std::int32_t ranks = index == 0 ? options.prefill_ranks : options.decode_ranks;
    Engine& made = *engines.back();
    const Connector::Context context{
        .tasks = tasks,
        .host = *hosts.back(),
        .stores = *this,
        .name = name,
        .model = "model",
        .pool = made.pool(),
        .block_tokens = made.block_tokens(),
        .block_bytes = options.block / ranks,
        .ranks = ranks,
        .layers = options.layers,
        .to_host = *lanes[lanes.size() - 2],
        .to_device = *lanes.back(),
        .to_device_rate = pcie,
        .rate_limit = [](Bytes) { return Bandwidth(0); },
        .loaded = [&made](KvSequence& sequence,
                          std::int64_t tokens) { made.on_loaded(sequence, tokens); },
        .missed = [&made](KvSequence& sequence,
                          std::int64_t tokens) { made.on_missed(sequence, tokens); },
        .changed = [&made] { made.on_changed(); },
    };
    const bool own = index == 0 || !options.one_machine;
    const Fabric::NodeId node = own ? fabric.add_node(name, options.machine) : 0;
    made.set_connector(hub.connect(
        index, nullptr, context,
        {.end = {node}, .gpu_link = options.gpu_link, .prefill = index == 0, .decode = index > 0}));
  }
};

}  // namespace kvsim
