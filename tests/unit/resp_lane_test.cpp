// The RESP lane: its fit finds the constants that made the samples, its twin obeys closed forms,
// and what a bench is told in its address.
#include <gtest/gtest.h>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/calibrate/lane_model.hpp"
#include "sim/probe/bench_resp_connection.hpp"
#include "sim/probe/resp_server_process.hpp"

namespace kvsim {
namespace {

std::unique_ptr<LaneModel> resp_model() {
  const Json kind = "resp";
  return Registry<LaneModel>::instance().make(ConfigNode(kind, "test"), {});
}

Figures truth() {
  return {{"cpu", {{"cores", 2}, {"copy_bytes_per_s", 10e9}, {"memory_bytes_per_s", 100e9}}},
          {"clients",
           {{"resp",
             {{"threads", 8},
              {"blocking", true},
              {"streams", true},
              {"command_s", 15e-6},
              {"send_bytes_per_s", 2.5e9},
              {"receive_bytes_per_s", 3e9}}}}},
          {"stores",
           {{"redis",
             {{"command_s", 10e-6},
              {"tcp_copies", 1.5},
              {"tcp_copies_out", 4.0},
              {"fresh_copies", 4.0}}}}},
          {"network", {{"loopback_round_trip_s", 25e-6}}}};
}

double model_of(const BenchOperation& operation, const Figures& figures) {
  World world;
  Tasks tasks(world);
  return evaluate(*resp_model(), tasks, operation, figures).count();
}

TEST(RespLane, ACommandAloneTakesBothEndsAndTheRoundTrip) {
  EXPECT_NEAR(model_of({"exists", Bytes(1024), 1}, truth()), 15e-6 + 10e-6 + 25e-6, 1e-9);
}

TEST(RespLane, AValueIsTakenInWhileItIsSent) {
  const double bytes = 1 << 20;
  // The server's command passes beside the sending.
  EXPECT_NEAR(model_of({"set", Bytes(1 << 20), 1}, truth()),
              40e-6 + bytes / 2.5e9 + 2.5 * bytes / 10e9 / 8, 1e-9);
}

TEST(RespLane, AValueIsReceivedWhileItIsSent) {
  const double bytes = 1 << 20;
  EXPECT_NEAR(model_of({"get", Bytes(1 << 20), 1}, truth()),
              50e-6 + 6 * bytes / 10e9 + bytes / 3e9 / 8, 1e-9);
}

TEST(RespLane, ManyAtOnceWaitForTheOneThreadOrForTheCores) {
  const double bytes = 1 << 20;
  const double server = 10e-6 + 6 * bytes / 10e9;
  const double cores = (25e-6 + bytes / 2.5e9 + 2.5 * bytes / 10e9) / 2;
  const double get = model_of({"get", Bytes(1 << 20), 16}, truth());
  const double set = model_of({"set", Bytes(1 << 20), 16}, truth());
  EXPECT_GE(get, 15.9 * server);
  EXPECT_LE(get, 1.25 * 16 * server);
  EXPECT_GE(set, 15.9 * cores);
  EXPECT_LE(set, 1.25 * 16 * cores);
}

TEST(RespLane, TheFitFindsTheConstantsOfTheTwinsOwnSamples) {
  std::vector<Sample> samples;
  for (const BenchOperation& operation : resp_model()->plan(true)) {
    Sample sample = summarise(operation, {model_of(operation, truth())});
    const double bytes = operation.bytes.real();
    const double fresh = bytes >= (8 << 20) ? 4.0 : 0;
    const bool sets = operation.name == "set";
    const bool moves = sets || operation.name == "get";
    const double copies = (sets ? 2.5 : 6.0) + fresh;
    sample.extra = {{"on_redis", 1},
                    {"client_cpu_s", 15e-6 + (moves ? bytes / (sets ? 2.5e9 : 3e9) : 0)},
                    {"server_cpu_s", 10e-6 + (moves ? bytes * copies / 10e9 : 0)}};
    samples.push_back(sample);
  }
  Figures found = {{"cpu", truth()["cpu"]}};
  EXPECT_EQ(resp_model()->fit(samples, found).size(), 8U);
  const auto expect = [&](const char* path, double share) {
    const Json::json_pointer at(path);
    const double value = truth()[at].get<double>();
    EXPECT_NEAR(found[at].get<double>() / value, 1, share) << path;
  };
  // Which end of a SET spent how much, its CPU time tells.
  expect("/clients/resp/send_bytes_per_s", 0.15);
  expect("/clients/resp/receive_bytes_per_s", 0.15);
  expect("/stores/redis/tcp_copies", 0.3);
  expect("/stores/redis/tcp_copies_out", 0.15);
  expect("/stores/redis/fresh_copies", 0.15);
  for (const Sample& sample : samples)
    EXPECT_NEAR(model_of(sample.operation, found) / sample.p50.count(), 1, 0.3)
        << sample.operation.name << " " << sample.operation.bytes.count() << " "
        << sample.operation.at_once;
}

TEST(RespLane, SaysWhichServerTheFiguresAreOf) {
  Sample sample = summarise({"exists", Bytes(1024), 1}, {50e-6});
  sample.extra = {{"on_valkey", 1}};
  Figures found = {{"cpu", truth()["cpu"]}};
  resp_model()->fit({sample}, found);
  EXPECT_TRUE(found["stores"].contains("valkey"));
}

TEST(RespTarget, AnAddressSaysUserPasswordHostPortAndDatabase) {
  const RespTarget target = parse_resp_url("redis://me:p%40ss@example.org:7000/3");
  EXPECT_EQ(target.user, "me");
  EXPECT_EQ(target.password, "p@ss");
  EXPECT_EQ(target.host, "example.org");
  EXPECT_EQ(target.port, 7000);
  EXPECT_EQ(target.database, 3);
  EXPECT_EQ(target.name(), "redis://example.org:7000") << "no password in messages";
  EXPECT_EQ(parse_resp_url("valkey://[::1]").host, "::1");
  EXPECT_EQ(parse_resp_url("redis://localhost").port, 6379);
}

TEST(RespTarget, RefusesWhatIsNoAddressWithoutShowingAPassword) {
  for (const char* wrong : {"http://x", "redis://", "redis://h:99999", "redis://a:secret@h:x"}) {
    try {
      (void)parse_resp_url(wrong);
      ADD_FAILURE() << wrong;
    } catch (const ConfigError& error) {
      EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos);
    }
  }
}

TEST(RespConnection, SaysWhoRefused) {
  try {
    const RespConnection nobody({.port = 1}, Seconds(1));
    ADD_FAILURE();
  } catch (const EnvironmentError& error) {
    EXPECT_NE(std::string(error.what()).find("redis://127.0.0.1:1: cannot connect"),
              std::string::npos)
        << error.what();
  }
}

TEST(RespServerProcess, NamesAProgramThatIsNotThere) {
  Scratch scratch(testing::TempDir(), Bytes(1));
  EXPECT_THROW(RespServerProcess(scratch, "no-such-server"), EnvironmentError);
}

}  // namespace
}  // namespace kvsim
