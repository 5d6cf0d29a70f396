// The sections "workload", "load" and "stages": who sends which requests, and when.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "sim/experiment/config.hpp"
#include "sim/experiment/stage_sequence.hpp"
#include "sim/experiment/workload_assembly.hpp"

namespace kvsim {

class StagePlan {
 public:
  // Throws ConfigError. `experiment`, the root node, must outlive this.
  StagePlan(const ConfigNode& experiment, const ExperimentConfig& config);

  [[nodiscard]] Seconds client_timeout() const { return parts_.front().load.client_timeout; }
  // Fills in the defaults of the three sections.
  void resolve(Json& experiment) const;
  // Opens the sources. Request ids count on from stage to stage; sessions and texts of different
  // stages are different ones, but for shared prefixes and what traces name.
  [[nodiscard]] std::vector<LoadStage> make() const;
  // As count_requests(), of all stages.
  [[nodiscard]] std::optional<std::int64_t> count() const;

 private:
  struct Part {
    explicit Part(const ConfigNode& experiment) : node(experiment) {}
    Json json;        // an experiment with this stage's workload and load only
    ConfigNode node;  // of it; without stages of the experiment
    LoadConfig load;
    StageConfig config;
    GeneratorSeeds seeds;
  };

  void add(const ConfigNode& experiment, const ConfigNode& given, const StageConfig& config);

  bool staged_;
  std::deque<Part> parts_;  // nodes refer to them
};

}  // namespace kvsim
