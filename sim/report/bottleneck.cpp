#include "sim/report/bottleneck.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace kvsim {

namespace {

constexpr double kSaturated = 0.9;

struct Part {
  std::string name;
  double share = 0;
};

const Part* largest(const std::vector<Part>& parts) {
  const auto at = std::max_element(parts.begin(), parts.end(),
                                   [](const Part& a, const Part& b) { return a.share < b.share; });
  return at == parts.end() || at->share <= 0 ? nullptr : &*at;
}

std::string percent(double share) { return fmt::format("{:.0f} %", 100 * share); }

// "client 85 %, server 14 %": what is at least a hundredth, largest first.
std::string in_words(std::vector<Part> parts) {
  std::stable_sort(parts.begin(), parts.end(),
                   [](const Part& a, const Part& b) { return a.share > b.share; });
  std::string out;
  for (const Part& part : parts)
    if (part.share >= 0.01)
      out += fmt::format("{}{} {}", out.empty() ? "" : ", ", part.name, percent(part.share));
  return out;
}

// Busiest of a kind, or of all for ""; the first of equally busy ones. Stalls are no resource.
const ResourceFacts* busiest(const RunFacts& facts, const std::string& kind) {
  const ResourceFacts* out = nullptr;
  for (const ResourceFacts& resource : facts.resources) {
    if (resource.kind == "stall" || (!kind.empty() && resource.kind != kind)) continue;
    if (out == nullptr || resource.utilisation > out->utilisation) out = &resource;
  }
  return out;
}

bool belongs_to_store(const RunFacts& facts, const std::string& resource) {
  return std::any_of(facts.stores.begin(), facts.stores.end(), [&](const StoreFacts& store) {
    return resource.starts_with(store.name + ".");
  });
}

// The resource on which a stage of a fetch spends its time.
const ResourceFacts* resource_of_stage(const RunFacts& facts, const std::string& stage) {
  if (stage == "client" || stage == "codec") return busiest(facts, "client");
  if (stage == "disk") return busiest(facts, "disk");
  if (stage == "copy") return busiest(facts, "pcie");
  const ResourceFacts* out = nullptr;
  for (const ResourceFacts& resource : facts.resources) {
    if (stage != "server" || !belongs_to_store(facts, resource.name)) continue;
    if (out == nullptr || resource.utilisation > out->utilisation) out = &resource;
  }
  return out;
}

std::string free_of_stage(const std::string& stage) {
  if (stage == "copy") return "pcie";
  return stage == "codec" ? "client" : stage;
}

std::string free_of(const RunFacts& facts, const ResourceFacts& resource) {
  if (belongs_to_store(facts, resource.name) && resource.kind == "cpu") return "server";
  if (resource.name.starts_with("api-server")) return "api";
  for (const char* kind : {"client", "disk", "memory", "pcie"})
    if (resource.kind == kind) return kind;
  return "";
}

// How engines divide their time; shares of all of it.
struct EngineTime {
  double steps = 0;
  double loads = 0;
  double stores = 0;
  double lookups = 0;
  std::vector<Part> load_stages;  // shares of the waits for loads
  [[nodiscard]] double idle() const { return std::max(0.0, 1 - steps - loads - stores - lookups); }
};

EngineTime engine_time(const RunFacts& facts) {
  EngineTime out;
  double engines = 0;
  for (const ResourceFacts& resource : facts.resources) {
    if (resource.kind != "gpu") continue;
    ++engines;
    out.steps += resource.utilisation;
  }
  const double seconds = engines * facts.simulated.count();
  if (!(seconds > 0)) return out;
  out.steps /= engines;
  out.loads = facts.waits.loads.count() / seconds;
  out.stores = facts.waits.stores.count() / seconds;
  out.lookups = facts.waits.lookups.count() / seconds;
  for (std::size_t i = 0; i < facts.fetch_stages.size(); ++i)
    if (facts.waits.loads > Seconds(0))
      out.load_stages.push_back(
          {facts.fetch_stages[i], facts.waits.load_stages[i].count() / facts.waits.loads.count()});
  return out;
}

std::string waits_in_words(const EngineTime& time) {
  std::string out;
  if (time.loads >= 0.005) {
    out = "steps wait for loads: " + percent(time.loads) + " of the time";
    if (const std::string stages = in_words(time.load_stages); !stages.empty())
      out += ", of which " + stages;
  }
  const std::vector<Part> others = {
      {"for stores", time.stores}, {"for lookups", time.lookups}, {"for requests", time.idle()}};
  if (const std::string more = in_words(others); !more.empty())
    out += (out.empty() ? "they wait " : "; they wait ") + more;
  return out;
}

std::string parts_of_ttft(const Json& parts) {
  std::vector<Part> list;
  double sum = 0;
  const auto add = [&](const std::string& name, const Json& seconds) {
    if (!seconds.is_number()) return;
    list.push_back({name, seconds.get<double>()});
    sum += list.back().share;
  };
  for (const auto& [name, value] : parts.items()) {
    if (!value.is_object()) add(name, value);
    if (value.is_object())
      for (const auto& [stage, seconds] : value.items()) add("fetch " + stage, seconds);
  }
  if (!(sum > 0)) return "";
  for (Part& part : list) part.share /= sum;
  return in_words(list);
}

Json verdict(const RunFacts& facts, const ResourceFacts* resource, const std::string& free,
             const std::string& reason) {
  Json out = {
      {"resource", nullptr}, {"utilisation", nullptr}, {"reason", reason}, {"share", nullptr}};
  if (resource != nullptr) {
    out["resource"] = resource->name;
    out["utilisation"] = resource->utilisation;
  } else if (!free.empty()) {
    out["resource"] = free;
  }
  const std::string kind = free.empty() && resource != nullptr ? free_of(facts, *resource) : free;
  out["free"] = kind.empty() ? Json() : Json(kind);
  return out;
}

}  // namespace

