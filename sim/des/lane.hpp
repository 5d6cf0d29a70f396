// Resources that serve one job after another.
//
// Lane: a FIFO over a path of links; one transfer at a time (a copy engine). CpuLane: a FIFO served
// by k equal processes (an API server's workers); its times are known when a job enters, so it
// needs no event. DuplexLink: the two directions of a host link, which slow each other down when
// both are busy (spec/perf_model.md section 4.1).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "sim/des/world.hpp"

namespace kvsim {

// What a resource has done so far, for the summary.
struct ResourceUse {
  std::string name;
  std::string kind;  // "pcie", "cpu", "gpu", ...
  std::int32_t servers = 1;
  Seconds busy{0};  // summed over servers
  Bytes bytes{0};
};

class DuplexLink {
 public:
  enum Direction : std::uint8_t { kUp = 0, kDown = 1 };  // up: device to host; down: host to device
  struct Rates {
    Bandwidth alone{0};     // this direction, the other idle
    Bandwidth together{0};  // this direction, both busy
  };

  DuplexLink(World& world, const std::string& name, Rates up, Rates down);
  [[nodiscard]] World::LinkId link(Direction direction) const { return links_[direction]; }

  // Transfers announce themselves, so that the coupling can be applied.
  void begin(Direction direction);
  void end(Direction direction);

 private:
  void apply();
  World& world_;
  World::LinkId links_[2];
  Rates rates_[2];
  std::int32_t active_[2] = {0, 0};
  bool coupled_ = false;
};

class Lane {
 public:
  struct Job {
    Seconds setup{0};         // launching, before the first byte
    Bytes bytes{0};           // > 0
    Bandwidth rate_limit{0};  // cap of this job alone, 0 = none (small descriptors)
    World::Done done;
  };

  // A lane over `links`, and a link of its own for rate limits. `duplex` may be null: then nothing
  // is coupled.
  Lane(World& world, std::string name, std::string kind, std::vector<World::LinkId> links,
       DuplexLink* duplex, DuplexLink::Direction direction);

  // A live lane: told of each copy when it would have ended, and after how long; says how much
  // longer it takes. Null: nobody.
  using Live = std::function<Seconds(Bytes bytes, Seconds took)>;
  void set_live(Live live) { live_ = std::move(live); }

  void submit(Job job);
  [[nodiscard]] std::size_t waiting() const { return jobs_.size(); }
  [[nodiscard]] const ResourceUse& use() const { return use_; }

 private:
  static constexpr double kUnlimited = 1e15;  // bytes per second
  void start_next(Seconds now);
  void move_bytes(Seconds now);
  void arrived(Seconds now);
  void finish(Seconds now);

  World& world_;
  World::LinkId limiter_;
  World::PathId path_;
  Bandwidth limit_{kUnlimited};
  DuplexLink* duplex_;
  DuplexLink::Direction direction_;
  Timer setup_;
  Timer real_end_;
  Live live_;
  std::deque<Job> jobs_;  // front = running when busy_
  bool busy_ = false;
  Seconds started_{0};
  ResourceUse use_;
};

class CpuLane {
 public:
  CpuLane(std::string name, std::int32_t servers);
  // A job that enters now and needs `work` of one process: when it is done. FIFO.
  Seconds serve(Seconds now, Seconds work);
  // Work that all processes share evenly, in the queue like any job: when the last part is done.
  Seconds serve_by_all(Seconds now, Seconds work);
  [[nodiscard]] const ResourceUse& use() const { return use_; }

 private:
  std::vector<Seconds> free_at_;  // per process; a min-heap
  ResourceUse use_;
};

}  // namespace kvsim
