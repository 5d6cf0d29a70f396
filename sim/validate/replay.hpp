// The very requests of a published run, served again: where the answer times of every request are
// known, distributions are compared, not only means.
//
// A template's "replay" (docs/validation.md) names the file of a case and what lies in it, and what
// the case's experiment becomes when the file's requests are its workload.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "sim/report/request_record.hpp"
#include "sim/validate/distribution_error.hpp"
#include "sim/validate/study.hpp"

namespace kvsim {

// A duration in a file of records: a field, or the time between two, in seconds.
struct MeasuredTime {
  std::string field;
  std::string from;
  std::string to;

  template <class F>
  void fields(F& f) {
    f.optional("field", field, "A duration in s.");
    f.optional("from", from, "Or a time in s ...");
    f.optional("to", to, "... and a later one.");
  }
};

struct MeasuredFile {
  MeasuredTime ttft;
  MeasuredTime e2e;
  std::string error;

  template <class F>
  void fields(F& f) {
    f.required("ttft", ttft, "Time to first token.");
    f.required("e2e", e2e, "Time to the last one.");
    f.optional("error", error, "A field that is 0 unless the request failed: such are left out.");
  }
};

struct Replay {
  std::size_t of_case = 0;  // index into the cases
  std::string name;         // folder of its results
  Json experiment;
  std::string file;
  MeasuredFile measured;
};

// Of those `runs` of `study` that are chosen and have a file. None for a study without "replay".
[[nodiscard]] std::vector<Replay> plan_replays(const Study& study,
                                               const std::vector<PlannedRun>& runs,
                                               const std::vector<ValidationCase>& cases,
                                               const std::string& per_request);

// One metric of one replay; values in s, of the same requests in the same order.
struct ReplayedMetric {
  std::size_t of_case = 0;
  std::string metric;
  std::vector<double> predicted;
  std::vector<double> measured;
};

// `requests` as simulated, in any order; those that failed here or there are left out. Throws
// TraceError for a file that is not as the template says.
[[nodiscard]] std::vector<ReplayedMetric> compare_replay(const Replay& replay,
                                                         std::vector<RequestRecord> requests);

// distributions.csv: Kolmogorov distance, errors of quantiles, rank correlation for each metric;
// and for plots quantiles.csv, both distributions at every per cent.
void write_distributions(const std::filesystem::path& folder,
                         const std::vector<ValidationCase>& cases,
                         const std::vector<ReplayedMetric>& metrics);

}  // namespace kvsim