Json find_bottleneck(const RunFacts& facts, const Json& ttft_parts) {
  const ResourceFacts* top = busiest(facts, "");
  if (top == nullptr) {
    Json out = verdict(facts, nullptr, "", "");
    out["reason"] = nullptr;
    return out;
  }
  if (top->utilisation >= kSaturated)
    return verdict(facts, top, "",
                   fmt::format("the busiest resource ({}), busy {:.1f} % of the run", top->kind,
                               100 * top->utilisation));
  const EngineTime time = engine_time(facts);
  const std::string waits = waits_in_words(time);
  const double most = std::max({time.steps, time.loads, time.stores, time.lookups});
  if (time.idle() > most) {
    const std::string ttft = parts_of_ttft(ttft_parts);
    return verdict(facts, top, "",
                   fmt::format("nothing is saturated: engines have no step to do for {} of the "
                               "time{}{}",
                               percent(time.idle()),
                               ttft.empty() ? "" : "; the time to first token is ", ttft));
  }
  const Part* stage = largest(time.load_stages);
  if (time.loads == most && stage != nullptr)
    return verdict(facts, resource_of_stage(facts, stage->name), free_of_stage(stage->name), waits);
  if (time.stores == most && most > 0) return verdict(facts, busiest(facts, "pcie"), "pcie", waits);
  return verdict(facts, top, "",
                 fmt::format("the busiest resource ({}), busy {:.1f} % of the run; nothing is "
                             "saturated{}{}",
                             top->kind, 100 * top->utilisation, waits.empty() ? "" : ": ", waits));
}

Json step_waits_json(const RunFacts& facts) {
  const StepWaitFacts& waits = facts.waits;
  Json stages = Json::object();
  for (std::size_t i = 0; i < facts.fetch_stages.size(); ++i)
    stages[facts.fetch_stages[i]] = waits.load_stages[i].count();
  return {{"loads", waits.loads.count()},
          {"load_stages", std::move(stages)},
          {"stores", waits.stores.count()},
          {"lookups", waits.lookups.count()}};
}

}  // namespace kvsim
