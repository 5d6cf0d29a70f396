// The lanes network and network_peer: TCP for real, and Wire's constants from it.
#include <gtest/gtest.h>

#include <thread>

#include "sim/probe/bench_network_peer.hpp"
#include "tests/unit/lane_fixture.hpp"

namespace kvsim {
namespace {

const Json kCpu = {{"cores", 4}, {"copy_bytes_per_s", 8e9}, {"memory_bytes_per_s", 1e12}};

TEST(NetworkLane, FitFindsTheConstantsThatTheTwinHad) {
  const auto model = lane_model("network");
  const Figures truth = {{"cpu", kCpu},
                         {"network", {{"loopback_round_trip_s", 20e-6}}},
                         {"lanes", {{"network", {{"message_s", 12e-6}, {"copies", 1.7}}}}}};
  Figures found = {{"cpu", kCpu}};
  (void)model->fit(twin_samples(*model, truth, true), found);
  EXPECT_NEAR(figure(found, "/network/loopback_round_trip_s"), 20e-6, 2e-6);
  EXPECT_NEAR(figure(found, "/lanes/network/message_s"), 12e-6, 1e-6);
  EXPECT_NEAR(figure(found, "/lanes/network/copies"), 1.7, 0.05);
}

TEST(NetworkLane, BothEndsCopyAtTheSameTime) {
  const auto model = lane_model("network");
  Figures figures = {{"cpu", kCpu},
                     {"network", {{"loopback_round_trip_s", 0}}},
                     {"lanes", {{"network", {{"message_s", 0}, {"copies", 2}}}}}};
  const BenchOperation one{"stream", Bytes(8'000'000), 1};
  EXPECT_NEAR(twin_time(*model, one, figures).count(), 2e-3, 1e-9);
  figures["cpu"]["cores"] = 1;
  EXPECT_NEAR(twin_time(*model, one, figures).count(), 4e-3, 1e-9);
}

TEST(NetworkLane, FitFindsThePeersConstants) {
  const auto model = lane_model("network_peer");
  const Figures truth = {{"network", {{"round_trip_s", 80e-6}, {"stream_bytes_per_s", 1.2e9}}}};
  Figures found = Figures::object();
  (void)model->fit(twin_samples(*model, truth, true), found);
  EXPECT_NEAR(figure(found, "/network/round_trip_s"), 80e-6, 1e-8);
  EXPECT_NEAR(figure(found, "/network/stream_bytes_per_s"), 1.2e9, 1e5);
}

TEST(NetworkLane, TheBenchSendsOverLoopback) {
  Scratch scratch(testing::TempDir(), Bytes(0));
  const auto bench = lane_bench("network", scratch);
  for (const std::int64_t at_once : {1, 3}) {
    const Sample little = bench->measure({"round-trip", Bytes(1), at_once}, in_a_hurry());
    const Sample much = bench->measure({"stream", Bytes(30'000'000), at_once}, in_a_hurry());
    EXPECT_GT(little.shortest, Seconds(0));
    EXPECT_GT(much.shortest, little.shortest);
  }
}

TEST(NetworkLane, APeerIsAskedAsOnAnotherMachine) {
  NetworkPeer peer("127.0.0.1", 0);
  std::thread serving([&peer] { peer.serve(); });
  {
    Scratch scratch(testing::TempDir(), Bytes(0));
    const auto bench = lane_bench(
        {{"kind", "network_peer"}, {"peer", "localhost:" + std::to_string(peer.port())}}, scratch);
    EXPECT_GT(bench->measure({"stream", Bytes(100'000), 2}, in_a_hurry()).shortest, Seconds(0));
    peer.stop();
    const std::string error = environment_error_of([&] {
      (void)bench->measure({"round-trip", Bytes(1), 1}, in_a_hurry());
    });
    EXPECT_NE(error.find("cannot connect to localhost:"), std::string::npos) << error;
  }
  serving.join();
}

TEST(NetworkLane, APeerSendsStrangersAway) {
  NetworkPeer peer("127.0.0.1", 0);
  std::thread serving([&peer] { peer.serve(); });
  {
    const Socket stranger = connect_to("127.0.0.1", peer.port());
    const std::string request(sizeof(NetworkHello), 'x');
    send_all(stranger, request.data(), request.size());
    char answer = 0;
    EXPECT_EQ(environment_error_of([&] { receive_all(stranger, &answer, 1); }),
              "the network's other end closed the connection");
  }
  peer.stop();
  serving.join();
}

TEST(NetworkLane, WhatCannotBeReachedIsOneClearLine) {
  Scratch scratch(testing::TempDir(), Bytes(0));
  const auto error_with = [&](const char* peer) {
    return environment_error_of([&] {
      (void)lane_bench({{"kind", "network_peer"}, {"peer", peer}}, scratch);
    });
  };
  EXPECT_EQ(error_with("nowhere"), "peer: found \"nowhere\"; allowed: HOST:PORT");
  EXPECT_EQ(error_with("127.0.0.1:1"), "cannot connect to 127.0.0.1:1: Connection refused");
}

}  // namespace
}  // namespace kvsim
