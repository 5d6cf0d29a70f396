#include "sim/cli/break_even.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "sim/base/errors.hpp"
#include "sim/cli/child_processes.hpp"
#include "sim/experiment/break_even.hpp"
#include "sim/experiment/pool_assembly.hpp"
#include "sim/experiment/simulation.hpp"
#include "sim/report/output_file.hpp"
#include "sim/report/table.hpp"

namespace kvsim {

namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// A scratch folder, removed in the end.
class Scratch {
 public:
  Scratch() : path_(fs::temp_directory_path() / fmt::format("kvsim-break-even-{}", getpid())) {
    fs::create_directories(path_);
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  [[nodiscard]] fs::path of(std::size_t probe) const { return path_ / std::to_string(probe); }

 private:
  fs::path path_;
};

// Runs experiments, as many at a time as there are cores; the text of each one's requests.csv.
std::vector<std::string> run_all(const std::vector<Json>& experiments) {
  const Scratch scratch;
  std::vector<std::string> out(experiments.size());
  const std::size_t jobs = std::max(1u, std::thread::hardware_concurrency());
  std::size_t next = 0;
  ChildProcesses children;
  while (children.running() > 0 || next < experiments.size()) {
    for (; next < experiments.size() && children.running() < jobs; ++next) {
      const std::string place = scratch.of(next).string();
      write_json_file(place + ".json", experiments[next]);
      children.start(next,
                     {"kvsim", "run", place + ".json", "-o", place, "--outputs", "requests", "-q"},
                     place + ".log");
    }
    constexpr double kPatience_s = 0.2;
    for (const ChildProcesses::Ended& ended : children.wait(kPatience_s)) {
      if (ended.exit_code != kExitOk)
        throw ConfigError("break-even: " + text_of(scratch.of(ended.tag).string() + ".log"));
      out[ended.tag] = text_of(scratch.of(ended.tag) / "requests.csv");
    }
    if (children.interrupted()) throw EnvironmentError("interrupted");
  }
  return out;
}

// Files that an experiment names are relative to it; its probes lie elsewhere.
void make_absolute(Json& json, const fs::path& folder) {
  if (json.is_structured())
    for (Json& part : json) make_absolute(part, folder);
  if (!json.is_string() || !json.get<std::string>().ends_with(".json")) return;
  const fs::path file = folder / json.get<std::string>();
  if (fs::is_regular_file(file)) json = fs::absolute(file).lexically_normal().string();
}

Json base_experiment(const BreakEvenFlags& flags) {
  if (flags.experiment.empty())
    return {{"schema", "kvsim.experiment/1"},
            {"nodes", {{{"gpus", flags.pool.value("tensor_parallel", 8)}}}},
            {"pools", Json::array({flags.pool})}};
  Json out = load_experiment(flags.experiment, {});
  make_absolute(out, fs::path(flags.experiment).parent_path());
  return out;
}

// All lengths of one way.
struct Way {
  std::string name;
  std::vector<BreakEvenPoint> points;
};

struct Study {
  PoolPlan plan;
  std::int64_t kv_bytes_per_token = 0;
  std::vector<std::int64_t> lengths;
  std::vector<Seconds> recompute;  // of each length
  std::vector<Way> ways;
};

void add_simulated(const std::vector<TierPath>& paths, const Json& base, Study& study) {
  std::vector<Json> probes;
  for (const std::int64_t length : study.lengths) probes.push_back(probe_of(base, length, false));
  for (const TierPath& path : paths)
    for (const std::int64_t length : study.lengths)
      probes.push_back(probe_of(path.experiment, length, true));
  const std::vector<std::string> results = run_all(probes);
  auto result = results.begin();
  std::vector<Seconds> whole;
  for (std::size_t i = 0; i < study.lengths.size(); ++i)
    whole.push_back(read_probe(*result++, false).value_or(ProbeTimes{}).prefill);
  study.recompute = whole;
  for (const TierPath& path : paths) {
    Way way{path.name, {}};
    for (std::size_t i = 0; i < study.lengths.size(); ++i)
      if (const auto times = read_probe(*result++, true))
        way.points.push_back({study.lengths[i], times->fetch, whole[i] - times->prefill});
    study.ways.push_back(std::move(way));
  }
}

void add_plain(const std::vector<std::string>& tiers, Study& study) {
  for (const std::string& text : tiers) {
    const PlainTier tier = read_plain_tier(text);
    Way way{tier.name, {}};
    for (std::size_t i = 0; i < study.lengths.size(); ++i)
      way.points.push_back(
          {study.lengths[i],
           tier.latency + Bytes(study.lengths[i] * study.kv_bytes_per_token) / tier.rate,
           study.recompute[i]});
    study.ways.push_back(std::move(way));
  }
}

Study make_study(const BreakEvenFlags& flags) {
  for (const std::string& tier : flags.tiers) (void)read_plain_tier(tier);
  const Json base = base_experiment(flags);
  const ConfigNode root(base, flags.experiment);
  auto config = read_config<PoolConfig>(root.at("pools").at(std::size_t{0}));
  config.node.clear();
  config.engine.num_gpu_blocks_override = 2;  // HBM is not the question
  NodeConfig node;
  node.gpus = std::max<std::int64_t>(node.gpus, config.tensor_parallel);
  Study study{.plan = plan_pool(root, config, {node})};
  const LlmProfile& llm = study.plan.context.llm;
  const std::string kv =
      study.plan.context.kv_dtype.empty() ? llm.kv_dtype : study.plan.context.kv_dtype;
  study.kv_bytes_per_token =
      llm.kv_bytes_per_token_per_rank(kv, config.tensor_parallel).count() * config.tensor_parallel;
  study.lengths = prefix_lengths(llm.max_model_len);
  std::vector<TierPath> paths = own_path(base);
  if (flags.experiment.empty() || paths.empty()) paths = usual_paths(base);
  add_simulated(paths, base, study);
  add_plain(flags.tiers, study);
  return study;
}

Bandwidth bandwidth_needed(const Study& study, std::size_t i) {
  return Bandwidth(static_cast<double>(study.lengths[i] * study.kv_bytes_per_token) /
                   study.recompute[i].count());
}

std::string in_words(const std::optional<std::int64_t>& tokens) {
  if (!tokens) return "never";
  return *tokens == 0 ? "always" : fmt::format("from {} tokens", *tokens);
}

Json study_json(const Study& study) {
  Json lengths = Json::array();
  for (std::size_t i = 0; i < study.lengths.size(); ++i)
    lengths.push_back({{"tokens", study.lengths[i]},
                       {"kv_bytes", study.lengths[i] * study.kv_bytes_per_token},
                       {"recompute_s", study.recompute[i].count()},
                       {"break_even_bytes_per_s", bandwidth_needed(study, i).count()}});
  Json ways = Json::array();
  for (const Way& way : study.ways) {
    const auto tokens = break_even_tokens(way.points);
    Json points = Json::array();
    for (const BreakEvenPoint& point : way.points)
      points.push_back({{"tokens", point.tokens},
                        {"fetch_s", point.fetch.count()},
                        {"recompute_s", point.recompute.count()}});
    ways.push_back({{"name", way.name},
                    {"break_even_tokens", tokens ? Json(*tokens) : Json()},
                    {"fetching_wins", in_words(tokens)},
                    {"points", std::move(points)}});
  }
  return {{"schema", "kvsim.break-even/1"},
          {"model", study.plan.context.llm.name},
          {"gpu", study.plan.context.gpu.name},
          {"tensor_parallel", study.plan.config.tensor_parallel},
          {"version", study.plan.config.engine.version},
          {"kv_bytes_per_token", study.kv_bytes_per_token},
          {"prefixes", std::move(lengths)},
          {"tiers", std::move(ways)}};
}

void print_study(const Study& study) {
  fmt::print("{} on {} x {}, vLLM {}: seconds to fetch a prefix, or to compute it\n",
             study.plan.context.llm.name, study.plan.config.tensor_parallel,
             study.plan.context.gpu.name, study.plan.config.engine.version);
  fmt::print("  {:>8}{:>12}{:>12}", "tokens", "GB/s needed", "recompute");
  for (const Way& way : study.ways) fmt::print("{:>12}", way.name);
  fmt::print("\n");
  for (std::size_t i = 0; i < study.lengths.size(); ++i) {
    fmt::print("  {:>8}{:>12.3g}{:>12}", study.lengths[i], bandwidth_needed(study, i).count() / 1e9,
               human_seconds(study.recompute[i].count()));
    for (const Way& way : study.ways) {
      const auto point =
          std::find_if(way.points.begin(), way.points.end(),
                       [&](const BreakEvenPoint& one) { return one.tokens == study.lengths[i]; });
      fmt::print("{:>12}", point == way.points.end() ? "-" : human_seconds(point->fetch.count()));
    }
    fmt::print("\n");
  }
  fmt::print("  fetching takes less\n");
  for (const Way& way : study.ways)
    fmt::print("    {:<14}{}\n", way.name, in_words(break_even_tokens(way.points)));
}

}  // namespace

void run_break_even(const BreakEvenFlags& flags) {
  const Study study = make_study(flags);
  if (flags.json) {
    fmt::print("{}\n", study_json(study).dump(2));
  } else {
    print_study(study);
  }
}

}  // namespace kvsim
