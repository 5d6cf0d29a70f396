#include "sim/validate/replay.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "sim/base/errors.hpp"

namespace kvsim {
namespace {

// A folder that is gone when the test is over.
class ReplayTest : public testing::Test {
 protected:
  ReplayTest() : folder_(testing::TempDir() + "/kvsim-replay-" + std::to_string(getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~ReplayTest() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) const {
    const std::string path = (folder_ / name).string();
    std::ofstream(path) << text;
    return path;
  }

  static RequestRecord request(std::int64_t id, double sent, double first, double ended) {
    RequestRecord out;
    out.id = id;
    out.sent = Seconds(sent);
    out.first_token = Seconds(first);
    out.ended = Seconds(ended);
    return out;
  }

  std::filesystem::path folder_;
};

TEST_F(ReplayTest, RequestsArePairedByTheirPlaceInTheFileAndFailedOnesLeftOut) {
  Replay replay;
  replay.file = write("r.csv", "ttft_s,e2e_s,bad\n1,2,0\n9,9,1\n0.5,4,0\n");
  replay.measured = {{"ttft_s", "", ""}, {"e2e_s", "", ""}, "bad"};
  const auto metrics = compare_replay(
      replay, {request(2, 20, 21, 25), request(0, 0, 1.5, 3), request(1, 10, 11, 12)});
  ASSERT_EQ(metrics.size(), 2u);
  EXPECT_EQ(metrics[0].measured, (std::vector<double>{1, 0.5}));
  EXPECT_EQ(metrics[0].predicted, (std::vector<double>{1.5, 1}));
  EXPECT_EQ(metrics[1].measured, (std::vector<double>{2, 4}));
  EXPECT_EQ(metrics[1].predicted, (std::vector<double>{3, 5}));
}

TEST_F(ReplayTest, ADurationMayBeTheTimeBetweenTwoFields) {
  Replay replay;
  replay.file = write("r.jsonl", R"({"queued": 10.0, "first": 10.5, "last": 12.0})");
  replay.measured = {{"", "queued", "first"}, {"", "queued", "last"}, ""};
  const auto metrics = compare_replay(replay, {request(0, 0, 1, 2)});
  EXPECT_NEAR(metrics[0].measured.at(0), 0.5, 1e-12);
  EXPECT_NEAR(metrics[1].measured.at(0), 2.0, 1e-12);
}

TEST_F(ReplayTest, AFileOfAnotherNumberOfRequestsIsAComplaint) {
  Replay replay;
  replay.file = write("r.csv", "ttft_s,e2e_s\n1,2\n");
  replay.measured = {{"ttft_s", "", ""}, {"e2e_s", "", ""}, ""};
  EXPECT_THROW((void)compare_replay(replay, {}), TraceError);
}

}  // namespace
}  // namespace kvsim
