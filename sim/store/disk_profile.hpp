// What is known of a drive or a volume: models/disk/*.json. Every figure of a file is named by one
// of its sources, assumed ones included; that is checked when it is read.
//
// A plug-in's options are the profile's figures, each of which the configuration may replace.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/perf/provenance.hpp"

namespace kvsim {

// A solid-state drive. Defaults are neutral: what a file does not state does nothing.
struct NvmeFigures {
  Bytes capacity{1'000'000'000'000};
  Bandwidth read{7e9};
  Bandwidth write{5e9};
  double read_iops = 1e6;
  double write_iops = 2e5;
  Seconds read_latency{80e-6};
  Seconds write_latency{15e-6};
  Seconds large_read{0};
  double read_spread = 1;
  double write_spread = 1;
  double mixing_penalty = 0;
  Bytes write_buffer{0};
  Bandwidth sustained_write{0};
  Bandwidth buffer_drain{0};
  double write_amplification = 1;
  double random_write_amplification = 1;
  double drive_writes_per_day = 0;

  template <class F>
  void fields(F& f) {
    f.optional("capacity_bytes", capacity, Range{1, 1e18}, "Bytes that it takes.");
    f.optional("read_bytes_per_s", read, Range{1e3, 1e13}, "Reads with enough in flight.");
    f.optional("write_bytes_per_s", write, Range{1e3, 1e13}, "Writes with enough in flight.");
    f.optional("read_iops", read_iops, Range{1, 1e10}, "Small reads a second.");
    f.optional("write_iops", write_iops, Range{1, 1e10}, "Small writes a second.");
    f.optional("read_latency_s", read_latency, Range{0, 10},
               "Small read, idle: to its first byte.");
    f.optional("write_latency_s", write_latency, Range{0, 10}, "Write, idle: beside its transfer.");
    f.optional(
        "large_read_s", large_read, Range{0, 10},
        "Added for reads of 1 MiB and more in flight (the slowest of many dies, and the file "
        "system); below, in proportion from 128 KiB.");
    f.optional("read_spread", read_spread, Range{1, 100}, "p99 over p50 of a read's time, alone.");
    f.optional("write_spread", write_spread, Range{1, 100}, "The same of a write's.");
    f.optional("mixing_penalty", mixing_penalty, Range{0, 10},
               "Small requests cost 1 + this while the other direction is active.");
    f.optional("write_buffer_bytes", write_buffer, Range{0, 1e15},
               "Written at full rate before writes fall to the sustained one; 0 = no decline.");
    f.optional("sustained_write_bytes_per_s", sustained_write, Range{0, 1e13},
               "Writes once the buffer is full.");
    f.optional("buffer_drain_bytes_per_s", buffer_drain, Range{0, 1e13},
               "How fast the buffer empties while nothing is written.");
    f.optional("write_amplification", write_amplification, Range{1, 100},
               "Flash bytes per byte of large writes.");
    f.optional("random_write_amplification", random_write_amplification, Range{1, 100},
               "Flash bytes per byte of small writes.");
    f.optional("drive_writes_per_day", drive_writes_per_day, Range{0, 1000},
               "Rated endurance; 0 = not stated.");
  }
  // ConfigError when figures contradict each other.
  void check(const std::string& where) const;
};

// A provider's block volume: caps, fixed or by size. Of those given, the smaller holds.
struct VolumeFigures {
  Bytes capacity{1'000'000'000'000};
  double iops = 0;
  double iops_per_gb = 0;
  double iops_most = 0;
  Bytes operation{262'144};
  Bandwidth rate{0};
  double rate_per_gb = 0;
  Bandwidth rate_most{0};
  Bandwidth write_rate{0};
  Seconds read_latency{1e-3};
  Seconds write_latency{1e-3};
  double read_spread = 1;
  double write_spread = 1;
  Bandwidth burst{0};
  Bytes burst_credit{0};

  template <class F>
  void fields(F& f) {
    f.optional("capacity_bytes", capacity, Range{1, 1e18}, "Size, as provisioned.");
    f.optional("iops", iops, Range{0, 1e9}, "Operations a second; 0 = by size, or no cap.");
    f.optional("iops_per_gb", iops_per_gb, Range{0, 1e6}, "Operations a second per 1e9 bytes.");
    f.optional("iops_most", iops_most, Range{0, 1e9}, "The most that size brings; 0 = no limit.");
    f.optional("operation_bytes", operation, Range{512, 1e9}, "The most that counts as one.");
    f.optional("bytes_per_s", rate, Range{0, 1e13}, "Throughput; 0 = by size, or no cap.");
    f.optional("bytes_per_s_per_gb", rate_per_gb, Range{0, 1e12}, "Throughput per 1e9 bytes.");
    f.optional("bytes_per_s_most", rate_most, Range{0, 1e13},
               "The most that size brings; 0 = no limit.");
    f.optional("write_bytes_per_s", write_rate, Range{0, 1e13},
               "Writes, where lower; 0 = as read.");
    f.optional("read_latency_s", read_latency, Range{0, 10}, "To the first byte.");
    f.optional("write_latency_s", write_latency, Range{0, 10}, "Beside the transfer.");
    f.optional("read_spread", read_spread, Range{1, 100},
               "p99 over p50 of what one read among others takes.");
    f.optional("write_spread", write_spread, Range{1, 100}, "The same of a write.");
    f.optional("burst_bytes_per_s", burst, Range{0, 1e13},
               "Throughput while credit lasts; 0 = no bursts.");
    f.optional("burst_credit_bytes", burst_credit, Range{0, 1e15},
               "Credit when full; comes back at bytes_per_s while the volume is idle.");
  }
  // Caps of this size; 0 = none.
  [[nodiscard]] double iops_cap() const;
  [[nodiscard]] Bandwidth rate_cap() const;
  void check(const std::string& where) const;
};

// Where the figures of these names come from.
struct FigureSource {
  std::vector<std::string> figures;
  Provenance provenance;
  template <class F>
  void fields(F& f) {
    f.required("of", figures, "Names of figures.");
    provenance.fields(f);
  }
};

struct DiskProfile {
  std::string schema;
  std::string name;
  std::vector<std::string> aliases;
  std::optional<NvmeFigures> nvme;  // exactly one of the two
  std::optional<VolumeFigures> volume;
  std::vector<FigureSource> sources;

  template <class F>
  void fields(F& f) {
    f.choice("schema", schema, {"kvsim.disk/1"}, "What this file is.");
    f.required("name", name, "The profile's name: that of its file.");
    f.optional("aliases", aliases, "Other names in use.");
    f.optional("nvme", nvme, "A solid-state drive.");
    f.optional("volume", volume, "A provider's volume.");
    f.required("provenance", sources, "Sources, each with the figures it gives.");
  }
  void check(const ConfigNode& node) const;
};

DiskProfile load_disk(const std::string& name);
// ConfigError when the profile is of the other sort.
NvmeFigures load_nvme(const std::string& name);
VolumeFigures load_volume(const std::string& name);

}  // namespace kvsim
