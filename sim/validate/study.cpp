#include "sim/validate/study.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "sim/validate/template.hpp"

namespace kvsim {

namespace {

constexpr const char* kSchema = "kvsim.validation/1";

void check_keys(const ConfigNode& node, const std::vector<std::string>& known) {
  node.expect_object();
  for (const auto& [key, value] : node.json().items())
    if (std::find(known.begin(), known.end(), key) == known.end())
      node.fail(fmt::format("the unknown key \"{}\"", key), join_names(known));
}

std::vector<std::string> texts(const ConfigNode& node, const char* key) {
  std::vector<std::string> out;
  if (!node.has(key)) return out;
  const ConfigNode list = node.at(key);
  list.expect_array();
  for (std::size_t i = 0; i < list.json().size(); ++i) out.push_back(list.at(i).text());
  return out;
}

std::string one_of(const ConfigNode& node, const char* key, std::string standard,
                   const std::vector<std::string>& allowed) {
  if (!node.has(key)) return standard;
  const std::string found = node.at(key).text();
  if (std::find(allowed.begin(), allowed.end(), found) == allowed.end())
    node.at(key).fail(node.at(key).found(), join_names(allowed));
  return found;
}

std::string level_name(const Json& level) {
  return level.is_string() ? level.get<std::string>() : level.dump();
}

std::string folder_name(std::string text) {
  for (char& c : text)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '.') c = '_';
  return text;
}

CountingRules read_counting(const ConfigNode& node) {
  CountingRules rules;
  check_keys(node, {"requests", "seconds", "token_rates", "metrics"});
  rules.requests = one_of(node, "requests", rules.requests, {"completed", "sent"});
  rules.seconds = one_of(node, "seconds", rules.seconds, {"duration", "span", "sending"});
  rules.token_rates = one_of(node, "token_rates", rules.token_rates, {"together", "mean"});
  if (!node.has("metrics")) return rules;
  const ConfigNode metrics = node.at("metrics");
  metrics.expect_object();
  for (const auto& [name, meaning] : metrics.json().items()) {
    rules.metrics[name] = read_config<MetricMeaning>(metrics.at(name));
    if (!can_measure({}, rules.metrics[name].as))
      metrics.at(name).fail(fmt::format("\"{}\"", rules.metrics[name].as), "a metric of ours");
  }
  return rules;
}

// Makes one run of the rows that share a server life.
class RunPlan {
 public:
  RunPlan(const Json& study, const std::string& file, std::vector<const ValidationCase*> rows,
          std::string per_request, Patterns& patterns)
      : file_(file),
        values_{std::move(rows), Json(), std::move(per_request)},
        patterns_(patterns),
        merged_(study) {
    apply_rules(*values_.rows.front(), /*of_rows=*/false, merged_);
    read_levels();
  }

  // `of_cases`: the index of each row among the cases; `wanted`: which of them to cut.
  PlannedRun make(const std::vector<std::size_t>& of_cases, const std::vector<bool>& wanted) {
    PlannedRun run;
    run.study = values_.rows.front()->study();
    run.name = folder_name(std::string(values_.rows.front()->id()));
    if (root().has("count")) run.counting = read_counting(root().at("count"));
    for (const Json& level : levels_) run.levels.push_back(level_name(level));
    if (levels_.empty()) run.levels = {""};
    for (std::size_t i = 0; i < of_cases.size(); ++i)
      if (wanted[i]) run.cuts.push_back(cut(*values_.rows[i], of_cases[i]));
    add_experiments(run);
    return run;
  }

 private:
  [[nodiscard]] ConfigNode root() const { return {merged_, file_}; }

  // Whether the rows of the run disagree in a column.
  [[nodiscard]] bool looks_at_rows(const ConfigNode& when) const {
    const auto& rows = values_.rows;
    for (const auto& [column, pattern] : when.json().items())
      for (const ValidationCase* row : rows)
        if (row->at(column) != rows.front()->at(column)) return true;
    return false;
  }

  bool matches(const ConfigNode& when, const ValidationCase& row) {
    for (const auto& [column, pattern] : when.json().items()) {
      if (!row.columns.contains(column))
        when.fail(fmt::format("the column \"{}\"", column), "columns of the cases");
      const std::string_view text = row.at(column);
      if (!std::regex_search(text.begin(), text.end(), patterns_.of(when.at(column)))) return false;
    }
    return true;
  }

