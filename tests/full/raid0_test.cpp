// RAID0 against its members: two devices of a limited rate each are measured alone, and then as one
// array. The stripe of two drives fitted to the members has to predict the array within 20 %.
//
// Members are loop devices in memory with a limit of bytes a second (raid0_devices.sh), because
// members over one disk would not be independent. Such a limit is a budget, not a drive that works
// on a request for some time: two members earn side by side while one caller uses them in turn. So
// small requests, one at a time, are compared without a limit.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <memory>
#include <sstream>

#include "sim/base/registry.hpp"
#include "sim/calibrate/lane_model.hpp"
#include "sim/probe/bench.hpp"
#include "sim/probe/bench_disk_queue.hpp"
#include "tests/child.hpp"

namespace kvsim {
namespace {

constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;
constexpr double kRate = 64e6;  // of a member
constexpr std::int64_t kBtrfsStripe = 64 * kKiB;
constexpr std::int64_t kMdChunk = 512 * kKiB;
constexpr double kAllowed = 0.2;

// The helper script, which cleans up when this process ends.
class Devices {
 public:
  Devices() {
    std::array<int, 2> commands{};
    std::array<int, 2> answers{};
    if (pipe2(commands.data(), O_CLOEXEC) != 0 || pipe2(answers.data(), O_CLOEXEC) != 0) return;
    const std::string script = KVSIM_SOURCE_DIR "/tests/full/raid0_devices.sh";
    const std::string folder = fmt::format("/dev/shm/kvsim-raid0-{}", getpid());
    const std::string rate = fmt::format("{:.0f}", kRate);
    const std::string process = fmt::format("{}", getpid());
    child_ = fork();
    if (child_ == 0) {
      setsid();
      dup2(commands[0], STDIN_FILENO);
      dup2(answers[1], STDOUT_FILENO);
      execl("/bin/sh", "sh", script.c_str(), folder.c_str(), rate.c_str(), process.c_str(),
            nullptr);
      _exit(127);
    }
    close(commands[0]);
    close(answers[1]);
    commands_ = commands[1];
    answers_ = fdopen(answers[0], "r");
  }
  ~Devices() {
    close(commands_);
    if (answers_ != nullptr) fclose(answers_);
    waitpid(child_, nullptr, 0);
  }
  // Folders, or what starts with "no:".
  std::string ask(const std::string& command) {
    const std::string line = command + "\n";
    if (write(commands_, line.data(), line.size()) < 0) return "no: the helper is gone";
    std::array<char, 4096> answer{};
    if (fgets(answer.data(), answer.size(), answers_) == nullptr) return "no: no answer";
    std::string out = answer.data();
    while (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
  }

 private:
  pid_t child_ = -1;
  int commands_ = -1;
  FILE* answers_ = nullptr;
};

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

// A budget lets requests pass in bursts of a tenth of a second: the mean is the rate. Without one,
// the time of the quickest tenth: other work on this machine must not count.
Sample in_one_figure(Sample sample, bool limited) {
  sample.p50 = limited ? sample.mean : sample.p10;
  return sample;
}

std::vector<Sample> measured(const std::vector<std::string>& folders, std::int64_t chunk,
                             const std::vector<BenchOperation>& plan, bool limited = true) {
  // Its files are elsewhere.
  Scratch scratch("/dev/shm", Bytes(kMiB));
  const Json options = {{"kind", "disk"},
                        {"folders", folders},
                        {"file_bytes", 128 * kMiB * static_cast<std::int64_t>(folders.size())},
                        {"chunk_bytes", chunk}};
  const auto bench =
      Registry<Bench>::instance().make(ConfigNode(options, "test"), {.scratch = scratch});
  const Patience patience{
      .warm_up = Seconds(0.2), .least = Seconds(0.8), .most = Seconds(1), .operations = 32};
  std::vector<Sample> out;
  for (const BenchOperation& operation : plan) {
    // The better of two: other work on this machine only ever takes away.
    const Sample first = in_one_figure(bench->measure(operation, patience), limited);
    const Sample second = in_one_figure(bench->measure(operation, patience), limited);
    out.push_back(first.p50 < second.p50 ? first : second);
  }
  return out;
}

std::vector<BenchOperation> both_ways(const std::vector<std::pair<std::int64_t, int>>& loads) {
  std::vector<BenchOperation> out;
  for (const char* name : {"read", "write"})
    for (const auto& [bytes, at_once] : loads) out.push_back({name, Bytes(bytes), at_once});
  return out;
}

std::unique_ptr<LaneModel> lane() {
  const Json name = "disk";
  return Registry<LaneModel>::instance().make(ConfigNode(name, "test"), {});
}

Json fitted_member(const std::string& folder) {
  const auto samples =
      measured({folder}, kMdChunk,
               both_ways({{16 * kKiB, 8}, {64 * kKiB, 8}, {kMiB, 1}, {kMiB, 4}, {4 * kMiB, 2}}));
  Figures figures;
  (void)lane()->fit(samples, figures);
  const Json& disk = figures["disk"];
  fmt::print("  {}: {:.1f} MB/s read, {:.1f} written\n", folder,
             disk["read_bytes_per_s"].get<double>() / 1e6,
             disk["write_bytes_per_s"].get<double>() / 1e6);
  return disk;
}

void compare(const std::string& array, const std::vector<Sample>& samples, const Json& members,
             std::int64_t chunk, bool held = true) {
  const Figures figures = {
      {"disk", {{"kind", "raid0"}, {"members", members}, {"chunk_bytes", chunk}}}};
  const auto times = numbers_of_child([&] {
    World world;
    Tasks tasks(world);
    std::vector<double> out;
    for (const Sample& sample : samples)
      out.push_back(evaluate(*lane(), tasks, sample.operation, figures).count());
    return out;
  });
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const BenchOperation& operation = samples[i].operation;
    const double moved = operation.bytes.real() * static_cast<double>(operation.at_once) / 1e6;
    const double truth = moved / samples[i].p50.count();
    const double model = moved / times[i];
    fmt::print("  {:<6} {:<6} {:>8} x{:<3} measured {:7.1f} MB/s, predicted {:7.1f} ({:+5.1f} %)\n",
               array, operation.name, operation.bytes.count(), operation.at_once, truth, model,
               (model / truth - 1) * 100);
    if (!held) continue;
    EXPECT_LE(std::abs(model / truth - 1), kAllowed)
        << array << " " << operation.name << " " << operation.bytes.count() << " x"
        << operation.at_once;
  }
  std::fflush(stdout);
}

TEST(Raid0, AnArrayIsPredictedFromItsMembersWithinAFifth) {
  if (!DiskQueue::works()) GTEST_SKIP() << "io_uring is forbidden here";
  Devices devices;
  const std::string alone = devices.ask("alone");
  if (alone.starts_with("no:")) GTEST_SKIP() << alone;
  const std::vector<std::string> folders = words_of(alone);
  const Json members = {fitted_member(folders[0]), fitted_member(folders[1])};
  const auto striped = measured(folders, kMdChunk,
                                both_ways({{64 * kKiB, 16}, {kMiB, 1}, {kMiB, 8}, {4 * kMiB, 2}}));
  compare("files", striped, members, kMdChunk);
  const std::string array = devices.ask("array");
  ASSERT_FALSE(array.starts_with("no:")) << array;
  const auto whole = measured({array}, kMdChunk,
                              both_ways({{32 * kKiB, 16},
                                         {64 * kKiB, 16},
                                         {256 * kKiB, 4},
                                         {kMiB, 1},
                                         {kMiB, 4},
                                         {4 * kMiB, 1},
                                         {4 * kMiB, 4}}));
  compare("btrfs", whole, members, kBtrfsStripe);
  // Small ones are no faster on two. Without a limit the processors are one, and others on this
  // machine share those: printed, not held to the fifth.
  const auto small = both_ways({{4 * kKiB, 1}, {16 * kKiB, 1}});
  ASSERT_EQ(devices.ask("free"), "free");
  const auto on_array = measured({array}, kMdChunk, small, false);
  (void)devices.ask("alone");
  Figures figures;
  (void)lane()->fit(measured({folders[0]}, kMdChunk, small, false), figures);
  compare("free", on_array, {figures["disk"], figures["disk"]}, kBtrfsStripe, false);
}

}  // namespace
}  // namespace kvsim
