// Faults: their configuration, their schedule, and who is told what when they overlap.
#include "sim/experiment/faults.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

namespace kvsim {
namespace {

FaultNames some_names() {
  return {.replicas = {"r0", "r1", "r2", "r3"},
          .nodes = {"node0", "node1", "node2"},
          .stores = {"cache"},
          .disks = {"nvme0", "nvme1"}};
}

FaultConfig fault(const Json& json) { return read_config<FaultConfig>(ConfigNode(json, "test")); }
std::vector<FaultConfig> faults(const std::vector<Json>& list) {
  std::vector<FaultConfig> out;
  for (const Json& json : list) out.push_back(fault(json));
  return out;
}

// The first `count` events, or all.
std::vector<FaultEvent> events_of(const std::vector<Json>& list, std::size_t count = 1000,
                                  std::uint64_t seed = 1) {
  FaultSchedule schedule(faults(list), some_names(), seed);
  std::vector<FaultEvent> out;
  while (out.size() < count) {
    std::optional<FaultEvent> event = schedule.next();
    if (!event) break;
    out.push_back(std::move(*event));
  }
  return out;
}

std::string text_of(const FaultEvent& event) {
  return fmt::format("{} {}{} {}", event.at.count(), event.begins ? "+" : "-", name_of(event.kind),
                     event.targets.front());
}
std::vector<std::string> texts_of(const std::vector<FaultEvent>& events) {
  std::vector<std::string> out;
  for (const FaultEvent& event : events) out.push_back(text_of(event));
  return out;
}

using Texts = std::vector<std::string>;

const Json kCrash = {{"kind", "replica-crash"}, {"target", "r1"}, {"at_s", 10}, {"duration_s", 5}};
const Json kRate = {
    {"kind", "replica-crash"}, {"rate", {{"mean_between_s", 100}}}, {"duration_s", 30}};

Json with(Json json, const Json& more) {
  json.update(more);
  return json;
}

// -- Configuration --------------------------------------------------------------------------------

TEST(FaultConfig, RefusesWhatContradictsItself) {
  EXPECT_NO_THROW(fault(kCrash));
  EXPECT_NO_THROW(fault(kRate));
  const Json bad[] = {
      {{"at_s", 1}},
      {{"kind", "earthquake"}, {"at_s", 1}},
      {{"kind", "node-loss"}},
      with(kCrash, {{"rate", {{"mean_between_s", 1}}}}),
      with(kCrash, {{"factor", 0.5}}),
      with(kCrash, {{"cache", "warm"}}),
      with(kCrash, {{"target", {"r0", "r1"}}}),
      with(kCrash, {{"target", 1.5}}),
      {{"kind", "slow-disk"}, {"at_s", 1}},
      {{"kind", "slow-disk"}, {"at_s", 1}, {"factor", 0}},
      {{"kind", "network-partition"}, {"at_s", 1}, {"target", Json::array()}},
      {{"kind", "node-loss"}, {"rate", {{"mean_between_s", 0}}}},
  };
  for (const Json& json : bad) EXPECT_THROW(fault(json), ConfigError) << json;
}

TEST(FaultConfig, EchoMeansTheSameWhenReadAgain) {
  for (const Json& json : {kCrash, kRate}) {
    const Json echo = echo_config(fault(json));
    EXPECT_EQ(echo_config(fault(echo)), echo);
  }
  EXPECT_TRUE(schema_config<FaultConfig>()["properties"].contains("rate"));
}

TEST(FaultConfig, TargetsThatThereAreNotAreRefused) {
  EXPECT_THROW(events_of({with(kCrash, {{"target", "r7"}})}), ConfigError);
  EXPECT_THROW(events_of({with(kCrash, {{"target", 4}})}), ConfigError);
  EXPECT_THROW(events_of({with(kCrash, {{"target", -1}})}), ConfigError);
  EXPECT_NO_THROW(events_of({with(kCrash, {{"target", 3}})}));
  FaultNames nothing;
  EXPECT_THROW(FaultSchedule(faults({kRate}), nothing, 1), ConfigError);
}

TEST(RetryConfig, WaitsLongerEachTimeAndGivesUp) {
  const RetryConfig retry{.attempts = 3, .backoff = Seconds(0.5), .backoff_factor = 2};
  EXPECT_EQ(retry.wait_after(1), Seconds(0.5));
  EXPECT_EQ(retry.wait_after(2), Seconds(1));
  EXPECT_EQ(retry.wait_after(3), std::nullopt);
  EXPECT_EQ(RetryConfig{}.wait_after(1), std::nullopt);
}

// -- Schedule -------------------------------------------------------------------------------------

TEST(FaultSchedule, IsOrderedAndEndsAfterTheDuration) {
  EXPECT_EQ(
      texts_of(
          events_of({{{"kind", "slow-disk"}, {"target", "nvme1"}, {"at_s", 12}, {"factor", 0.1}},
                     kCrash,
                     {{"kind", "node-loss"}, {"target", 2}, {"at_s", 3}, {"duration_s", 20}},
                     {{"kind", "store-restart"}, {"target", "cache"}, {"at_s", 4}}})),
      (Texts{"3 +node-loss 2", "4 +store-restart 0", "4 -store-restart 0", "10 +replica-crash 1",
             "12 +slow-disk 1", "15 -replica-crash 1", "23 -node-loss 2"}));
}

TEST(FaultSchedule, EndsComeBeforeBeginsOfTheSameInstant) {
  EXPECT_EQ(
      texts_of(events_of({with(kCrash, {{"at_s", 15}}), kCrash, with(kCrash, {{"target", "r2"}})})),
      (Texts{"10 +replica-crash 1", "10 +replica-crash 2", "15 -replica-crash 1",
             "15 -replica-crash 2", "15 +replica-crash 1", "20 -replica-crash 1"}));
}

TEST(FaultSchedule, ARateBeginsAsOftenAsItSays) {
  const std::vector<FaultEvent> events = events_of({kRate}, 20'000);
  std::vector<double> begins;
  double last = 0;
  for (const FaultEvent& event : events) {
    EXPECT_GE(event.at.count(), last);
    last = event.at.count();
    if (event.begins) begins.push_back(last);
  }
  EXPECT_NEAR(begins.back() / static_cast<double>(begins.size()), 100, 3);  // 3 sigma
}

TEST(FaultSchedule, RandomTargetsAreEquallyLikely) {
  std::vector<int> hits(4, 0);
  for (const FaultEvent& event : events_of({kRate}, 8'000))
    if (event.begins) ++hits[static_cast<std::size_t>(event.targets.front())];
  for (const int count : hits) EXPECT_NEAR(count, 1000, 110);  // 4 sigma
}

TEST(FaultSchedule, EndsHitWhatTheirBeginHit) {
  std::vector<int> down(4, 0);
  for (const FaultEvent& event : events_of({kRate, kRate, kRate}, 5'000)) {
    int& count = down[static_cast<std::size_t>(event.targets.front())];
    count += event.begins ? 1 : -1;
    EXPECT_GE(count, 0);
  }
}

TEST(FaultSchedule, EqualSeedsGiveEqualFaults) {
  EXPECT_EQ(texts_of(events_of({kRate}, 500, 3)), texts_of(events_of({kRate}, 500, 3)));
  EXPECT_NE(texts_of(events_of({kRate}, 500, 3)), texts_of(events_of({kRate}, 500, 4)));
}

TEST(FaultSchedule, AFurtherFaultDisturbsNoOther) {
  const auto begins = [](const std::vector<Json>& list) {
    Texts out;
    for (const FaultEvent& event : events_of(list, 400))
      if (event.kind == FaultKind::kReplicaCrash) out.push_back(text_of(event));
    out.resize(100);
    return out;
  };
  const Json other = {{"kind", "node-loss"}, {"rate", {{"mean_between_s", 70}}}};
  EXPECT_EQ(begins({kRate}), begins({kRate, other}));
}

// -- Injection ------------------------------------------------------------------------------------

// Writes down what it is told.
class Diary : public FaultTargets {
 public:
  explicit Diary(World& world) : world_(world) {}
  [[nodiscard]] FaultNames names() const override { return some_names(); }
  void crash_replica(std::int32_t i) override { write(fmt::format("crash {}", i)); }
  void restore_replica(std::int32_t i) override { write(fmt::format("restore {}", i)); }
  void lose_node(std::int32_t i) override { write(fmt::format("lose {}", i)); }
  void restore_node(std::int32_t i) override { write(fmt::format("find {}", i)); }
  void stop_store(const std::string& name) override { write("stop " + name); }
  void restart_store(const std::string& name, bool warm) override {
    write(fmt::format("restart {} {}", name, warm ? "warm" : "cold"));
  }
  void degrade_link(std::int32_t i, double share) override {
    write(fmt::format("link {} {}", i, share));
  }
  void slow_disk(const std::string& name, double share) override {
    write(fmt::format("disk {} {}", name, share));
  }
  void partition(const std::vector<std::int32_t>& nodes, bool cut) override {
    write(fmt::format("{} {}", cut ? "cut" : "join", fmt::join(nodes, ",")));
  }
  [[nodiscard]] const Texts& lines() const { return lines_; }

 private:
  void write(const std::string& what) {
    lines_.push_back(fmt::format("{} {}", world_.now().count(), what));
  }
  World& world_;
  Texts lines_;
};

// What the targets are told; stops at `end` when it is > 0.
Texts told(const std::vector<Json>& list, double end = 0, std::uint64_t seed = 1) {
  World world;
  Diary diary(world);
  FaultInjector injector(world, FaultSchedule(faults(list), some_names(), seed), diary);
  struct Stopper {
    FaultInjector& injector;
    void wake(Seconds) { injector.stop(); }
  } stopper{injector};
  Timer timer(world, Priority::kObserve, call<&Stopper::wake>(), &stopper);
  if (end > 0) timer.set(Seconds(end));
  injector.start();
  world.settle();
  return diary.lines();
}

TEST(FaultInjector, TellsWhatBreaksAndWhenItWorksAgain) {
  const Json disk = {
      {"kind", "slow-disk"}, {"target", "nvme1"}, {"at_s", 1}, {"duration_s", 8}, {"factor", 0.25}};
  const Json store = {{"kind", "store-restart"},
                      {"target", "cache"},
                      {"at_s", 2},
                      {"duration_s", 3},
                      {"cache", "warm"}};
  const Json cut = {
      {"kind", "network-partition"}, {"target", {"node2", 0}}, {"at_s", 6}, {"duration_s", 1}};
  const Json node = {{"kind", "node-loss"}, {"target", "node1"}, {"at_s", 20}};
  EXPECT_EQ(told({disk, store, cut, kCrash, node}),
            (Texts{"1 disk nvme1 0.25", "2 stop cache", "5 restart cache warm", "6 cut 0,2",
                   "7 join 0,2", "9 disk nvme1 1", "10 crash 1", "15 restore 1", "20 lose 1"}));
}

TEST(FaultInjector, OverlappingFaultsEndWithTheLast) {
  // 10 to 15, 12 to 17 and 14 to 19: away from 10 to 19.
  EXPECT_EQ(told({kCrash, with(kCrash, {{"at_s", 12}}), with(kCrash, {{"at_s", 14}})}),
            (Texts{"10 crash 1", "19 restore 1"}));
  EXPECT_EQ(told({kCrash, with(kCrash, {{"at_s", 12}, {"target", "r2"}})}),
            (Texts{"10 crash 1", "12 crash 2", "15 restore 1", "17 restore 2"}));
  // One without an end: it never works again.
  Json for_ever = kCrash;
  for_ever.erase("duration_s");
  EXPECT_EQ(told({kCrash, for_ever}), (Texts{"10 crash 1"}));
}

TEST(FaultInjector, OfOverlappingDegradationsTheWorstHolds) {
  const auto slow = [](double at, double duration, double factor) {
    return Json{{"kind", "link-degradation"},
                {"target", "node0"},
                {"at_s", at},
                {"duration_s", duration},
                {"factor", factor}};
  };
  EXPECT_EQ(told({slow(0, 10, 0.5), slow(2, 3, 0.1), slow(4, 10, 0.5), slow(12, 1, 0.8)}),
            (Texts{"0 link 0 0.5", "2 link 0 0.1", "5 link 0 0.5", "14 link 0 1"}));
}

TEST(FaultInjector, AStoreThatOneOverlappingFaultLeavesColdIsCold) {
  const auto restart = [](double at, const char* cache) {
    return Json{{"kind", "store-restart"}, {"at_s", at}, {"duration_s", 5}, {"cache", cache}};
  };
  EXPECT_EQ(
      told({restart(0, "cold"), restart(3, "warm"), restart(20, "warm")}),
      (Texts{"0 stop cache", "8 restart cache cold", "20 stop cache", "25 restart cache warm"}));
}

TEST(FaultInjector, EqualCutsNestAndOthersDoNot) {
  const auto cut = [](double at, const Json& nodes) {
    return Json{{"kind", "network-partition"}, {"target", nodes}, {"at_s", at}, {"duration_s", 5}};
  };
  EXPECT_EQ(told({cut(0, {0, 1}), cut(2, {"node1", "node0"}), cut(3, {1})}),
            (Texts{"0 cut 0,1", "3 cut 1", "7 join 0,1", "8 join 1"}));
}

TEST(FaultInjector, WhateverOverlapsTargetsBreakAndWorkInTurns) {
  std::vector<Json> list;
  for (const char* kind : {"replica-crash", "node-loss", "store-restart", "network-partition"})
    for (const int mean : {20, 50})
      list.push_back({{"kind", kind}, {"rate", {{"mean_between_s", mean}}}, {"duration_s", 30}});
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    std::map<std::string, bool> broken;  // by what and which
    for (const std::string& line : told(list, 1000, seed)) {
      std::istringstream words(line);
      std::string at, what, which;
      words >> at >> what >> which;
      const bool breaks = what == "crash" || what == "lose" || what == "stop" || what == "cut";
      const char* kind = what == "crash" || what == "restore" ? "replica "
                         : what == "lose" || what == "find"   ? "node "
                         : what == "cut" || what == "join"    ? "cut "
                                                              : "store ";
      bool& now = broken[kind + which];
      EXPECT_NE(now, breaks) << line << ", seed " << seed;
      now = breaks;
    }
    EXPECT_GT(broken.size(), 5U);
  }
}

TEST(FaultInjector, NothingFollowsAStop) {
  for (const std::string& line : told({kRate}, 1000)) EXPECT_LT(std::stod(line), 1000) << line;
  EXPECT_GT(told({kRate}, 1000).size(), 5U);
  EXPECT_EQ(told({kCrash}, 15), (Texts{"10 crash 1"}));  // stopped before it, at the same instant
  EXPECT_EQ(told({kCrash}, 15.001).size(), 2U);
}

TEST(FaultInjector, EqualSeedsBreakTheSame) {
  const Json disks = {{"kind", "slow-disk"},
                      {"rate", {{"mean_between_s", 40}}},
                      {"duration_s", 60},
                      {"factor", 0.5}};
  EXPECT_EQ(told({kRate, disks}, 5000, 9), told({kRate, disks}, 5000, 9));
  EXPECT_NE(told({kRate, disks}, 5000, 9), told({kRate, disks}, 5000, 10));
}

TEST(FaultInjector, CountsWhatBegan) {
  World world;
  Diary diary(world);
  FaultInjector injector(
      world, FaultSchedule(faults({kCrash, with(kCrash, {{"at_s", 12}})}), some_names(), 1), diary);
  injector.start();
  world.settle();
  EXPECT_EQ(injector.begun(FaultKind::kReplicaCrash), 2);
  EXPECT_EQ(injector.begun(FaultKind::kNodeLoss), 0);
}

}  // namespace
}  // namespace kvsim
