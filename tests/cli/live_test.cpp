// kvsim run --live: operations done for real, or compared with the model.
#include "tests/cli/experiments.hpp"

namespace kvsim::cli_test {
namespace {

class Live : public CommandTest {
 protected:
  // Few chunks through a RocksDB.
  void write_experiment() {
    Json json = small_experiment();
    json["workload"]["sessions"]["count"] = 4;
    json["nodes"] = {
        {{"gpus", 8},
         {"disks", {{{"name", "data"}, {"kind", "nvme"}, {"profile", "micron-7450"}}}}}};
    json["stores"] = {{{"name", "kv"}, {"kind", "kvrocks"}, {"disk", "data"}}};
    json["pools"][0]["connector"] = {
        {"kind", "lmcache"}, {"chunk_tokens", 64}, {"remote", "kv"}, {"serde", "lz4"}};
    write("x.json", json.dump());
  }
};

TEST_F(Live, ShadowComparesWhatTheRunDid) {
  write_experiment();
  const CommandResult result =
      kvsim({"run", "x.json", "--live", "host_copy,codec", "--shadow", "-o", "out"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json live = Json::parse(read("out/summary.json"))["live"];
  EXPECT_EQ(live["shadow"], true);
  ASSERT_EQ(live["lanes"].size(), 2U);
  for (const Json& lane : live["lanes"]) {
    EXPECT_GT(lane["operations"], 0) << lane["lane"];
    EXPECT_GT(lane["error"]["points"], 0) << lane["lane"];
    for (const Json& point : lane["points"]) EXPECT_GT(point["measured_s"], 0);
  }
  EXPECT_NE(result.out.find("host_copy"), std::string::npos);
}

TEST_F(Live, ShadowLeavesTheSimulationAsItIs) {
  write_experiment();
  ASSERT_EQ(kvsim({"run", "x.json", "-o", "plain"}).exit_code, 0);
  ASSERT_EQ(kvsim({"run", "x.json", "--live", "codec", "--shadow", "-o", "shadow"}).exit_code, 0);
  EXPECT_EQ(read("plain/requests.csv"), read("shadow/requests.csv"));
}

TEST_F(Live, RealOperationsTellTheTime) {
  write_experiment();
  const CommandResult result = kvsim({"run", "x.json", "--live", "rocksdb", "-o", "out"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json summary = Json::parse(read("out/summary.json"));
  EXPECT_GT(summary["live"]["lanes"][0]["done_for_real"], 0);
  EXPECT_EQ(summary["requests"]["completed"], summary["requests"]["arrived"]);
}

TEST_F(Live, AnUnknownLaneIsRefused) {
  write_experiment();
  EXPECT_EQ(kvsim({"run", "x.json", "--live", "tape", "-o", "out"}).exit_code, 2);
}

}  // namespace
}  // namespace kvsim::cli_test
