// Whether predictions decide as measurements do: does a tier help, which configuration is better,
// at how many streams is a system's peak. What is compared is the template's word:
//
//   "grade": {
//     "within": ["model", "workload", "load_level"],    columns (or holes) that must agree
//     "gain_against": {"tier_config": "^GPU only"},     the configuration that gains are over
//     "rank": true,                                     order of all configurations
//     "metric": "output_throughput",                    the default
//     "peak_level": {"$column": "load_level", "pattern": "c(\\d+)"}
//   }
//
// Differences of at most 5 % are noise in what was measured (repeats differ by 0.8 to 2 %): such
// pairs do not count for signs, and apart for ranks.
#pragma once

#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/validate/prediction.hpp"
#include "sim/validate/study.hpp"

namespace kvsim {

inline constexpr double kNoise = 0.05;

// Of one study; counts of 0 where the template does not ask, or nothing was measured.
struct StudyGrade {
  std::string study;
  std::size_t gains = 0;  // pairs whose measured gain is above the noise
  std::size_t right_signs = 0;
  double gain_gap = 0;            // median distance of predicted and measured gain, as a share
  std::size_t ordered = 0;        // pairs of unequal measurements
  double kendall_tau = 0;         // over them
  std::size_t ordered_clear = 0;  // pairs that differ by more than the noise
  double kendall_tau_clear = 0;
  std::size_t peaks = 0;
  std::size_t near_peaks = 0;  // within one step of the levels
};

[[nodiscard]] std::vector<StudyGrade> grade(const std::vector<Study>& studies,
                                            const std::vector<PlannedRun>& runs,
                                            const std::vector<ValidationCase>& cases,
                                            const std::vector<Prediction>& predictions);

[[nodiscard]] std::string grade_table(const std::vector<StudyGrade>& grades);
// A line for each study: signs, ranks, peaks.
[[nodiscard]] std::string markdown_grades(const std::vector<StudyGrade>& grades);
[[nodiscard]] Json grades_json(const std::vector<StudyGrade>& grades);

}  // namespace kvsim
