#include "sim/experiment/stages.hpp"

#include <fmt/format.h>

#include "sim/base/rng.hpp"
#include "sim/workload/content_stream.hpp"

namespace kvsim {

namespace {

// Requests of one stage among others.
class StageSource final : public RequestSource {
 public:
  struct Numbers {
    std::int64_t stage;
    std::int64_t text;  // stages of the same number have the same text
    std::int64_t stages;
    std::shared_ptr<std::int64_t> next_id;
  };
  StageSource(std::unique_ptr<RequestSource> source, Numbers numbers)
      : source_(std::move(source)), numbers_(std::move(numbers)) {}

  bool next(Request& request) override {
    if (!source_->next(request)) return false;
    request.id = (*numbers_.next_id)++;
    request.stage = static_cast<std::int32_t>(numbers_.stage);
    if (request.session >= 0) request.session = request.session * numbers_.stages + numbers_.stage;
    for (ContentRun& run : request.prompt) run.stream = own(run.stream);
    for (ContentRun& run : request.answer) run.stream = own(run.stream);
    request.answer_stream = own(request.answer_stream);
    return true;
  }

  [[nodiscard]] std::string digest() const override { return source_->digest(); }

 private:
  // Text that belongs to one request, unlike shared prefixes, hash ids and tokens of a trace.
  [[nodiscard]] std::uint64_t own(std::uint64_t name) const {
    constexpr int kBits = 56;
    const auto kind = static_cast<StreamKind>(name >> kBits);
    if (kind != StreamKind::kPrompt && kind != StreamKind::kAnswer) return name;
    const std::uint64_t number = name & ((std::uint64_t{1} << kBits) - 1);
    return content_stream(kind, number * static_cast<std::uint64_t>(numbers_.stages) +
                                    static_cast<std::uint64_t>(numbers_.text));
  }

  std::unique_ptr<RequestSource> source_;
  Numbers numbers_;
};

LoadStage::AtEnd at_end(const std::string& name) {
  if (name == "cancel") return LoadStage::AtEnd::kCancel;
  return name == "go_on" ? LoadStage::AtEnd::kGoOn : LoadStage::AtEnd::kDrain;
}

// `section` of the experiment, with the stage's laid over it.
Json laid_over(const ConfigNode& experiment, const char* section, const Json& patch) {
  Json out = experiment.has(section) ? experiment.at(section).json() : Json::object();
  out.merge_patch(patch);
  return out;
}

}  // namespace

StagePlan::StagePlan(const ConfigNode& experiment, const ExperimentConfig& config)
    : staged_(config.stages.has_value()) {
  const auto seed = static_cast<std::uint64_t>(config.seed);
  if (!staged_) {
    Part& all = parts_.emplace_back(experiment);
    all.load = read_load(experiment, config.load);
    all.seeds = {seed, seed};
    return;
  }
  const ConfigNode list = experiment.at("stages");
  if (config.stages->empty()) list.fail("0 stages", "one or more, or no such key");
  if (config.measure.duration)
    experiment.at("measure").at("duration_s").fail("it with stages", "duration_s of their loads");
  for (std::size_t i = 0; i < config.stages->size(); ++i) {
    add(experiment, list.at(i), (*config.stages)[i]);
    const bool again = i == 0 || parts_.back().config.same_text;
    parts_.back().seeds = {again ? seed : stream(seed, fmt::format("stage/{}", i)).bits(), seed};
  }
}

void StagePlan::add(const ConfigNode& experiment, const ConfigNode& given,
                    const StageConfig& config) {
  for (const char* section : {"workload", "load"})
    if (given.has(section)) given.at(section).expect_object();
  Part& part = parts_.emplace_back(experiment);
  part.config = config;
  if (!given.has("name")) part.config.name = std::to_string(parts_.size() - 1);
  part.json = {{"workload", laid_over(experiment, "workload", config.workload)},
               {"load", laid_over(experiment, "load", config.load)},
               {"pools", experiment.at("pools").json()}};
  part.node = ConfigNode(part.json, experiment.file(), given.path());
  part.load = read_load(part.node, part.json.at("load"));
  if (part.load.client_timeout != client_timeout())
    part.node.at("load").fail("another client_timeout_s", "the same for all stages");
}

void StagePlan::resolve(Json& experiment) const {
  if (!staged_) {
    experiment["workload"] = resolve_workload(parts_.front().node);
    experiment["load"] = echo_config(parts_.front().load);
    return;
  }
  Json stages = Json::array();
  for (const Part& part : parts_) {
    Json stage = echo_config(part.config);
    stage["workload"] = resolve_workload(part.node);
    stage["load"] = echo_config(part.load);
    stages.push_back(std::move(stage));
  }
  experiment["stages"] = std::move(stages);
}

std::vector<LoadStage> StagePlan::make() const {
  std::vector<LoadStage> out;
  const auto next_id = std::make_shared<std::int64_t>(0);
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const Part& part = parts_[i];
    LoadStage stage;
    stage.name = part.config.name;
    stage.source = make_source(part.node, part.load, part.seeds);
    if (staged_) {
      const auto number = static_cast<std::int64_t>(i);
      stage.source = std::make_unique<StageSource>(
          std::move(stage.source),
          StageSource::Numbers{.stage = number,
                               .text = part.config.same_text ? 0 : number,
                               .stages = static_cast<std::int64_t>(parts_.size()),
                               .next_id = next_id});
    }
    stage.clients.clients = part.load.clients();
    stage.clients.think = part.load.think();
    stage.clients.produce = part.load.arrivals.produce;
    stage.clients.produce_ahead = part.load.arrivals.produce_ahead;
    if (part.load.arrivals.duration) stage.clients.duration = *part.load.arrivals.duration;
    stage.duration = part.load.asked_duration();
    stage.at_end = at_end(part.load.at_end);
    stage.pause = part.config.pause;
    out.push_back(std::move(stage));
  }
  return out;
}

std::optional<std::int64_t> StagePlan::count() const {
  std::optional<std::int64_t> sum = 0;
  for (const Part& part : parts_) {
    const auto known = count_requests(part.node, part.load, part.seeds);
    sum = sum && known ? std::optional(*sum + *known) : std::nullopt;
  }
  return sum;
}

}  // namespace kvsim
