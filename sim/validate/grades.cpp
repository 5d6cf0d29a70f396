#include "sim/validate/grades.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/validate/template.hpp"

namespace kvsim {

namespace {

struct Result {
  const ValidationCase* of;
  double predicted;
  double actual;
};

int sign(double value) { return value > 0 ? 1 : value < 0 ? -1 : 0; }

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const std::size_t half = values.size() / 2;
  std::sort(values.begin(), values.end());
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// The first prediction of the metric of each case that was measured.
std::map<std::size_t, Result> results_of(const std::vector<ValidationCase>& cases,
                                         const std::vector<Prediction>& predictions,
                                         const std::string& metric) {
  std::map<std::size_t, Result> out;
  for (const Prediction& p : predictions)
    if (p.metric == metric && p.predicted && p.actual)
      out.emplace(p.of_case, Result{&cases[p.of_case], *p.predicted, *p.actual});
  return out;
}

// Results whose cases agree in what "within" names.
std::map<std::string, std::vector<Result>> groups_of(const ConfigNode& grade, const Study& study,
                                                     const std::map<std::size_t, Result>& results,
                                                     Patterns& patterns) {
  std::map<std::string, std::vector<Result>> out;
  const ConfigNode within = grade.at("within");
  within.expect_array();
  for (const auto& [index, result] : results) {
    if (!study.serves(result.of->study())) continue;
    std::string key(result.of->study());
    for (std::size_t i = 0; i < within.json().size(); ++i) {
      const Json part = within.json().at(i).is_string()
                            ? Json({{"$column", within.at(i).text()}, {"default", ""}})
                            : within.json().at(i);
      const ConfigNode node(part, study.file(), within.at(i).path());
      key += "\n" + fill_template(node, {{result.of}, Json(), ""}, patterns).dump();
    }
    out[key].push_back(result);
  }
  return out;
}

bool is_base(const ConfigNode& against, const ValidationCase& of, Patterns& patterns) {
  against.expect_object();
  for (const auto& [column, pattern] : against.json().items()) {
    const std::string text(of.at(column));
    if (!std::regex_search(text, patterns.of(against.at(column)))) return false;
  }
  return true;
}

class StudyCount {
 public:
  explicit StudyCount(std::string study) { grade_.study = std::move(study); }

  void gain(const Result& base, const Result& other) {
    const double actual = other.actual / base.actual - 1;
    const double predicted = other.predicted / base.predicted - 1;
    if (!(std::abs(actual) > kNoise)) return;
    ++grade_.gains;
    grade_.right_signs += sign(actual) == sign(predicted) ? 1 : 0;
    gaps_.push_back(std::abs(predicted - actual));
  }

  void order(const Result& a, const Result& b) {
    if (a.actual == b.actual) return;
    const int agreement = sign(a.actual - b.actual) * sign(a.predicted - b.predicted);
    ++grade_.ordered;
    all_ += agreement;
    if (std::abs(a.actual - b.actual) <= kNoise * std::max(a.actual, b.actual)) return;
    ++grade_.ordered_clear;
    clear_ += agreement;
  }

  void peak(bool near) {
    ++grade_.peaks;
    grade_.near_peaks += near ? 1 : 0;
  }

  StudyGrade take() {
    grade_.gain_gap = median(std::move(gaps_));
    if (grade_.ordered > 0) grade_.kendall_tau = all_ / static_cast<double>(grade_.ordered);
    if (grade_.ordered_clear > 0)
      grade_.kendall_tau_clear = clear_ / static_cast<double>(grade_.ordered_clear);
    return std::move(grade_);
  }

 private:
  StudyGrade grade_;
  std::vector<double> gaps_;
  double all_ = 0;
  double clear_ = 0;
};

void count_pairs(const ConfigNode& grade, const std::vector<Result>& group, StudyCount& count,
                 Patterns& patterns) {
  for (std::size_t i = 0; i < group.size(); ++i)
    for (std::size_t j = 0; j < group.size(); ++j) {
      if (grade.has("rank") && grade.at("rank").boolean() && i < j) count.order(group[i], group[j]);
      if (!grade.has("gain_against") || i == j) continue;
      const ConfigNode against = grade.at("gain_against");
      if (is_base(against, *group[i].of, patterns) && !is_base(against, *group[j].of, patterns))
        count.gain(group[i], group[j]);
    }
}

// The level's place among the run's, the nearest one for a level that is none of them.
std::ptrdiff_t place(const std::vector<std::string>& levels, double level) {
  std::ptrdiff_t best = 0;
  double least = 1e300;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const Json number = number_or_text(levels[i]);
    const double distance = number.is_number() ? std::abs(number.get<double>() - level) : 1e300;
    if (distance >= least) continue;
    least = distance;
    best = static_cast<std::ptrdiff_t>(i);
  }
  return best;
}

}  // namespace

