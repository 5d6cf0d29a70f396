// Small experiments for the command-line tests.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "tests/cli/command.hpp"

namespace kvsim::cli_test {

using Json = nlohmann::ordered_json;

// A few conversations on two replicas, DRAM below HBM: a fraction of a second.
inline Json small_experiment() {
  return Json::parse(R"({
    "schema": "kvsim.experiment/1",
    "name": "small",
    "workload": {
      "kind": "generate",
      "input": {"kind": "uniform", "min": 20, "max": 300},
      "output": {"kind": "uniform", "min": 5, "max": 60},
      "prefix": {"groups": 3, "length": {"kind": "constant", "value": 100}},
      "sessions": {
        "count": 20,
        "turns": {"kind": "uniform", "min": 1, "max": 5},
        "think": {"kind": "exponential", "mean_s": 2}
      }
    },
    "load": {"kind": "poisson", "rate_per_s": 2},
    "pools": [{
      "replicas": 2, "llm": "qwen3-0.6b", "gpu": "l4",
      "engine": {"num_gpu_blocks_override": 400, "max_model_len": 4000},
      "connector": {"kind": "native", "cpu_bytes": 1e9}
    }],
    "router": {"kind": "prefix-aware"},
    "slo": {"ttft_s": 0.5, "tpot_s": 0.05}
  })");
}

// Replays a trace on one replica.
inline Json replay_of(const std::string& path) {
  return {{"schema", "kvsim.experiment/1"},
          {"workload", {{"path", path}}},
          {"pools", {{{"llm", "qwen3-0.6b"}, {"gpu", "h100-sxm"}}}}};
}

}  // namespace kvsim::cli_test
