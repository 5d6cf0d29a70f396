// A study of disks: a template of kind "disk" says which of our disks each row was, and how it was
// loaded; the disk is simulated under that load, no engine is involved.
//
//   "disk": {"disk": {"kind": "nvme", "profile": ...}, "request_bytes": ..., "jobs": ...,
//            "duration_s": ..., "load": "read", "side": "read", "mixed_reads": 0.75,
//            "megabyte_bytes": 1048576}
//
// Metrics are bandwidth, iops and latency. Words before them say the load ("read_", "write_",
// "mixed_read_": the reads of a mixed load); without them it is that of `load` and `side`.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/validate/case.hpp"
#include "sim/validate/storage_load.hpp"

namespace kvsim {

struct StorageCaseConfig {
  Json disk;
  Bytes request{0};
  std::int64_t jobs = 1;
  Seconds duration{0};
  std::string load = "read";
  std::string side = "read";
  double mixed_reads = 0.75;
  double megabyte = 1e6;

  template <class F>
  void fields(F& f) {
    f.required("disk", disk, "A disk, as in an experiment's node.");
    f.required("request_bytes", request, Range{512, 1e12}, "Of one read or write.");
    f.required("jobs", jobs, Range{1, 1e5}, "Each with one request in flight.");
    f.required("duration_s", duration, Range{1e-3, 1e6}, "Of each load.");
    f.choice("load", load, {"read", "write", "mixed"}, "Of metrics that do not name theirs.");
    f.choice("side", side, {"read", "write"}, "Which part of that load they mean.");
    f.optional("mixed_reads", mixed_reads, Range{0, 1}, "Share of reads in a mixed load.");
    f.optional("megabyte_bytes", megabyte, Range{1e6, 1048576},
               "What the study calls one (a gigabyte is 1,000 of them).");
  }
};

class StorageStudy {
 public:
  // Simulates the loads of `cases`. Makes a World: once a process. Throws ConfigError.
  StorageStudy(const Json& study, const std::string& file,
               const std::vector<const ValidationCase*>& cases, std::uint64_t seed = 1);

  // As measure() of counting.hpp. Nothing for a case that was not simulated, or another metric.
  [[nodiscard]] std::optional<double> measure(std::string_view case_id, std::string_view metric,
                                              std::string_view stat, std::string_view unit) const;

 private:
  struct Case {
    StorageCaseConfig config;
    std::size_t first = 0;  // of its loads, in the order of kLoads
  };
  std::map<std::string, Case, std::less<>> cases_;
  std::vector<StorageOutcome> outcomes_;
};

}  // namespace kvsim
