// The RESP bench with real servers, each started here on a loopback port of its own: Redis, and
// Valkey where it is installed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/probe/bench.hpp"
#include "sim/probe/resp_server_process.hpp"

namespace kvsim {
namespace {

constexpr Patience kShort{
    .warm_up = Seconds(0.01), .least = Seconds(0.05), .most = Seconds(0.2), .operations = 4};

class RealServer : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (find_program({GetParam()}).empty()) GTEST_SKIP() << GetParam() << " is not installed";
  }
  std::unique_ptr<Bench> bench(const Json& options) {
    Json config = options;
    config["kind"] = "resp";
    return Registry<Bench>::instance().make(ConfigNode(config, "test"), {scratch_});
  }
  std::unique_ptr<Bench> bench_of(const RespServerProcess& server, double time_out = 10) {
    return bench({{"url", server.target().name()}, {"time_out_s", time_out}});
  }
  static std::string failure_of(const std::function<void()>& body) {
    try {
      body();
    } catch (const EnvironmentError& error) {
      return error.what();
    }
    return "no failure";
  }
  static void expect_says(const std::string& message, const std::string& part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
  Scratch scratch_{testing::TempDir(), Bytes(1)};
};

TEST_P(RealServer, EveryOperationTakesTimeOfBothEnds) {
  const auto bench = this->bench({{"server", GetParam()}});
  for (const std::string& name : bench->operations()) {
    const Sample sample = bench->measure({name, Bytes(1 << 20), 2}, kShort);
    EXPECT_GT(sample.p50, Seconds(0)) << name;
    EXPECT_GT(sample.seen("client_cpu_s").value_or(0), 0) << name;
    EXPECT_GT(sample.seen("server_cpu_s").value_or(0), 0) << name;
  }
  EXPECT_EQ(bench->identity()["started_here"], true);
  EXPECT_EQ(std::string(GetParam()).find(bench->identity()["server"].get<std::string>()), 0U);
}

TEST_P(RealServer, KeysAreGoneAfterwardsAndOthersStay) {
  const RespServerProcess server(scratch_, GetParam());
  RespConnection connection(server.target(), Seconds(5));
  connection.command({"SET", "mine", "x"});
  bench_of(server)->measure({"set", Bytes(65536), 4}, kShort);
  EXPECT_EQ(connection.command({"DBSIZE"}).front(), "1");
  EXPECT_EQ(connection.command({"GET", "mine"}).front(), "x");
}

TEST_P(RealServer, SaysThatAPasswordIsWrongOrMissing) {
  const RespServerProcess server(scratch_, GetParam());
  RespConnection(server.target(), Seconds(5)).command({"CONFIG", "SET", "requirepass", "right"});
  const int port = server.target().port;
  const auto with = [&](const std::string& sign_in) {
    return [this, port, sign_in] {
      bench({{"url", fmt::format("redis://{}127.0.0.1:{}", sign_in, port)}});
    };
  };
  expect_says(failure_of(with(":wrong@")), "WRONGPASS");
  expect_says(failure_of(with("")), "NOAUTH");
  EXPECT_EQ(failure_of(with(":right@")), "no failure");
}

TEST_P(RealServer, RefusesWhatMaxmemoryDoesNotHold) {
  const RespServerProcess server(scratch_, GetParam(), {"maxmemory 20mb"});
  const auto bench = bench_of(server);
  expect_says(failure_of([&] { bench->measure({"set", Bytes(1 << 20), 1}, kShort); }), "maxmemory");
}

TEST_P(RealServer, SaysThatTheServerIsOutOfMemory) {
  const RespServerProcess server(scratch_, GetParam());
  RespConnection connection(server.target(), Seconds(5));
  connection.command({"CONFIG", "SET", "maxmemory", "1"});
  const std::string value = "x";
  expect_says(failure_of([&] { connection.set("key", std::as_bytes(std::span(value))); }), "OOM");
}

TEST_P(RealServer, ThatDiesInTheMiddleIsOneLine) {
  const RespServerProcess server(scratch_, GetParam());
  const auto bench = bench_of(server);
  std::thread killer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    kill(server.process(), SIGKILL);
  });
  const Patience long_patience{.least = Seconds(5), .most = Seconds(10)};
  expect_says(failure_of([&] {
                bench->measure({"get", Bytes(1 << 16), 2}, long_patience);
              }),
              server.target().name());
  killer.join();
}

TEST_P(RealServer, ThatAnswersNoMoreIsGivenUp) {
  const RespServerProcess server(scratch_, GetParam());
  const auto bench = bench_of(server, 0.5);
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    kill(server.process(), SIGSTOP);
  });
  const Patience long_patience{.least = Seconds(5), .most = Seconds(10)};
  expect_says(failure_of([&] {
                bench->measure({"get", Bytes(1 << 16), 2}, long_patience);
              }),
              "no answer in 0.5 s");
  stopper.join();
  kill(server.process(), SIGCONT);
}

INSTANTIATE_TEST_SUITE_P(Servers, RealServer, testing::Values("redis-server", "valkey-server"));

}  // namespace
}  // namespace kvsim