std::vector<StudyGrade> grade(const std::vector<Study>& studies,
                              const std::vector<PlannedRun>& runs,
                              const std::vector<ValidationCase>& cases,
                              const std::vector<Prediction>& predictions) {
  std::map<std::string, StudyCount> counts;
  const auto count_of = [&](std::string_view study) -> StudyCount& {
    return counts.try_emplace(std::string(study), std::string(study)).first->second;
  };
  Patterns patterns;
  for (const Study& study : studies) {
    const ConfigNode root(study.json(), study.file());
    if (!root.has("grade") || !root.at("grade").has("within")) continue;
    const ConfigNode grade = root.at("grade");
    const std::string metric =
        grade.has("metric") ? grade.at("metric").text() : "output_throughput";
    for (const auto& [key, group] :
         groups_of(grade, study, results_of(cases, predictions, metric), patterns))
      count_pairs(grade, group, count_of(group.front().of->study()), patterns);
  }
  const auto peaks = results_of(cases, predictions, "peak_level");
  for (const PlannedRun& run : runs)
    for (const CaseCut& cut : run.cuts)
      if (const auto found = peaks.find(cut.of_case); found != peaks.end())
        count_of(run.study).peak(std::abs(place(run.levels, found->second.predicted) -
                                          place(run.levels, found->second.actual)) <= 1);
  std::vector<StudyGrade> out;
  for (auto& [study, count] : counts) out.push_back(count.take());
  return out;
}

std::string grade_table(const std::vector<StudyGrade>& grades) {
  std::string out;
  for (const StudyGrade& g : grades) {
    if (g.gains > 0)
      out += fmt::format("{}: sign of the gain right in {} of {} pairs, median distance {:.1f} %\n",
                         g.study, g.right_signs, g.gains, 100 * g.gain_gap);
    if (g.ordered > 0)
      out += fmt::format(
          "{}: Kendall tau {:.2f} over {} pairs, {:.2f} over {} that differ by more than {:.0f} "
          "%\n",
          g.study, g.kendall_tau, g.ordered, g.kendall_tau_clear, g.ordered_clear, 100 * kNoise);
    if (g.peaks > 0)
      out += fmt::format("{}: level of the peak within one step in {} of {} curves\n", g.study,
                         g.near_peaks, g.peaks);
  }
  return out;
}

std::string markdown_grades(const std::vector<StudyGrade>& grades) {
  std::string out =
      "| study | sign of the gain right | Kendall tau | of pairs that differ clearly | peak within "
      "one step |\n|---|---|---|---|---|\n";
  for (const StudyGrade& g : grades) {
    if (g.gains + g.ordered + g.peaks == 0) continue;
    const auto share = [](std::size_t of, std::size_t all) {
      return all > 0 ? fmt::format("{} of {}", of, all) : "";
    };
    const auto tau = [](double value, std::size_t pairs) {
      return pairs > 0 ? fmt::format("{:.2f} ({})", value, pairs) : "";
    };
    out += fmt::format("| {} | {} | {} | {} | {} |\n", g.study, share(g.right_signs, g.gains),
                       tau(g.kendall_tau, g.ordered), tau(g.kendall_tau_clear, g.ordered_clear),
                       share(g.near_peaks, g.peaks));
  }
  return out;
}

Json grades_json(const std::vector<StudyGrade>& grades) {
  Json out = Json::array();
  for (const StudyGrade& g : grades)
    out.push_back({{"study", g.study},
                   {"gains", g.gains},
                   {"right_signs", g.right_signs},
                   {"gain_gap", g.gain_gap},
                   {"ordered", g.ordered},
                   {"kendall_tau", g.kendall_tau},
                   {"ordered_clear", g.ordered_clear},
                   {"kendall_tau_clear", g.kendall_tau_clear},
                   {"peaks", g.peaks},
                   {"near_peaks", g.near_peaks}});
  return out;
}

}  // namespace kvsim
