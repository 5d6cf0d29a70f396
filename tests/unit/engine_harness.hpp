// Runs a script of requests on one engine, in worlds small enough to compute by hand: a step takes
// a second, a block holds 16 tokens, the API server costs nothing.
//
// Every script runs twice, step by step and with steps coalesced, and must give the same requests,
// gauges and counts; what is returned is the coalesced run with the shapes of the other one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/engine/engine.hpp"
#include "sim/report/request_record.hpp"

namespace kvsim {

// A request, numbered by its place in the script. Arrivals must not decrease.
struct ScriptedRequest {
  double arrival = 0;
  std::int64_t input = 16;
  std::int64_t output = 1;
  // Empty: content that no other request has. Else its runs, `input` tokens in all.
  std::vector<ContentRun> prompt = {};
  std::int32_t priority = 0;
  std::int64_t session = -1;
  std::int32_t turn = 0;
  double think = 0;
};

// The first `length` tokens of a text that requests can share.
ContentRun text(std::uint64_t number, std::int64_t length);
// The whole answer to request `id` of the script.
ContentRun answer_of(std::int64_t id, std::int64_t length);

// A native connector over a host link of its own, 0.1 s a block in either direction.
struct Offload {
  Json plugin = {{"kind", "native"}, {"cpu_bytes", 1'000'000'000}};
  double up = 10e6;  // bytes per second, device to host
  double down = 10e6;
  double up_together = 10e6;  // while both directions are busy
  double down_together = 10e6;
  double descriptor = 0;  // seconds a block
  std::int64_t block_bytes = 1'000'000;
  std::int32_t layers = 1;
  Json stores = Json::object();  // store plug-ins by name
  double disk = 5e6;             // bytes per second of the disk called "ssd"
};

struct Script {
  std::vector<ScriptedRequest> requests;
  Engine::Options engine;
  double step_gpu = 1;
  double step_cpu = 0;
  double step_per_prefill_token = 0;
  double client_timeout = 0;  // 0 = none
  std::optional<Offload> offload;
  std::vector<double> probes;  // when to look at the gauges, rising

  // Synchronous scheduling, 1,000 blocks, no limit that matters; tests change what they are about.
  Script();
};

struct Counts {
  std::int64_t free_blocks = 0;  // at the end
  std::int64_t total_blocks = 0;
  std::int64_t steps = 0;
  std::int64_t computed_tokens = 0;
  std::int64_t recomputed_tokens = 0;
  double longest_gap = 0;  // between two tokens of one answer
  // Of the connector, zero without one.
  std::int64_t stored_bytes = 0;
  std::int64_t evicted_tokens = 0;
  std::int64_t dropped_tokens = 0;
  double up_busy = 0;
  double down_busy = 0;
  std::int64_t up_bytes = 0;
  std::int64_t down_bytes = 0;
};

struct Story {
  std::vector<RequestRecord> requests;  // by id
  std::vector<EngineGauges> gauges;     // by probe
  std::vector<StepShape> steps;         // in the order of execution
  Counts counts;

  [[nodiscard]] double first_token(std::size_t id) const {
    return requests.at(id).first_token.count();
  }
  [[nodiscard]] double ended(std::size_t id) const { return requests.at(id).ended.count(); }
  [[nodiscard]] Outcome outcome(std::size_t id) const { return requests.at(id).outcome; }
  // Prompt tokens of each step; 0 for a step of decodes only.
  [[nodiscard]] std::vector<std::int64_t> prefill_tokens() const;
};

// Throws what the run throws; a difference between the two ways of running is a test failure.
Story run(const Script& script);

}  // namespace kvsim
