// Clients of a Kubernetes Service: connections get a replica at random, requests their
// connection's.
#include <gtest/gtest.h>

#include "tests/unit/router_bench.hpp"

namespace kvsim {
namespace {

class ConnectionRouter : public testing::Test {
 protected:
  ConnectionRouter() : bench_(8) { bench_.make("connection"); }
  std::int32_t route() { return bench_.route(100).replica; }
  void end(std::int64_t number) { bench_.router->ended(number, bench_.now); }
  // The replicas of ten requests, each sent when the one before has ended and `pause` is over.
  std::set<std::int32_t> replicas_of_one_client(Seconds pause) {
    std::set<std::int32_t> seen;
    for (int i = 0; i < 10; ++i) {
      seen.insert(route());
      end(bench_.number);
      bench_.now = bench_.now + pause;
    }
    return seen;
  }
  RouterBench bench_;
};

TEST_F(ConnectionRouter, AClientStaysWithTheReplicaOfItsConnection) {
  EXPECT_EQ(replicas_of_one_client(Seconds(4.9)).size(), 1);
}

TEST_F(ConnectionRouter, AConnectionThatIsIdleForTooLongIsOpenedAnew) {
  EXPECT_GT(replicas_of_one_client(Seconds(5.1)).size(), 2);
}

TEST_F(ConnectionRouter, ConnectionsAreSpreadAtRandomSoThatSomeReplicasStayIdle) {
  std::set<std::int32_t> seen;
  for (int i = 0; i < 8; ++i) seen.insert(route());
  EXPECT_GT(seen.size(), 2);
  EXPECT_LT(seen.size(), 8);  // all eight different: 0.2 % of the seeds
}

TEST_F(ConnectionRouter, TheLongestStandingIdleConnectionIsTaken) {
  std::vector<std::int32_t> first;
  for (int i = 0; i < 6; ++i) first.push_back(route());
  for (const std::int64_t number : {4, 2, 6}) end(number);
  EXPECT_EQ(route(), first[1]);
  EXPECT_EQ(route(), first[3]);
  EXPECT_EQ(route(), first[5]);
}

TEST_F(ConnectionRouter, ConnectionsToALostReplicaAreOpenedAnewElsewhere) {
  const std::int32_t before = route();
  end(1);
  bench_.router->lost(before);
  bench_.views[static_cast<std::size_t>(before)].ready = false;
  EXPECT_NE(route(), before);
}

}  // namespace
}  // namespace kvsim
