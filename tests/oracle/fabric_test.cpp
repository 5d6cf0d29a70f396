// Moves over the fabric against closed forms: fair shares, racks, partitions, degraded cards.
#include "sim/store/fabric.hpp"

#include <algorithm>
#include <set>

#include "tests/child.hpp"

namespace kvsim {
namespace {

constexpr Bandwidth kCard{10e9};
constexpr double kHalfTrip = 1e-3;
constexpr double kNanosecond = 1e-9;

struct Move {
  Fabric::NodeId from;
  Fabric::NodeId to;
  double at = 0;
  std::int64_t bytes = 10'000'000'000;  // one second of a card
  std::int64_t streams = 1;
};

struct Event {
  double at;
  std::function<void(Fabric&)> action;
};

Task play(Tasks& tasks, Fabric& fabric, Fabric::WayId way, const Move& move, double& end) {
  co_await tasks.sleep(Seconds(move.at));
  co_await fabric.move(way, Bytes(move.bytes), move.streams);
  end = tasks.now().count();
}

Task later(Tasks& tasks, Fabric& fabric, const Event& event) {
  co_await tasks.sleep(Seconds(event.at));
  event.action(fabric);
}

// When each move ends, with so many machines of one card each.
std::vector<double> ends(int nodes, Fabric::Options options, const std::vector<Move>& moves,
                         const std::vector<Event>& events = {}) {
  return numbers_of_child([&] {
    options.efficiency = 1;
    options.round_trip = Seconds(2 * kHalfTrip);
    options.spine_round_trip = Seconds(0);
    World world;
    Tasks tasks(world);
    Fabric fabric(tasks, options);
    for (int i = 0; i < nodes; ++i) fabric.add_node(std::to_string(i), {kCard});
    std::vector<Fabric::WayId> ways;
    for (const Move& move : moves) ways.push_back(fabric.way({move.from}, {move.to}));
    std::vector<double> out(moves.size(), -1);
    for (std::size_t i = 0; i < moves.size(); ++i)
      tasks.start(play(tasks, fabric, ways[i], moves[i], out[i]));
    for (const Event& event : events) tasks.start(later(tasks, fabric, event));
    world.run();
    if (testing::Test::HasFailure()) throw std::runtime_error("see above");
    return out;
  });
}

TEST(FabricOracle, OneMoveTakesHalfARoundTripAndItsBytes) {
  const auto end = ends(2, {}, {{0, 1}});
  EXPECT_NEAR(end[0], kHalfTrip + 1, kNanosecond);
}

TEST(FabricOracle, FlowsOutOfOneCardShareItFairly) {
  const auto end = ends(5, {}, {{0, 1}, {0, 2}, {0, 3}, {0, 4}});
  for (const double at : end) EXPECT_NEAR(at, kHalfTrip + 4, kNanosecond);
}

TEST(FabricOracle, FlowsIntoOneCardShareItFairly) {
  const auto end = ends(4, {}, {{1, 0}, {2, 0}, {3, 0}});
  for (const double at : end) EXPECT_NEAR(at, kHalfTrip + 3, kNanosecond);
}

TEST(FabricOracle, DirectionsOfACardDoNotDisturbEachOther) {
  const auto end = ends(2, {}, {{0, 1}, {1, 0}});
  for (const double at : end) EXPECT_NEAR(at, kHalfTrip + 1, kNanosecond);
}

TEST(FabricOracle, AShorterFlowLeavesItsShareToTheOther) {
  const auto end = ends(3, {}, {{0, 1}, {.from = 0, .to = 2, .bytes = 2'500'000'000}});
  EXPECT_NEAR(end[1], kHalfTrip + 0.5, kNanosecond);
  EXPECT_NEAR(end[0], kHalfTrip + 1.25, kNanosecond);
}

TEST(FabricOracle, MoreConnectionsMoveFasterUpToTheLine) {
  Fabric::Options options;
  options.stream = Bandwidth(4e9);
  for (const auto& [streams, rate] : {std::pair{1, 4e9}, {2, 8e9}, {3, 10e9}, {0, 10e9}}) {
    const auto end = ends(2, options, {{.from = 0, .to = 1, .streams = streams}});
    EXPECT_NEAR(end[0], kHalfTrip + 10e9 / rate, kNanosecond) << streams;
  }
}

// Four machines with 10 GB/s each behind a way up of 10 GB/s.
TEST(FabricOracle, AnOversubscribedRackSlowsOnlyWhatLeavesIt) {
  Fabric::Options options;
  options.nodes_per_rack = 4;
  options.oversubscription = 4;
  const auto crossing = ends(8, options, {{0, 4}, {1, 5}, {2, 6}, {3, 7}});
  for (const double at : crossing) EXPECT_NEAR(at, kHalfTrip + 4, kNanosecond);
  const auto within = ends(8, options, {{0, 1}, {1, 2}, {2, 3}, {3, 0}});
  for (const double at : within) EXPECT_NEAR(at, kHalfTrip + 1, kNanosecond);
  options.oversubscription = 1;
  const auto wide = ends(8, options, {{0, 4}, {1, 5}, {2, 6}, {3, 7}});
  for (const double at : wide) EXPECT_NEAR(at, kHalfTrip + 1, kNanosecond);
}

// Hashed onto four uplinks as wide as a card, some of four flows meet; on one wide link none do.
TEST(FabricOracle, HashedUplinksCollide) {
  Fabric::Options options;
  options.nodes_per_rack = 4;
  options.uplinks = 4;
  const std::vector<Move> moves = {{0, 4}, {1, 5}, {2, 6}, {3, 7}};
  EXPECT_NEAR(ends(8, options, moves)[0], kHalfTrip + 1, kNanosecond);
  options.ecmp = true;
  std::set<double> worst;
  for (options.seed = 1; options.seed <= 8; ++options.seed) {
    const auto end = ends(8, options, moves);
    worst.insert(*std::max_element(end.begin(), end.end()));
    EXPECT_EQ(end, ends(8, options, moves));
  }
  EXPECT_GT(*worst.rbegin(), kHalfTrip + 1.9);
  EXPECT_LT(*worst.rbegin(), kHalfTrip + 4.1);
}

TEST(FabricOracle, APartitionHoldsMovesUnderWayUntilItIsHealed) {
  const Event cut{0.4 + kHalfTrip, [](Fabric& fabric) {
                    fabric.partition({0}, true);
                    EXPECT_TRUE(fabric.cut(0));
                  }};
  const Event heal{10, [](Fabric& fabric) { fabric.partition({0}, false); }};
  const auto end = ends(2, {}, {{0, 1}}, {cut, heal});
  EXPECT_NEAR(end[0], 10.6, 1e-6);
}

TEST(FabricOracle, MovesThatBeginInAPartitionWaitForItsEnd) {
  const Event cut{0, [](Fabric& fabric) { fabric.partition({0, 1}, true); }};
  const Event heal{5, [](Fabric& fabric) { fabric.partition({0, 1}, false); }};
  const auto end = ends(
      4, {},
      {{.from = 0, .to = 2, .at = 1}, {.from = 0, .to = 1, .at = 1}, {.from = 2, .to = 3, .at = 1}},
      {cut, heal});
  EXPECT_NEAR(end[0], 6 + kHalfTrip, 1e-6);
  EXPECT_NEAR(end[1], 2 + kHalfTrip, kNanosecond);  // both inside
  EXPECT_NEAR(end[2], 2 + kHalfTrip, kNanosecond);  // both outside
}

TEST(FabricOracle, TwoPartitionsAreBothToBeHealed) {
  const auto set = [](Fabric::NodeId node, bool cut) {
    return [node, cut](Fabric& fabric) { fabric.partition({node}, cut); };
  };
  const auto end =
      ends(2, {}, {{.from = 0, .to = 1, .at = 0.5}},
           {{0, set(0, true)}, {0, set(1, true)}, {1, set(0, false)}, {3, set(1, false)}});
  EXPECT_NEAR(end[0], 4 + kHalfTrip, 1e-6);
}

TEST(FabricOracle, ADegradedCardIsSlowerFromThenOn) {
  const Event half{0.5 + kHalfTrip, [](Fabric& fabric) { fabric.degrade(1, 0.25); }};
  const Event whole{1.5 + kHalfTrip, [](Fabric& fabric) { fabric.degrade(1, 1); }};
  const auto end = ends(2, {}, {{0, 1}}, {half, whole});
  EXPECT_NEAR(end[0], kHalfTrip + 0.5 + 1 + 0.25, kNanosecond);
}

}  // namespace
}  // namespace kvsim
