// The fabric's parts: ways, ports, rates, what it reports. Times of shared links: the oracle tests.
#include "sim/store/fabric.hpp"

#include "tests/child.hpp"

namespace kvsim {
namespace {

constexpr Bandwidth kCard{10e9};

struct FabricWorld {
  explicit FabricWorld(const Fabric::Options& options) : tasks(world), fabric(tasks, options) {}
  ~FabricWorld() { tasks.clear(); }
  World world;
  Tasks tasks;
  Fabric fabric;
};

Fabric::Options plain() {
  return {.efficiency = 1, .round_trip = Seconds(2e-3), .spine_round_trip = Seconds(1e-3)};
}

TEST(Fabric, AWayAskedForTwiceIsTheSame) {
  in_child([] {
    FabricWorld made(plain());
    const auto a = made.fabric.add_node("a", {kCard});
    const auto b = made.fabric.add_node("b", {kCard});
    EXPECT_EQ(made.fabric.way({a}, {b}), made.fabric.way({a}, {b}));
    EXPECT_NE(made.fabric.way({a}, {b}), made.fabric.way({b}, {a}));
  });
}

TEST(Fabric, AMoveWithinAMachineTakesNoTimeAndNoCard) {
  in_child([] {
    FabricWorld made(plain());
    const auto a = made.fabric.add_node("a", {kCard});
    const auto way = made.fabric.way({a}, {a});
    EXPECT_TRUE(made.fabric.same_machine(way));
    EXPECT_EQ(made.fabric.estimate(way, Bytes(1'000'000)), Seconds(0));
    made.tasks.start(made.fabric.move(way, Bytes(1'000'000)));
    made.world.run();
    EXPECT_EQ(made.world.now(), Seconds(0));
    EXPECT_TRUE(made.fabric.resources().empty());
    EXPECT_FALSE(made.fabric.reached(a));
  });
}

TEST(Fabric, TheRoundTripIsLongerBetweenRacks) {
  in_child([] {
    Fabric::Options options = plain();
    options.nodes_per_rack = 2;
    FabricWorld made(options);
    for (const char* name : {"a", "b", "c"}) made.fabric.add_node(name, {kCard});
    EXPECT_EQ(made.fabric.round_trip(made.fabric.way({0}, {1})), Seconds(2e-3));
    EXPECT_EQ(made.fabric.round_trip(made.fabric.way({0}, {2})), Seconds(3e-3));
  });
}

TEST(Fabric, ConnectionsCapAMoveUnlessItGoesAtLineRate) {
  in_child([] {
    Fabric::Options options = plain();
    options.stream = Bandwidth(3e9);
    FabricWorld made(options);
    const auto a = made.fabric.add_node("a", {kCard});
    const auto b = made.fabric.add_node("b", {kCard});
    const auto way = made.fabric.way({a}, {b});
    EXPECT_EQ(made.fabric.rate(way), Bandwidth(3e9));
    EXPECT_EQ(made.fabric.rate(way, 2), Bandwidth(6e9));
    EXPECT_EQ(made.fabric.rate(way, 8), kCard);
    EXPECT_EQ(made.fabric.rate(way, Fabric::kLineRate), kCard);
  });
}

TEST(Fabric, EfficiencyIsOfTheCardsAndTheHostsLimitIsNot) {
  in_child([] {
    Fabric::Options options = plain();
    options.efficiency = 0.5;
    FabricWorld made(options);
    const auto a = made.fabric.add_node("a", {.card = kCard, .cards = 8, .host = Bandwidth(30e9)});
    const auto b = made.fabric.add_node("b", {.card = kCard, .cards = 8});
    const auto c = made.fabric.add_node("c", {.card = kCard, .cards = 8});
    EXPECT_EQ(made.fabric.rate(made.fabric.way({a}, {b})), Bandwidth(30e9));
    EXPECT_EQ(made.fabric.rate(made.fabric.way({b}, {c})), Bandwidth(40e9));
  });
}

TEST(Fabric, GpusGetTheCardsNextToThem) {
  in_child([] {
    FabricWorld made(plain());
    const auto eight = made.fabric.add_node("eight", {.card = kCard, .cards = 8});
    const auto four = made.fabric.add_node("four", {.card = kCard, .cards = 4});
    const auto one = made.fabric.add_node("one", {.card = kCard, .cards = 1});
    const auto rate = [&](Fabric::NodeId node, std::int32_t port) {
      return made.fabric.rate(made.fabric.way({node, port}, {node == eight ? four : eight}));
    };
    EXPECT_EQ(rate(eight, made.fabric.port_near(eight, 0, 2, 8)), Bandwidth(20e9));
    EXPECT_EQ(made.fabric.port_near(eight, 0, 8, 8), Fabric::kAnyPort);
    EXPECT_EQ(made.fabric.port_near(one, 5, 1, 8), Fabric::kAnyPort);
    // Two GPUs share a card.
    const auto first = made.fabric.port_near(four, 0, 1, 8);
    EXPECT_EQ(made.fabric.port_near(four, 1, 1, 8), first);
    EXPECT_NE(made.fabric.port_near(four, 2, 1, 8), first);
    EXPECT_EQ(rate(four, first), kCard);
  });
}

TEST(Fabric, LinksReportTheBytesThatCrossedThem) {
  in_child([] {
    FabricWorld made(plain());
    const auto a = made.fabric.add_node("a", {kCard});
    const auto b = made.fabric.add_node("b", {kCard});
    made.fabric.add_node("idle", {kCard});
    made.tasks.start(made.fabric.move(made.fabric.way({a}, {b}), Bytes(5'000'000'000)));
    made.world.run();
    const std::vector<ResourceUse> uses = made.fabric.resources();
    ASSERT_EQ(uses.size(), 2U);
    EXPECT_EQ(uses[0].name, "a.nic.out");
    EXPECT_EQ(uses[1].name, "b.nic.in");
    for (const ResourceUse& use : uses) {
      EXPECT_EQ(use.kind, "network");
      EXPECT_EQ(use.bytes, Bytes(5'000'000'000));
      EXPECT_NEAR(use.busy.count(), 0.5, 1e-9);
    }
  });
}

// SimGrid's table of routes grows with the square of its hosts.
TEST(Fabric, ThousandsOfWaysAreMadeInAMoment) {
  in_child([] {
    FabricWorld made(plain());
    constexpr Fabric::NodeId kNodes = 64;
    for (Fabric::NodeId i = 0; i < kNodes; ++i) made.fabric.add_node(std::to_string(i), {kCard});
    for (Fabric::NodeId i = 0; i < kNodes; ++i)
      for (Fabric::NodeId j = 0; j < kNodes; ++j)
        made.tasks.start(made.fabric.move(made.fabric.way({i}, {j}), Bytes(1'000'000)));
    made.world.run();
    EXPECT_NEAR(made.world.now().count(), 1e-3 + 63 * 1e6 / 10e9, 1e-9);
  });
}

}  // namespace
}  // namespace kvsim
