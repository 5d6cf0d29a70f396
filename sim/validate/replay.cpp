#include "sim/validate/replay.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/report/output_file.hpp"
#include "sim/validate/template.hpp"
#include "sim/workload/record_lines.hpp"

namespace kvsim {

namespace {

// What one line of the file says.
struct MeasuredRequest {
  double ttft = 0;
  double e2e = 0;
  bool failed = false;
};

double duration(const RecordLines& records, const MeasuredTime& time) {
  if (!time.field.empty()) return records.number(time.field);
  return records.number(time.to) - records.number(time.from);
}

std::vector<MeasuredRequest> read_measured(const Replay& replay) {
  RecordLines records(ByteStream::open(replay.file));
  const MeasuredFile& fields = replay.measured;
  std::vector<MeasuredRequest> out;
  while (records.next()) {
    MeasuredRequest& request = out.emplace_back();
    request.failed = !fields.error.empty() && records.text(fields.error) != "0";
    if (request.failed) continue;
    request.ttft = duration(records, fields.ttft);
    request.e2e = duration(records, fields.e2e);
  }
  return out;
}

// The experiment of a run, with the file's requests in place of its own.
Json replayed_experiment(Json experiment, const Json& patch, const std::string& name) {
  for (const char* key : {"stages", "workload", "load"}) experiment.erase(key);
  merge_template(experiment, patch);
  experiment["name"] = name;
  return experiment;
}

}  // namespace

std::vector<Replay> plan_replays(const Study& study, const std::vector<PlannedRun>& runs,
                                 const std::vector<ValidationCase>& cases,
                                 const std::string& per_request) {
  std::vector<Replay> out;
  if (per_request.empty() || !study.json().contains("replay")) return out;
  const ConfigNode node = ConfigNode(study.json(), study.file()).at("replay");
  Patterns patterns;
  for (const PlannedRun& run : runs) {
    if (!study.serves(run.study) || run.experiments.front().is_null()) continue;
    for (const CaseCut& cut : run.cuts) {
      const TemplateValues values{{&cases[cut.of_case]}, Json(), per_request};
      const Json filled = fill_template(node, values, patterns);
      if (!filled.contains("file")) continue;  // none for this case
      Replay& replay = out.emplace_back();
      replay.of_case = cut.of_case;
      replay.name = run.name + "-replay";
      replay.file = filled.at("file").get<std::string>();
      const ConfigNode in_filled(filled, study.file(), "/replay");
      replay.measured = read_config<MeasuredFile>(in_filled.at("measured"));
      replay.experiment = replayed_experiment(run.experiments.front(),
                                              in_filled.at("experiment").json(), replay.name);
    }
  }
  return out;
}

std::vector<ReplayedMetric> compare_replay(const Replay& replay,
                                           std::vector<RequestRecord> requests) {
  const std::vector<MeasuredRequest> measured = read_measured(replay);
  if (measured.size() != requests.size())
    throw TraceError(fmt::format("{}: found {} requests; allowed: the {} that were replayed",
                                 replay.file, measured.size(), requests.size()));
  std::sort(requests.begin(), requests.end(),
            [](const RequestRecord& a, const RequestRecord& b) { return a.id < b.id; });
  std::vector<ReplayedMetric> out = {{replay.of_case, "ttft", {}, {}},
                                     {replay.of_case, "e2e", {}, {}}};
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const RequestRecord& request = requests[i];
    if (measured[i].failed || request.outcome != Outcome::kCompleted) continue;
    out[0].predicted.push_back((request.first_token - request.sent).count());
    out[0].measured.push_back(measured[i].ttft);
    out[1].predicted.push_back((request.ended - request.sent).count());
    out[1].measured.push_back(measured[i].e2e);
  }
  return out;
}

void write_distributions(const std::filesystem::path& folder,
                         const std::vector<ValidationCase>& cases,
                         const std::vector<ReplayedMetric>& metrics) {
  std::string errors =
      "case_id,metric,requests,kolmogorov,p10_percent,p50_percent,p90_percent,p99_percent,"
      "rank_correlation\n";
  std::string quantiles = "case_id,metric,percent,predicted_s,measured_s\n";
  for (const ReplayedMetric& metric : metrics) {
    if (metric.predicted.empty()) continue;
    const std::string name = fmt::format("{},{}", cases[metric.of_case].id(), metric.metric);
    const DistributionError e = distribution_error(metric.predicted, metric.measured, true);
    errors += fmt::format("{},{},{:.4f}", name, metric.predicted.size(), e.kolmogorov);
    for (const double percent : e.signed_percent) errors += fmt::format(",{:.2f}", percent);
    errors += e.rank_correlation ? fmt::format(",{:.3f}\n", *e.rank_correlation) : ",\n";
    const std::vector<double> predicted = per_cent_points(metric.predicted);
    const std::vector<double> measured = per_cent_points(metric.measured);
    for (std::size_t i = 0; i < predicted.size(); ++i)
      quantiles += fmt::format("{},{},{:.6g},{:.6g}\n", name, i, predicted[i], measured[i]);
  }
  write_text_file((folder / "distributions.csv").string(), errors);
  write_text_file((folder / "quantiles.csv").string(), quantiles);
}

}  // namespace kvsim
