// A machine: its cores and memory, which every copy and computation on it shares, its DRAM budget
// and its disks. Engines, clients, stores and gateways that run on one machine share one Host.
//
// A thread spends time here, it is not made here: who has threads owns them (Threads) and holds one
// while it calls compute() or copy().
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/des/shared_server.hpp"
#include "sim/des/tasks.hpp"
#include "sim/store/disk.hpp"
#include "sim/store/host_services.hpp"
#include "sim/store/live_lanes.hpp"
#include "sim/store/processor.hpp"

namespace kvsim {

// Rates of a processor. Defaults: spec/perf_model.md section 4.1 (a core copies 8 to 15 GB/s,
// 8-channel DDR4-3200 gives about 80 % of 205 GB/s), spec/kvrocks_rocksdb.md section 1 (5 to 10
// GB/s). UNCERTAIN there, hence options; calibration measures them.
struct CpuOptions {
  std::int64_t cores = 64;
  Bandwidth copy{8e9};
  Bandwidth memory{160e9};
  Bandwidth fresh{0};
  template <class F>
  void fields(F& f) {
    f.optional("cores", cores, Range{1, 4096}, "Cores of a node.");
    f.optional("copy_bytes_per_s", copy, Range{1e8, 1e12},
               "One thread's memcpy of large blocks, payload. Default: assumed.");
    f.optional("memory_bytes_per_s", memory, Range{1e9, 1e14},
               "Memory bandwidth of a node, reads and writes together. Default: assumed.");
    f.optional("fresh_bytes_per_s", fresh, Range{0, 1e12},
               "One thread's rate of first touching new pages, which the kernel has to find and "
               "zero, and of giving them back; 0 = costs nothing.");
  }
};

// Who holds how much of a machine's DRAM. What is left is page cache.
class Dram {
 public:
  Dram(std::string host, Bytes total) : host_(std::move(host)), total_(total) {}
  // ConfigError naming every holder when it is over the total (0 = not stated: no limit).
  void hold(const std::string& who, Bytes bytes);
  [[nodiscard]] Bytes total() const { return total_; }
  [[nodiscard]] Bytes held() const;
  // For the page cache; a machine whose DRAM is not stated has none.
  [[nodiscard]] Bytes left() const;

 private:
  struct Holder {
    std::string who;
    Bytes bytes;
  };
  std::string host_;
  Bytes total_;
  std::vector<Holder> holders_;
};

class Host {
 public:
  Host(Tasks& tasks, std::string name, const CpuOptions& cpu, Bytes dram);

  // One thread works: awaitable.
  auto compute(Seconds work) { return processor_.compute(work); }
  // One thread copies `bytes`, `copies` times over. It runs on a core meanwhile.
  [[nodiscard]] Task copy(Bytes bytes, double copies);
  // One thread gets pages that were not its own before, and gives them back: awaitable. Beside the
  // copy that fills them.
  auto touch(Bytes bytes) { return processor_.compute(touch_time(bytes)); }
  [[nodiscard]] Seconds touch_time(Bytes bytes) const {
    return cpu_.fresh > Bandwidth(0) ? bytes / cpu_.fresh : Seconds(0);
  }
  // What copy() takes on an idle machine.
  [[nodiscard]] Seconds copy_time(Bytes bytes, double copies) const {
    return Seconds(bytes.real() * copies / cpu_.copy.count());
  }

  void add_disk(const std::string& name, std::unique_ptr<Disk> disk);
  // nullptr when there is none of that name.
  [[nodiscard]] Disk* disk(const std::string& name);
  [[nodiscard]] std::vector<std::string> disk_names() const;

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const CpuOptions& cpu() const { return cpu_; }
  [[nodiscard]] Processor& processor() { return processor_; }
  [[nodiscard]] Dram& dram() { return dram_; }
  [[nodiscard]] HostServices& services() { return services_; }
  // Live lanes of this machine; none unless set.
  [[nodiscard]] LiveGauge& live() { return live_; }
  [[nodiscard]] const LiveGauge& live() const { return live_; }
  [[nodiscard]] Tasks& tasks() { return tasks_; }
  [[nodiscard]] std::vector<ResourceUse> resources() const;

 private:
  struct NamedDisk {
    std::string name;
    std::unique_ptr<Disk> disk;
  };
  Tasks& tasks_;
  std::string name_;
  CpuOptions cpu_;
  Dram dram_;
  Processor processor_;
  std::vector<NamedDisk> disks_;
  HostServices services_;
  LiveGauge live_;
};

}  // namespace kvsim
