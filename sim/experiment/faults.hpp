// What breaks during a run, and when. The configuration lists faults, each once at a time or again
// and again at a mean rate; a schedule turns them into an ordered stream of begins and ends, drawn
// from streams of their own; an injector carries them out in simulated time.
//
//   "faults": [{"kind": "replica-crash", "target": "random", "rate": {"mean_between_s": 600},
//               "duration_s": 120},
//              {"kind": "link-degradation", "target": "node1", "at_s": 300, "factor": 0.1,
//               "duration_s": 60}]
//
// Leaves out: faults that cause others (a lost node's replicas are its own affair: FaultTargets),
// durations that are drawn, targets that wear out.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/base/rng.hpp"
#include "sim/des/world.hpp"

namespace kvsim {

enum class FaultKind : std::uint8_t {
  kReplicaCrash,     // its process ends; HBM is lost
  kNodeLoss,         // a machine with all that runs on it
  kStoreRestart,     // a store's process is away, then back with what it kept, or empty
  kLinkDegradation,  // a node's network cards keep a share of their rate
  kSlowDisk,         // a disk keeps a share of its speed
  kPartition,        // nothing passes between some nodes and the others
};
inline constexpr std::size_t kFaultKinds = 6;
// As configurations call it.
const char* name_of(FaultKind kind);

struct FaultRate {
  Seconds mean_between{0};
  template <class F>
  void fields(F& f) {
    f.required("mean_between_s", mean_between, Range{1e-6, 1e12},
               "Between two begins, on average; exponentially distributed.");
  }
};

struct FaultConfig {
  std::string kind;
  Json target = "random";
  std::optional<Seconds> at;
  std::optional<FaultRate> rate;
  std::optional<Seconds> duration;
  std::optional<double> factor;
  std::string cache = "cold";

  template <class F>
  void fields(F& f) {
    f.choice("kind", kind, kinds(), "What breaks.");
    f.optional("target", target,
               "Name or number of a replica, node, store or disk, or \"random\": another one each "
               "time. For network-partition also a list of nodes.");
    f.optional("at_s", at, Range{0, 1e12}, "When it begins, once.");
    f.optional("rate", rate, "Instead: again and again.");
    f.optional("duration_s", duration, Range{0, 1e12},
               "Until it is over. Default: for ever; a store-restart: at once.");
    f.optional("factor", factor, Range{1e-9, 1},
               "What is left of the rate (link-degradation) or speed (slow-disk).");
    f.choice("cache", cache, {"cold", "warm"},
             "store-restart: warm keeps what the store had written, cold comes back empty.");
    if constexpr (std::same_as<F, FieldReader>) check();
  }

  static std::vector<std::string> kinds();
  [[nodiscard]] FaultKind what() const;

 private:
  void check() const;
};

// What clients do with a request that failed.
struct RetryConfig {
  std::int64_t attempts = 1;
  Seconds backoff{1};
  double backoff_factor = 2;

  template <class F>
  void fields(F& f) {
    f.optional("attempts", attempts, Range{1, 1e6}, "How often a request is sent at most.");
    f.optional("backoff_s", backoff, Range{0, 1e6}, "Before it is sent again. Default: assumed.");
    f.optional("backoff_factor", backoff_factor, Range{1, 100},
               "By which every further wait is longer. Default: assumed.");
  }
  // Before the next attempt after `made` have failed, made > 0; nothing: the client gives up.
  [[nodiscard]] std::optional<Seconds> wait_after(std::int64_t made) const;
};

// What there is to break, by name; a fault's target is an index into one of these. Names of one
// list differ.
struct FaultNames {
  std::vector<std::string> replicas;
  std::vector<std::string> nodes;
  std::vector<std::string> stores;
  std::vector<std::string> disks;
  [[nodiscard]] const std::vector<std::string>& of(FaultKind kind) const;
};

struct FaultEvent {
  Seconds at{0};
  bool begins = true;
  FaultKind kind = FaultKind::kReplicaCrash;
  std::vector<std::int32_t> targets;  // one, but for partitions
  double factor = 1;
  bool warm = false;
};

// All begins and ends in order of time; at the same instant ends come first, then begins in order
// of configuration. Endless when a fault has a rate.
class FaultSchedule {
 public:
  // ConfigError for targets that there are not.
  FaultSchedule(const std::vector<FaultConfig>& faults, const FaultNames& names,
                std::uint64_t seed);
  [[nodiscard]] std::optional<FaultEvent> next();

 private:
  struct Source {
    FaultKind kind;
    std::vector<std::int32_t> targets;  // empty: random
    std::int32_t choices;
    std::optional<Seconds> begin;  // the next one
    std::optional<FaultRate> rate;
    std::optional<Seconds> duration;
    double factor;
    bool warm;
    Rng when;
    Rng which;
  };
  FaultEvent begin_of(Source& source);
  void add_end(FaultEvent event, Seconds duration);

  std::vector<Source> sources_;
  std::vector<FaultEvent> ends_;  // by time, the last one first
};

// What can be broken. Each is called once when it breaks and once when it works again, however many
// faults overlap on it. A replica may crash on a node that is lost, and come back there: it stays
// away until both are restored. Replicas that were never started may crash: nothing happens then.
class FaultTargets {
 public:
  virtual ~FaultTargets() = default;
  [[nodiscard]] virtual FaultNames names() const = 0;
  virtual void crash_replica(std::int32_t replica) = 0;
  virtual void restore_replica(std::int32_t replica) = 0;
  virtual void lose_node(std::int32_t node) = 0;
  virtual void restore_node(std::int32_t node) = 0;
  virtual void stop_store(const std::string& store) = 0;
  // `warm`: with what it had written; else empty.
  virtual void restart_store(const std::string& store, bool warm) = 0;
  // These two are told the share that is left from now on, 1 = whole.
  virtual void degrade_link(std::int32_t node, double share) = 0;
  virtual void slow_disk(const std::string& disk, double share) = 0;
  // Nothing passes between `nodes` and the others, from now on or no longer.
  virtual void partition(const std::vector<std::int32_t>& nodes, bool cut) = 0;
};

// Carries a schedule out. Of faults that overlap on one target the worst holds, and the last to end
// ends it; a store that one of them leaves cold is cold.
class FaultInjector {
 public:
  FaultInjector(World& world, FaultSchedule schedule, FaultTargets& targets);
  void start();
  // Nothing is broken or restored any more: a world whose faults have a rate would never end.
  void stop();
  // So far, overlapping ones too.
  [[nodiscard]] std::int64_t begun(FaultKind kind) const {
    return begun_[static_cast<std::size_t>(kind)];
  }

 private:
  // What is wrong with one target: the factors of the faults on it.
  struct Trouble {
    std::vector<double> factors;
    bool cold = false;
    [[nodiscard]] double worst() const;
  };
  struct Cut {
    std::vector<std::int32_t> nodes;
    std::int64_t faults = 0;
  };
  void wake(Seconds now);
  void arm();
  void apply(const FaultEvent& event);
  void apply_cut(const FaultEvent& event);
  void act(const FaultEvent& event, const Trouble& trouble);

  FaultSchedule schedule_;
  FaultTargets& targets_;
  FaultNames names_;
  std::optional<FaultEvent> next_;
  std::array<std::vector<Trouble>, kFaultKinds> troubles_;  // by target
  std::vector<Cut> cuts_;
  std::array<std::int64_t, kFaultKinds> begun_{};
  Timer timer_;
};

}  // namespace kvsim
