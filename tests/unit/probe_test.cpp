// What probes share: measuring, scratch folders, bytes.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "sim/base/errors.hpp"
#include "sim/probe/kv_bytes.hpp"
#include "sim/probe/measure.hpp"
#include "sim/probe/scratch.hpp"

namespace kvsim {
namespace {

namespace fs = std::filesystem;

void sleep_for(Seconds time) {
  std::this_thread::sleep_for(std::chrono::duration<double>(time.count()));
}

std::vector<std::string> folders_in(const fs::path& parent) {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(parent)) out.push_back(entry.path());
  return out;
}

bool becomes_empty(const fs::path& parent) {
  for (int i = 0; i < 500 && !folders_in(parent).empty(); ++i) sleep_for(Seconds(0.01));
  return folders_in(parent).empty();
}

// Somebody else's child, or a zombie until its parent's parent waits for it.
bool ends(pid_t process) {
  for (int i = 0; i < 500; ++i, sleep_for(Seconds(0.01))) {
    std::ifstream status(fmt::format("/proc/{}/stat", process));
    std::string number;
    std::string name;
    std::string state;
    if (!(status >> number >> name >> state) || state == "Z") return true;
  }
  return false;
}

TEST(Measure, CallersRunAtOnce) {
  const Patience patience{.warm_up = Seconds(0), .least = Seconds(0.1), .most = Seconds(0.5)};
  const Sample sample = measure({"sleep", Bytes(1), 4}, patience, [](std::int64_t) {
    const Stopwatch watch;
    sleep_for(Seconds(0.01));
    return watch.elapsed();
  });
  EXPECT_GE(sample.shortest, Seconds(0.01));
  EXPECT_GE(sample.count, 16);
  EXPECT_EQ(sample.operation.at_once, 4);
}

TEST(Measure, SaysNoisyWhenTimesDoNotSettle) {
  const Patience patience{.least = Seconds(0), .most = Seconds(0.1), .noise = 0.01};
  int calls = 0;
  const Sample sample = measure({"grows", Bytes(1), 1}, patience, [&](std::int64_t) {
    sleep_for(Seconds(0.001));
    return Seconds(++calls);
  });
  EXPECT_TRUE(sample.noisy);
}

TEST(Measure, WhatACallerThrowsComesOut) {
  EXPECT_THROW((void)measure({"fails", Bytes(1), 3}, {},
                             [](std::int64_t caller) -> Seconds {
                               if (caller == 2) throw EnvironmentError("gone");
                               return Seconds(1e-3);
                             }),
               EnvironmentError);
}

TEST(Sample, SurvivesItsFile) {
  Sample sample = summarise({"put", Bytes(65536), 16}, {1, 2, 3, 4, 5});
  sample.extra = {{"client_cpu_s", 0.5}};
  EXPECT_EQ(sample_from_json(to_json(sample)).seen("client_cpu_s"), 0.5);
  EXPECT_FALSE(sample.seen("ratio"));
  EXPECT_EQ(to_json(sample_from_json(to_json(sample))), to_json(sample));
  EXPECT_EQ(sample.p50, Seconds(3));
  EXPECT_EQ(sample.mean, Seconds(3));
}

class ScratchTest : public testing::Test {
 protected:
  ScratchTest() {
    std::string name = (fs::temp_directory_path() / "kvsim-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "no folder";
    parent_ = name;
  }
  ~ScratchTest() override { fs::remove_all(parent_); }
  fs::path parent_;
};

TEST_F(ScratchTest, GoesWithItsOwner) {
  {
    const Scratch scratch(parent_, Bytes(1));
    std::ofstream(scratch.path() + "/file") << "x";
    EXPECT_EQ(folders_in(parent_).size(), 1U);
  }
  EXPECT_TRUE(folders_in(parent_).empty());
}

TEST_F(ScratchTest, AndItsServersGoWithAKilledProcess) {
  std::array<int, 2> ready{};
  ASSERT_EQ(pipe(ready.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    Scratch scratch(parent_, Bytes(1));
    std::ofstream(scratch.path() + "/file") << "x";
    const pid_t server = fork();
    if (server == 0) execlp("sleep", "sleep", "1000", nullptr);
    scratch.adopt(server);
    [[maybe_unused]] const auto told = write(ready[1], &server, sizeof server);
    for (;;) pause();
  }
  pid_t server = -1;
  ASSERT_EQ(read(ready[0], &server, sizeof server), static_cast<ssize_t>(sizeof server));
  EXPECT_EQ(folders_in(parent_).size(), 1U);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(becomes_empty(parent_));
  EXPECT_TRUE(ends(server));
}

TEST_F(ScratchTest, NeedsRoom) {
  EXPECT_THROW(Scratch(parent_, Bytes(std::int64_t{1} << 60)), EnvironmentError);
}

TEST_F(ScratchTest, NeedsAFolderThatIsThere) {
  EXPECT_THROW(Scratch(parent_ / "none", Bytes(1)), EnvironmentError);
}

TEST(KvBytes, EqualSeedsGiveEqualBytes) {
  std::vector<std::byte> a(100'000);
  std::vector<std::byte> b(100'000);
  fill_kv_bytes(a, "bf16", 7);
  fill_kv_bytes(b, "bf16", 7);
  EXPECT_EQ(a, b);
  fill_kv_bytes(b, "bf16", 8);
  EXPECT_NE(a, b);
}

}  // namespace
}  // namespace kvsim