  // Rules that look at what differs between the rows of a run may say how a row is cut, no more.
  void apply_rules(const ValidationCase& row, bool of_rows, Json& target) {
    if (!merged_.contains("rules")) return;
    const Json list = merged_.at("rules");
    const Json holder = {{"rules", list}};
    const ConfigNode rules = ConfigNode(holder, file_).at("rules");
    rules.expect_array();
    for (std::size_t i = 0; i < list.size(); ++i) {
      const ConfigNode rule = rules.at(i);
      check_keys(rule, {"when", "set", "about"});
      for (const char* key : {"when", "set"}) {
        if (!rule.has(key)) rule.fail(fmt::format("no \"{}\"", key), "{\"when\":, \"set\":}");
        rule.at(key).expect_object();
      }
      const bool for_rows = looks_at_rows(rule.at("when"));
      if (for_rows)
        check_keys(rule.at("set"), {"cut", "level"});
      else
        check_keys(rule.at("set"), {"levels", "level", "cut", "restart", "experiment", "stage",
                                    "first_stages", "count"});
      if (for_rows == of_rows && matches(rule.at("when"), row))
        merge_template(target, rule.at("set").json());
    }
  }

  void read_levels() {
    if (!root().has("levels")) return;
    const ConfigNode levels = root().at("levels");
    if (levels.json() != "rows") {
      levels.expect_array();
      levels_.assign(levels.json().begin(), levels.json().end());
      return;
    }
    for (const ValidationCase* row : values_.rows) {
      const Json own = own_of(*row);
      if (own.value("cut", "stage") != "stage") continue;
      const Json level = level_of(*row, own);
      if (std::none_of(levels_.begin(), levels_.end(),
                       [&](const Json& known) { return same_level(known, level); }))
        levels_.push_back(level);
    }
  }

  // What a row says of itself: "cut" and "level".
  Json own_of(const ValidationCase& row) {
    Json own = Json::object();
    for (const char* key : {"cut", "level"})
      if (merged_.contains(key)) own[key] = merged_.at(key);
    apply_rules(row, /*of_rows=*/true, own);
    return own;
  }

  Json level_of(const ValidationCase& row, const Json& own) {
    if (!own.contains("level")) root().fail("no \"level\"", "it beside \"levels\"");
    return fill_template(ConfigNode(own, file_).at("level"), {{&row}, Json(), ""}, patterns_);
  }

  CaseCut cut(const ValidationCase& row, std::size_t of_case) {
    CaseCut out;
    out.of_case = of_case;
    const Json own = own_of(row);
    const std::string how = one_of(ConfigNode(own, file_), "cut", levels_.empty() ? "all" : "stage",
                                   {"stage", "all", "best"});
    if (how == "best") {
      out.of = CaseCut::Of::kBest;
      if (root().has("grade") && root().at("grade").has("peak_level"))
        out.peak_level =
            fill_template(root().at("grade").at("peak_level"), {{&row}, Json(), ""}, patterns_);
    }
    if (how != "stage") return out;
    out.of = CaseCut::Of::kStage;
    const Json level = level_of(row, own);
    const auto found = std::find_if(levels_.begin(), levels_.end(),
                                    [&](const Json& known) { return same_level(known, level); });
    if (found == levels_.end()) {
      std::vector<std::string> names;
      for (const Json& known : levels_) names.push_back(level_name(known));
      root().at("level").fail(fmt::format("{} for {}", level.dump(), row.id()), join_names(names));
    }
    out.stage = static_cast<std::size_t>(found - levels_.begin());
    return out;
  }

  Json filled(const ConfigNode& node, const Json& level) {
    TemplateValues values = values_;
    values.level = level;
    return fill_template(node, values, patterns_);
  }

  Json stage(const Json& level) {
    Json out = {{"name", level_name(level)}};
    if (root().has("stage")) merge_template(out, filled(root().at("stage"), level));
    return out;
  }

  Json first_stages() {
    Json out = Json::array();
    if (!root().has("first_stages")) return out;
    const ConfigNode list = root().at("first_stages");
    list.expect_array();
    for (std::size_t i = 0; i < list.json().size(); ++i) {
      out.push_back({{"name", fmt::format("first-{}", i + 1)}});
      merge_template(out.back(), filled(list.at(i), Json()));
    }
    return out;
  }

