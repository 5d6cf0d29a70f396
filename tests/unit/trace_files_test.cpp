// Packed files, our own format, and what a conversion keeps.
#include <limits>

#include "sim/workload/trace_writer.hpp"
#include "tests/unit/traces.hpp"

namespace kvsim {
namespace {

std::string written(const std::vector<Request>& requests, const std::string& format) {
  std::string out;
  const auto writer = make_trace_writer(format, [&](std::string_view part) { out += part; });
  for (const Request& request : requests) writer->write(request);
  writer->finish();
  return out;
}

std::string long_trace(int requests) {
  std::string text = "arrived_at,num_prefill_tokens,num_decode_tokens\n";
  for (int i = 0; i < requests; ++i) text += fmt::format("{},{},{}\n", i, 100 + i % 977, 1 + i % 7);
  return text;
}

TEST(PackedTrace, GzipAndLz4ReadAsPlainDoes) {
  const std::string text = long_trace(50'000);
  const ReadTrace plain = read_text(text);
  EXPECT_EQ(plain.requests.size(), 50'000u);
  EXPECT_EQ(read_text(gzip(text)).digest, plain.digest);
  EXPECT_EQ(read_text(lz4(text)).digest, plain.digest);
}

TEST(PackedTrace, FramesAndMembersOneAfterTheOtherAreOneFile) {
  const std::string text = long_trace(1000);
  const std::string head = text.substr(0, 5003);
  const std::string tail = text.substr(5003);
  const std::string digest = read_text(text).digest;
  EXPECT_EQ(read_text(gzip(head) + gzip(tail)).digest, digest);
  EXPECT_EQ(read_text(lz4(head) + lz4(tail)).digest, digest);
}

TEST(PackedTrace, ACutFileSaysSoAndHowManyRequestsCameBefore) {
  const std::string text = long_trace(200'000);
  const std::string zipped = gzip(text);
  const std::string message = complaint(zipped.substr(0, zipped.size() / 2));
  EXPECT_NE(message.find("inside a gzip stream: it is cut off"), std::string::npos) << message;
  EXPECT_NE(message.find("requests were used before it)"), std::string::npos) << message;
  EXPECT_EQ(message.find("(0 requests"), std::string::npos) << message;
  const std::string packed = lz4(text);
  const std::string other = complaint(packed.substr(0, packed.size() / 2));
  EXPECT_NE(other.find("inside an LZ4 frame: it is cut off"), std::string::npos) << other;
}

TEST(PackedTrace, DamagedBytesAreAComplaint) {
  std::string zipped = gzip(long_trace(50'000));
  zipped[zipped.size() / 2] ^= 0x55;
  zipped[zipped.size() / 2 + 1] ^= 0x55;
  EXPECT_NE(complaint(zipped), "");
}

TEST(OwnFormat, AConvertedTraceHasTheDigestOfTheOriginal) {
  for (const auto& [name, text] : example_traces()) {
    const ReadTrace original = read_text(text);
    const ReadTrace converted = read_text(written(original.requests, "kvsim"));
    EXPECT_EQ(converted.digest, original.digest) << name;
    EXPECT_EQ(converted.requests.size(), original.requests.size()) << name;
  }
}

TEST(OwnFormat, EveryFieldOfARequestComesBack) {
  Request request;
  request.arrival = Seconds(0.1);
  request.input = Tokens(30);
  request.output = Tokens(5);
  request.session = 3;
  request.turn = 2;
  request.last_turn = true;
  request.think = Seconds(1.0 / 3.0);
  request.priority = -4;
  request.prompt = {{~0ULL, 7, 10}, {2, 0, 20}};
  request.answer_stream = 99;
  request.answer = {{8, 1, 5}};
  const auto requests = read_text(written({request}, "kvsim")).requests;
  ASSERT_EQ(requests.size(), 1u);
  const Request& back = requests[0];
  EXPECT_EQ(back.arrival, request.arrival);
  EXPECT_EQ(back.input, request.input);
  EXPECT_EQ(back.output, request.output);
  EXPECT_EQ(back.session, request.session);
  EXPECT_EQ(back.turn, request.turn);
  EXPECT_EQ(back.last_turn, request.last_turn);
  EXPECT_EQ(back.think, request.think);
  EXPECT_EQ(back.priority, request.priority);
  EXPECT_EQ(back.prompt, request.prompt);
  EXPECT_EQ(back.answer_stream, request.answer_stream);
  EXPECT_EQ(back.answer, request.answer);
}

TEST(OwnFormat, AFileWithoutItsEndSaysSo) {
  const std::string whole = written(read_text(long_trace(100'000)).requests, "kvsim");
  const std::string cut = complaint(whole.substr(0, whole.size() - 100));
  EXPECT_NE(cut.find("it is cut off"), std::string::npos) << cut;
  const std::string half = complaint(whole.substr(0, whole.size() / 2));
  EXPECT_NE(half.find("requests were used before it)"), std::string::npos) << half;
}

TEST(OwnFormat, TwoTracesInOneFileAreNotOne) {
  const std::string one = written(read_text(long_trace(3)).requests, "kvsim");
  EXPECT_NE(complaint(one + one).find("more bytes after the end item"), std::string::npos);
}

TEST(OwnFormat, ImpossibleRequestsAreComplainedOf) {
  Request good;
  good.input = Tokens(1);
  good.output = Tokens(1);
  good.prompt = {{1, 0, 1}};
  Request request = good;
  request.prompt = {{1, 0, std::int64_t{1} << 62}, {2, 0, std::int64_t{1} << 62}};
  EXPECT_NE(complaint(written({request}, "kvsim")).find("a prompt of 1000000001 tokens"),
            std::string::npos);
  request = good;
  request.arrival = Seconds(std::numeric_limits<double>::quiet_NaN());
  EXPECT_NE(complaint(written({request}, "kvsim")).find("an arrival at nan s"), std::string::npos);
  request = good;
  request.turn = 1;
  EXPECT_NE(complaint(written({request}, "kvsim")).find("turn 1 of session -1"), std::string::npos);
}

TEST(MooncakeWriter, WhatItReadItWritesAgainWithTheSameSharing) {
  const ReadTrace original = read_text(example_traces()[0].second);
  const std::string text = written(original.requests, "mooncake");
  EXPECT_EQ(text, example_traces()[0].second);
}

TEST(MooncakeWriter, SessionsComeBackAsSessions) {
  const ReadTrace original = read_text(example_traces()[4].second);
  const auto requests = read_text(written(original.requests, "mooncake")).requests;
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[2].turn, 1);
  EXPECT_EQ(requests[2].think, Seconds(2));
  EXPECT_EQ(requests[2].input, Tokens(150));
}

TEST(TraceDigest, ChangesWithEveryFieldAndNotWithTheId) {
  Request request;
  request.input = Tokens(1);
  request.output = Tokens(1);
  request.prompt = {{1, 0, 1}};
  const auto digest = [](const Request& r) { return read_text(written({r}, "kvsim")).digest; };
  const std::string before = digest(request);
  Request other = request;
  other.id = 9;
  EXPECT_EQ(digest(other), before);
  other = request;
  other.arrival = Seconds(1e-9);
  EXPECT_NE(digest(other), before);
  other = request;
  other.output = Tokens(2);
  EXPECT_NE(digest(other), before);
  other = request;
  other.prompt[0].stream = 2;
  EXPECT_NE(digest(other), before);
}

}  // namespace
}  // namespace kvsim
