// Lanes and links against closed forms.
#include "sim/des/lane.hpp"

#include <gtest/gtest.h>

#include "sim/des/agenda.hpp"
#include "tests/child.hpp"

namespace kvsim {
namespace {

TEST(World, ATransferTakesBytesOverBandwidth) {
  const auto times = numbers_of_child([] {
    std::vector<double> out;
    World world;
    const auto path = world.add_path({world.add_link("wire", Bandwidth(1e9))});
    world.transfer(path, Bytes(500'000'000), [&](Seconds now) { out.push_back(now.count()); });
    world.run();
    return out;
  });
  ASSERT_EQ(times.size(), 1u);
  EXPECT_NEAR(times[0], 0.5, 1e-12);
}

TEST(World, NFairFlowsEachGetAnNth) {
  const auto times = numbers_of_child([] {
    std::vector<double> out;
    World world;
    const auto wire = world.add_link("wire", Bandwidth(1e9));
    for (int i = 0; i < 5; ++i)
      world.transfer(world.add_path({wire}), Bytes(100'000'000),
                     [&](Seconds now) { out.push_back(now.count()); });
    world.run();
    return out;
  });
  ASSERT_EQ(times.size(), 5u);
  for (const double time : times) EXPECT_NEAR(time, 0.5, 1e-9);
}

TEST(Timer, EventsComeByTimeThenPriorityThenOrderOfSetting) {
  const auto order = numbers_of_child([] {
    struct Note {
      std::vector<double>* out;
      double id;
      void fire(Seconds) { out->push_back(id); }
    };
    std::vector<double> out;
    World world;
    std::vector<Note> notes;
    for (int i = 0; i < 5; ++i) notes.push_back({&out, static_cast<double>(i)});
    Timer a(world, Priority::kEngine, call<&Note::fire>(), &notes[0]);
    Timer b(world, Priority::kObserve, call<&Note::fire>(), &notes[1]);
    Timer c(world, Priority::kEngine, call<&Note::fire>(), &notes[2]);
    Timer d(world, Priority::kEngine, call<&Note::fire>(), &notes[3]);
    Timer e(world, Priority::kEngine, call<&Note::fire>(), &notes[4]);
    a.set(Seconds(2));
    b.set(Seconds(2));
    c.set(Seconds(1));
    d.set(Seconds(3));
    d.set(Seconds(0.5));  // moved
    e.set(Seconds(0.1));
    e.cancel();
    world.run();
    return out;
  });
  EXPECT_EQ(order, (std::vector<double>{3, 2, 1, 0}));
}

TEST(Lane, JobsOfOneDirectionFollowEachOther) {
  const auto times = numbers_of_child([] {
    std::vector<double> out;
    World world;
    DuplexLink link(world, "pcie", {Bandwidth(1e9), Bandwidth(1e9)},
                    {Bandwidth(1e9), Bandwidth(1e9)});
    Lane lane(world, "h2d", "pcie", {link.link(DuplexLink::kDown)}, &link, DuplexLink::kDown);
    for (int i = 0; i < 3; ++i)
      lane.submit({Seconds(0.01), Bytes(90'000'000), Bandwidth(0),
                   [&](Seconds now) { out.push_back(now.count()); }});
    world.run();
    out.push_back(lane.use().busy.count());
    return out;
  });
  ASSERT_EQ(times.size(), 4u);
  EXPECT_NEAR(times[0], 0.1, 1e-9);
  EXPECT_NEAR(times[1], 0.2, 1e-9);
  EXPECT_NEAR(times[2], 0.3, 1e-9);
  EXPECT_NEAR(times[3], 0.3, 1e-9);
}

TEST(Lane, DirectionsSlowEachOtherDownOnlyWhileBothAreBusy) {
  // Down alone at 2 GB/s, 1 GB/s while up is busy; up is not slowed. Up moves 1 GB in 1 s; down
  // moves 3 GB: 1 GB in the first second, the other 2 GB in one more.
  const auto times = numbers_of_child([] {
    std::vector<double> out;
    World world;
    DuplexLink link(world, "pcie", {Bandwidth(1e9), Bandwidth(1e9)},
                    {Bandwidth(2e9), Bandwidth(1e9)});
    Lane down(world, "h2d", "pcie", {link.link(DuplexLink::kDown)}, &link, DuplexLink::kDown);
    Lane up(world, "d2h", "pcie", {link.link(DuplexLink::kUp)}, &link, DuplexLink::kUp);
    const auto note = [&](Seconds now) { out.push_back(now.count()); };
    down.submit({Seconds(0), Bytes(3'000'000'000), Bandwidth(0), note});
    up.submit({Seconds(0), Bytes(1'000'000'000), Bandwidth(0), note});
    world.run();
    return out;
  });
  ASSERT_EQ(times.size(), 2u);
  EXPECT_NEAR(times[0], 1.0, 1e-9);
  EXPECT_NEAR(times[1], 2.0, 1e-9);
}

TEST(Lane, ARateLimitHoldsForItsJobOnly) {
  const auto times = numbers_of_child([] {
    std::vector<double> out;
    World world;
    Lane lane(world, "h2d", "pcie", {world.add_link("wire", Bandwidth(1e9))}, nullptr,
              DuplexLink::kDown);
    const auto note = [&](Seconds now) { out.push_back(now.count()); };
    lane.submit({Seconds(0), Bytes(100'000'000), Bandwidth(1e8), note});
    lane.submit({Seconds(0), Bytes(100'000'000), Bandwidth(0), note});
    world.run();
    return out;
  });
  ASSERT_EQ(times.size(), 2u);
  EXPECT_NEAR(times[0], 1.0, 1e-9);
  EXPECT_NEAR(times[1], 1.1, 1e-9);
}

TEST(CpuLane, KServersServeInOrder) {
  CpuLane lane("api", 2);
  EXPECT_EQ(lane.serve(Seconds(0), Seconds(4)), Seconds(4));
  EXPECT_EQ(lane.serve(Seconds(0), Seconds(1)), Seconds(1));
  EXPECT_EQ(lane.serve(Seconds(0.5), Seconds(1)), Seconds(2));
  EXPECT_EQ(lane.use().busy, Seconds(6));
}

TEST(Agenda, ItemsComeInTimeAndOneMayAddAnother) {
  const auto seen = numbers_of_child([] {
    std::vector<double> out;
    World world;
    std::unique_ptr<Agenda<int>> agenda;
    agenda = std::make_unique<Agenda<int>>(world, Priority::kDeliver, [&](int& item, Seconds now) {
      out.push_back(item + now.count());
      if (item == 10) agenda->add(Seconds(0.25), 30);
    });
    agenda->add(Seconds(0.5), 20);
    agenda->add(Seconds(0.125), 10);
    world.run();
    return out;
  });
  EXPECT_EQ(seen, (std::vector<double>{10.125, 30.25, 20.5}));
}

}  // namespace
}  // namespace kvsim