  void add_experiments(PlannedRun& run) {
    Json base = {{"schema", "kvsim.experiment/1"}, {"name", run.name}};
    if (!root().has("experiment")) root().fail("no \"experiment\"", "it in a template");
    merge_template(base, filled(root().at("experiment"), Json()));
    const Json first = first_stages();
    run.first_stages = first.size();
    const bool restart = root().has("restart") && root().at("restart").boolean();
    if (levels_.empty() || !restart) {
      Json stages = first;
      for (const Json& level : levels_) stages.push_back(stage(level));
      if (levels_.empty() && !first.empty()) stages.push_back({{"name", "main"}});
      if (!stages.empty()) base["stages"] = stages;
      run.experiments.push_back(std::move(base));
      return;
    }
    for (std::size_t i = 0; i < levels_.size(); ++i) {
      const bool needed = std::any_of(run.cuts.begin(), run.cuts.end(), [&](const CaseCut& cut) {
        return cut.of != CaseCut::Of::kStage || cut.stage == i;
      });
      Json& experiment = run.experiments.emplace_back();
      if (!needed) continue;
      experiment = base;
      experiment["name"] = fmt::format("{} {}", run.name, run.levels[i]);
      experiment["stages"] = first;
      experiment["stages"].push_back(stage(levels_[i]));
    }
  }

  const std::string& file_;
  TemplateValues values_;
  Patterns& patterns_;
  Json merged_;  // the template and the rules that match
  std::vector<Json> levels_;
};

}  // namespace

Study::Study(const std::string& file)
    : json_(load_json(file)), file_(file), patterns_(std::make_unique<Patterns>()) {
  const ConfigNode root(json_, file);
  check_keys(root,
             {"schema", "about", "studies", "kind", "run_by", "levels", "level", "cut", "restart",
              "experiment", "stage", "first_stages", "rules", "count", "grade", "disk", "replay"});
  if (!root.has("schema") || root.at("schema").json() != kSchema)
    root.fail("no such \"schema\"", fmt::format("\"schema\": \"{}\"", kSchema));
  names_ = texts(root, "studies");
  if (names_.empty()) root.fail("no \"studies\"", "the names of the studies that it serves");
  if (root.has("kind")) kind_ = root.at("kind").text();
  if (root.has("count")) (void)read_counting(root.at("count"));
}

Study::~Study() = default;
Study::Study(Study&&) noexcept = default;
Study& Study::operator=(Study&&) noexcept = default;

bool Study::serves(std::string_view study) const {
  return std::find(names_.begin(), names_.end(), study) != names_.end();
}

std::vector<PlannedRun> Study::plan(const std::vector<ValidationCase>& cases,
                                    const std::vector<bool>& chosen,
                                    const std::string& per_request) const {
  std::vector<PlannedRun> out;
  if (kind_ != "serving") return out;
  const std::vector<std::string> run_by = texts(ConfigNode(json_, file_), "run_by");
  std::vector<std::vector<std::size_t>> runs;  // cases, in order of the first
  std::map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    if (!serves(cases[i].study())) continue;
    std::string key(cases[i].study());
    for (const std::string& column : run_by) {
      if (!cases[i].columns.contains(column))
        ConfigNode(json_, file_).at("run_by").fail(column, "columns of the cases");
      key += fmt::format("\n{}", cases[i].at(column));
    }
    if (run_by.empty()) key = cases[i].id();
    const auto [at, added] = known.emplace(key, runs.size());
    if (added) runs.emplace_back();
    runs[at->second].push_back(i);
  }
  for (const std::vector<std::size_t>& run : runs) {
    std::vector<const ValidationCase*> rows;
    std::vector<bool> wanted;
    for (const std::size_t i : run) {
      rows.push_back(&cases[i]);
      wanted.push_back(chosen.empty() || chosen[i]);
    }
    if (std::find(wanted.begin(), wanted.end(), true) == wanted.end()) continue;
    out.push_back(RunPlan(json_, file_, rows, per_request, *patterns_).make(run, wanted));
  }
  return out;
}

std::vector<std::string> template_files(const std::string& folder) {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".json") continue;
    const Json json = load_json(entry.path().string());
    if (json.is_object() && json.value("schema", "").starts_with("kvsim.validation/"))
      out.push_back(entry.path().string());
  }
  if (error)
    throw ConfigError(
        fmt::format("--templates: found no folder {}; allowed: one with templates", folder));
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace kvsim
