// requests.csv and result.pb, and how result files come into being.
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/base/errors.hpp"
#include "sim/report/output_file.hpp"
#include "sim/report/requests_csv.hpp"
#include "sim/report/result.pb.h"
#include "sim/report/result_pb.hpp"
#include "tests/unit/request_records.hpp"

namespace kvsim {
namespace {

namespace fs = std::filesystem;

class RequestFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::temp_directory_path() /
        ("kvsim-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string file(const char* name) const { return (folder_ / name).string(); }
  static std::string content(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
};

TEST_F(RequestFiles, AnOutputFileAppearsOnlyWhenComplete) {
  {
    OutputFile out(file("below/a.txt"));
    out.write("text");
    EXPECT_FALSE(fs::exists(file("below/a.txt")));
    out.commit();
  }
  EXPECT_EQ(content(file("below/a.txt")), "text");
}

TEST_F(RequestFiles, AnAbandonedOutputFileLeavesNothing) {
  { OutputFile(file("a.txt")).write("text"); }
  EXPECT_EQ(files(), 0u);
}

TEST_F(RequestFiles, AnAbandonedOutputFileKeepsTheOldOne) {
  write_text_file(file("a.txt"), "old");
  { OutputFile(file("a.txt")).write("new"); }
  EXPECT_EQ(content(file("a.txt")), "old");
}

TEST_F(RequestFiles, AFileThatCannotBeMadeIsTheEnvironmentsFault) {
  EXPECT_THROW(OutputFile("/proc/no/such/place"), EnvironmentError);
}

TEST_F(RequestFiles, ARowHasEveryColumnWithNanoseconds) {
  RequestsCsv csv(file("requests.csv"), {"hbm", "dram"});
  RequestRecord record = completed_record(3, 1.5, 0.25, 0.125, 9);
  record.session = 4;
  record.turn = 2;
  record.preemptions = 1;
  record.stage = 5;
  record.intended = Seconds(1.000000001);
  csv.finished(record);
  csv.close({});
  EXPECT_EQ(content(file("requests.csv")),
            "id,session,turn,replica,outcome,preemptions,input_tokens,output_tokens,"
            "hit_tokens_hbm,hit_tokens_dram,intended_s,sent_s,first_token_s,ended_s,ttft_s,"
            "tpot_s,e2e_s,queue_s,lookup_s,fetch_s,prefill_s,other_s,stage\n"
            "3,4,2,0,completed,1,100,9,32,16,1.000000001,1.500000000,1.750000000,2.750000000,"
            "0.250000000,0.125000000,1.250000000,0.062500000,0.000000000,0.031250000,"
            "0.125000000,0.031250000,5\n");
}

TEST_F(RequestFiles, ARowEndsWithTheStagesOfItsFetch) {
  RequestsCsv csv(file("requests.csv"), {}, {"client", "network"});
  csv.finished(completed_record(3, 1.5, 0.25, 0.125, 9));
  csv.close({});
  const std::string text = content(file("requests.csv"));
  EXPECT_NE(text.find(",other_s,fetch_client_s,fetch_network_s,stage\n"), std::string::npos)
      << text;
  EXPECT_TRUE(text.ends_with(",0.031250000,0.031250000,0.000000000,0\n")) << text;
}

TEST_F(RequestFiles, WhatARequestDidNotReachIsEmpty) {
  RequestsCsv csv(file("requests.csv"), {});
  csv.finished(tokenless_record(0, 2, 0, Outcome::kRefused));
  csv.close({});
  const std::string text = content(file("requests.csv"));
  EXPECT_EQ(text.substr(text.find('\n') + 1),
            "0,-1,0,-1,refused,0,100,0,2.000000000,2.000000000,,2.000000000,,,0.000000000,"
            "0.000000000,0.000000000,0.000000000,0.000000000,0.000000000,0\n");
}

TEST_F(RequestFiles, RoundingToNanosecondsCarriesOver) {
  RequestsCsv csv(file("requests.csv"), {});
  RequestRecord record = tokenless_record(0, 0.9999999999, 0, Outcome::kFailed);
  record.queue = Seconds(-1e-9);
  csv.finished(record);
  csv.close({});
  const std::string text = content(file("requests.csv"));
  EXPECT_NE(text.find(",0,1.000000000,1.000000000,"), std::string::npos) << text;
  EXPECT_NE(text.find(",-0.000000001,"), std::string::npos) << text;
}

TEST_F(RequestFiles, AMillionRowsTakeAboutASecond) {
  RequestsCsv csv(file("requests.csv"), {"hbm", "dram"});
  const RequestRecord record = completed_record(123456, 1234.5, 0.25, 0.0125, 200);
  const auto begin = std::chrono::steady_clock::now();
  constexpr int kRows = 200'000;
  for (int i = 0; i < kRows; ++i) csv.finished(record);
  csv.close({});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  RecordProperty("rows_per_s", static_cast<int>(kRows / took.count()));
  EXPECT_LT(took.count(), 5.0);  // far from the 0.1 s it takes: machines under test are busy
}

std::vector<result::Item> read_items(const std::string& text) {
  google::protobuf::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  std::vector<result::Item> out;
  bool clean_end = false;
  while (true) {
    result::Item item;
    if (!google::protobuf::util::ParseDelimitedFromZeroCopyStream(&item, &stream, &clean_end))
      break;
    out.push_back(item);
  }
  EXPECT_TRUE(clean_end);
  return out;
}

TEST_F(RequestFiles, AResultFileHasHeaderRequestsAndTrailer) {
  RunProvenance provenance;
  provenance.version = "1.2";
  provenance.config_sha256 = "abc";
  provenance.seed = 7;
  provenance.profiles = {"h100"};
  ResultPb out(file("result.pb"), provenance, {"hbm", "dram"}, {{"seed", 7}});
  out.finished(completed_record(3, 1.5, 0.25, 0.125, 9));
  out.finished(tokenless_record(4, 2, 1, Outcome::kTimedOut));
  EXPECT_FALSE(fs::exists(file("result.pb")));
  out.close({{"schema", "kvsim.summary/1"}});

  const std::vector<result::Item> items = read_items(content(file("result.pb")));
  ASSERT_EQ(items.size(), 4u);
  EXPECT_EQ(items[0].header().schema(), "kvsim.result/1");
  EXPECT_EQ(items[0].header().seed(), 7u);
  EXPECT_EQ(items[0].header().config_json(), R"({"seed":7})");
  EXPECT_EQ(items[1].request().id(), 3);
  EXPECT_EQ(items[1].request().first_token_s(), 1.75);
  EXPECT_EQ(items[1].request().hit_tokens_size(), 2);
  EXPECT_EQ(items[2].request().outcome(), result::TIMED_OUT);
  EXPECT_FALSE(items[2].request().has_first_token_s());
  EXPECT_EQ(items[3].trailer().summary_json(), R"({"schema":"kvsim.summary/1"})");
}

TEST_F(RequestFiles, AResultFileNamesTheStagesOfFetchesOnce) {
  ResultPb out(file("result.pb"), {}, {"hbm"}, Json::object(), {"client", "network"});
  out.finished(completed_record(3, 1.5, 0.25, 0.125, 9));
  out.close(Json::object());
  const std::vector<result::Item> items = read_items(content(file("result.pb")));
  EXPECT_EQ(items[0].header().fetch_stages(1), "network");
  ASSERT_EQ(items[1].request().fetch_stages_s_size(), 2);
  EXPECT_EQ(items[1].request().fetch_stages_s(0), 0.03125);
}

TEST_F(RequestFiles, EqualRunsWriteEqualResultFiles) {
  for (const char* name : {"a.pb", "b.pb"}) {
    ResultPb out(file(name), {}, {"hbm"}, Json::object());
    for (int i = 0; i < 100; ++i) out.finished(completed_record(i, 0.1 * i, 0.25, 0.125, 9));
    out.close(Json::object());
  }
  EXPECT_EQ(content(file("a.pb")), content(file("b.pb")));
}

}  // namespace
}  // namespace kvsim
