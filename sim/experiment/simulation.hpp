// An experiment, assembled and run: the one place where things are wired.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/experiment/config.hpp"
#include "sim/report/request_sink.hpp"
#include "sim/report/run_facts.hpp"
#include "sim/report/stage_recorder.hpp"

namespace kvsim {

// Reads an experiment file and applies overrides ("/json/pointer=value": JSON if it parses, else a
// string) before anything is checked. Paths in an override are relative to the working directory.
// Configuration files of real systems are translated then (real_configurations.hpp). `variant`: the
// name of one of the file's (variant_plan.hpp), whose values come before the overrides; none = the
// file as it is without its variants.
Json load_experiment(const std::string& file, const std::vector<std::string>& overrides,
                     const std::string& variant = "");

class Simulation {
 public:
  // Throws ConfigError, TraceError or EnvironmentError; nothing has been simulated then.
  explicit Simulation(const ConfigNode& experiment);
  ~Simulation();
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  // Every default filled in.
  [[nodiscard]] const Json& resolved() const;
  [[nodiscard]] const std::string& name() const;
  // As known before the run: without the trace's digest.
  [[nodiscard]] const RunProvenance& provenance() const;
  // Names for RequestRecord::hit_tokens.
  [[nodiscard]] const std::vector<std::string>& tiers() const;
  // Names for RequestRecord::fetch_stages; none without lower tiers.
  [[nodiscard]] std::vector<std::string> fetch_stages() const;

  // How many requests will arrive, where that is known beforehand.
  [[nodiscard]] std::optional<std::int64_t> total_requests() const;

  // Hears of every request that ends. Not owned.
  void add_sink(RequestSink& sink);
  // Before run(): writes the map of the KV cache into `folder` (report/kv_map.hpp), and shares of
  // it into the summary. Changes nothing else.
  void map_kv(const std::string& folder);
  // Asked now and then with the number of ended requests; true ends the run early.
  void set_watch(std::function<bool(std::int64_t ended)> watch);

  // Once per process.
  void run();
  // After run(): its stages; without `stages` one, which has no name.
  [[nodiscard]] const std::vector<StageSpan>& stage_times() const;
  // After run(). With live lanes in shadow mode it measures now, for some seconds a lane.
  [[nodiscard]] Json summary() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kvsim
