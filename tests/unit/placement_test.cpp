// Which GPUs of which machine replicas get.
#include "sim/experiment/placement.hpp"

#include <gtest/gtest.h>

#include "sim/experiment/pool_assembly.hpp"

namespace kvsim {
namespace {

PoolPlan pool(const char* node, std::int64_t gpus_of_node, std::int64_t replicas, std::int64_t tp,
              std::int64_t pp = 1) {
  PoolPlan out;
  out.node.name = node;
  out.node.gpus = gpus_of_node;
  out.config.replicas = replicas;
  out.config.tensor_parallel = tp;
  out.config.pipeline_parallel = pp;
  return out;
}

void expect_at(const Placement& placement, std::size_t in_pool, std::size_t replica,
               std::size_t machine, std::int64_t gpu) {
  EXPECT_EQ(placement.of(in_pool, replica).machine, machine) << "replica " << replica;
  EXPECT_EQ(placement.of(in_pool, replica).first_gpu, gpu) << "replica " << replica;
}

TEST(Placement, FillsAMachineBeforeTheNext) {
  const std::vector<PoolPlan> pools = {pool("node", 4, 5, 2)};
  const Placement placement = place_replicas(pools);
  EXPECT_EQ(placement.machines.size(), 3U);
  expect_at(placement, 0, 0, 0, 0);
  expect_at(placement, 0, 1, 0, 2);
  expect_at(placement, 0, 2, 1, 0);
  expect_at(placement, 0, 4, 2, 0);
}

TEST(Placement, LetsTheNextPoolGoOnWhereTheOneBeforeStopped) {
  const std::vector<PoolPlan> pools = {pool("node", 8, 3, 1), pool("node", 8, 2, 2)};
  const Placement placement = place_replicas(pools);
  EXPECT_EQ(placement.machines.size(), 1U);
  expect_at(placement, 1, 0, 0, 3);
  expect_at(placement, 1, 1, 0, 5);
}

TEST(Placement, NeverSplitsAReplicaOverMachines) {
  const std::vector<PoolPlan> pools = {pool("node", 8, 1, 6), pool("node", 8, 1, 4)};
  const Placement placement = place_replicas(pools);
  EXPECT_EQ(placement.machines.size(), 2U);
  expect_at(placement, 1, 0, 1, 0);
}

TEST(Placement, CountsAPipelinesStages) {
  const std::vector<PoolPlan> pools = {pool("node", 8, 3, 2, 2)};
  const Placement placement = place_replicas(pools);
  EXPECT_EQ(placement.machines.size(), 2U);
  expect_at(placement, 0, 1, 0, 4);
  expect_at(placement, 0, 2, 1, 0);
}

TEST(Placement, KeepsKindsOfMachinesApart) {
  const std::vector<PoolPlan> pools = {pool("small", 1, 2, 1), pool("large", 8, 2, 4),
                                       pool("small", 1, 1, 1)};
  const Placement placement = place_replicas(pools);
  ASSERT_EQ(placement.machines.size(), 4U);
  EXPECT_EQ(placement.machines[2].name, "large");
  expect_at(placement, 1, 1, 2, 4);
  expect_at(placement, 2, 0, 3, 0);
}

TEST(Placement, HasRoomForReplicasThatAnAutoscalerMayWant) {
  std::vector<PoolPlan> pools = {pool("node", 2, 1, 1)};
  pools.front().config.max_replicas = 5;
  EXPECT_EQ(place_replicas(pools).machines.size(), 3U);
}

}  // namespace
}  // namespace kvsim
