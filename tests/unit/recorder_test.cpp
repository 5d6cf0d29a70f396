#include "sim/report/recorder.hpp"

#include <gtest/gtest.h>

#include <array>

#include "sim/base/check.hpp"
#include "tests/unit/request_records.hpp"

namespace kvsim {
namespace {

double median(const Percentiles& values) { return values.quantiles(std::array{0.5})[0]; }

void feed(Recorder& recorder, const RequestRecord& record) {
  recorder.arrived();
  recorder.finished(record);
}

class Remembering final : public RequestSink {
 public:
  void finished(const RequestRecord& record) override { ids.push_back(record.id); }
  void close(const Json&) override {}
  std::vector<std::int64_t> ids;
};

TEST(Recorder, EveryRequestIsCountedWhateverItsOutcome) {
  Recorder recorder;
  for (int i = 0; i < 7; ++i) recorder.arrived();
  recorder.finished(completed_record(0, 0, 1, 0.1, 10));
  recorder.finished(tokenless_record(1, 0, 0, Outcome::kRefused));
  recorder.finished(tokenless_record(2, 0, 3, Outcome::kFailed));
  recorder.finished(tokenless_record(3, 0, 5, Outcome::kTimedOut));
  recorder.finished(tokenless_record(4, 0, 5, Outcome::kUnfinished));
  const RequestCounts& counts = recorder.counts();
  EXPECT_EQ(counts.completed, 1);
  EXPECT_EQ(counts.refused, 1);
  EXPECT_EQ(counts.failed, 1);
  EXPECT_EQ(counts.timed_out, 1);
  EXPECT_EQ(counts.unfinished(), 3);
  EXPECT_EQ(counts.most_in_flight, 7);
}

TEST(Recorder, WhatHasBeenGivenUpIsUnfinishedAndNoLongerInFlight) {
  Recorder recorder;
  for (int i = 0; i < 3; ++i) {
    recorder.arrived();
    recorder.finished(tokenless_record(i, 0, 5, Outcome::kUnfinished));
  }
  EXPECT_EQ(recorder.counts().unfinished(), 3);
  EXPECT_EQ(recorder.counts().in_flight(), 0);
  EXPECT_EQ(recorder.counts().most_in_flight, 1);
}

TEST(Recorder, TimePerOutputTokenLeavesTheFirstTokenOut) {
  EXPECT_NEAR(time_per_output_token(completed_record(0, 5, 1, 0.25, 9))->count(), 0.25, 1e-12);
  EXPECT_FALSE(time_per_output_token(completed_record(0, 5, 1, 0.25, 1)));
  EXPECT_FALSE(time_per_output_token(tokenless_record(0, 5, 1, Outcome::kTimedOut)));
}

TEST(Recorder, LatenciesAreThoseOfTheRecords) {
  Recorder recorder;
  for (int i = 0; i < 3; ++i) feed(recorder, completed_record(i, i, 1.0 + i, 0.5, 5));
  EXPECT_FLOAT_EQ(median(recorder.completed().ttft), 2);
  EXPECT_FLOAT_EQ(median(recorder.completed().e2e), 4);
  EXPECT_FLOAT_EQ(median(recorder.completed().tpot), 0.5);
  EXPECT_FLOAT_EQ(median(recorder.completed().queue), 0.5);
}

TEST(Recorder, ARequestThatGaveUpCountsWithTheTimeItWaited) {
  Recorder recorder;
  feed(recorder, completed_record(0, 0, 1, 0.5, 5));
  feed(recorder, tokenless_record(1, 0, 30, Outcome::kTimedOut));
  EXPECT_EQ(recorder.completed().ttft.count(), 1);
  EXPECT_EQ(recorder.timed_out().ttft.max(), 30);
  EXPECT_EQ(recorder.timed_out().e2e.max(), 30);
  EXPECT_EQ(recorder.timed_out().tpot.count(), 0);
}

TEST(Recorder, WaitingBeforeSendingShowsFromTheIntendedArrival) {
  Recorder recorder;
  RequestRecord record = completed_record(0, 10, 1, 0.5, 5);
  record.intended = Seconds(4);
  feed(recorder, record);
  EXPECT_EQ(recorder.completed().ttft.max(), 1);
  EXPECT_DOUBLE_EQ(recorder.intended().ttft.max(), 7);
  EXPECT_DOUBLE_EQ(recorder.intended().e2e.max(), 9);
  EXPECT_DOUBLE_EQ(recorder.intended().queue.max(), 6.25);
}

TEST(Recorder, AWindowByArrivalTakesWhatWasSentInIt) {
  Recorder recorder({Seconds(10), Seconds(5), MeasureWindow::By::kArrived});
  feed(recorder, completed_record(0, 9.9, 1, 0.5, 5));
  feed(recorder, completed_record(1, 10, 1, 0.5, 5));
  feed(recorder, completed_record(2, 14.9, 100, 0.5, 5));
  feed(recorder, completed_record(3, 15, 1, 0.5, 5));
  EXPECT_EQ(recorder.counts().completed, 4);
  EXPECT_EQ(recorder.measured().completed, 2);
  EXPECT_EQ(recorder.completed().ttft.max(), 100);
}

TEST(Recorder, AWindowByCompletionTakesWhatEndedInIt) {
  Recorder recorder({Seconds(10), Seconds(5), MeasureWindow::By::kCompleted});
  feed(recorder, completed_record(0, 1, 8.9, 0.5, 1));
  feed(recorder, completed_record(1, 1, 9, 0.5, 1));
  feed(recorder, completed_record(2, 14.5, 0.4, 0.5, 1));
  feed(recorder, completed_record(3, 14.5, 0.5, 0.5, 1));
  feed(recorder, tokenless_record(4, 12, 10, Outcome::kUnfinished));
  EXPECT_EQ(recorder.measured().completed, 2);
  EXPECT_EQ(recorder.measured().requests, 2);
}

TEST(Recorder, AWindowIsNoLongerThanTheRun) {
  const MeasureWindow window{Seconds(10), Seconds(5)};
  EXPECT_EQ(window.length(Seconds(100)), Seconds(5));
  EXPECT_EQ(window.length(Seconds(12)), Seconds(2));
  EXPECT_EQ(window.length(Seconds(3)), Seconds(0));
  EXPECT_EQ(MeasureWindow().length(Seconds(100)), Seconds(100));
}

TEST(Recorder, GapsCountOncePerSequenceAndOnlyInsideTheWindow) {
  Recorder recorder({Seconds(10), Seconds(5)});
  recorder.gap(Seconds(0.02), 30, Seconds(9));
  recorder.gap(Seconds(0.03), 8, Seconds(10));
  recorder.gap(Seconds(0.05), 2, Seconds(11));
  EXPECT_EQ(recorder.gaps().count(), 10);
  EXPECT_NEAR(recorder.gaps().mean(), (8 * 0.03 + 2 * 0.05) / 10, 1e-12);
}

TEST(Recorder, TheSloIsKeptByThoseWithinBothBounds) {
  Recorder recorder({}, {Seconds(1), Seconds(0.1)});
  feed(recorder, completed_record(0, 0, 1, 0.1, 5));
  feed(recorder, completed_record(1, 0, 1.1, 0.1, 5));
  feed(recorder, completed_record(2, 0, 1, 0.11, 5));
  feed(recorder, completed_record(3, 0, 1, 0.1, 1));
  feed(recorder, tokenless_record(4, 0, 0, Outcome::kRefused));
  feed(recorder, tokenless_record(5, 0, 0.5, Outcome::kUnfinished));
  feed(recorder, tokenless_record(6, 0, 1.5, Outcome::kUnfinished));
  EXPECT_EQ(recorder.measured().judged, 6);  // number 5 may still keep it
  EXPECT_EQ(recorder.measured().good, 2);
}

TEST(Recorder, BeyondTheLimitNothingIsKeptPerRequest) {
  Recorder recorder({}, {}, 10);
  for (int i = 0; i < 5; ++i) {
    feed(recorder, completed_record(i, 0, 1, 0.1, 5));
    feed(recorder, tokenless_record(i, 0, 30, Outcome::kTimedOut));
  }
  EXPECT_TRUE(recorder.completed().ttft.exact());
  feed(recorder, completed_record(10, 0, 1, 0.1, 5));
  for (const LatencySet* set : {&recorder.completed(), &recorder.timed_out()}) {
    EXPECT_FALSE(set->ttft.exact());
    EXPECT_FALSE(set->tpot.exact());
    EXPECT_FALSE(set->e2e.exact());
    EXPECT_FALSE(set->queue.exact());
  }
}

TEST(Recorder, SinksSeeEveryRequestInsideTheWindowOrNot) {
  Recorder recorder({Seconds(10), Seconds(5)});
  Remembering sink;
  recorder.add_sink(sink);
  feed(recorder, completed_record(7, 0, 1, 0.1, 5));
  feed(recorder, tokenless_record(8, 11, 0, Outcome::kRefused));
  EXPECT_EQ(sink.ids, (std::vector<std::int64_t>{7, 8}));
}

TEST(Recorder, PartsThatDoNotAddUpToTheTimeToFirstTokenAreABug) {
  Recorder recorder;
  RequestRecord record = completed_record(0, 0, 1, 0.1, 5);
  record.prefill += Seconds(0.01);
  recorder.arrived();
  EXPECT_THROW(recorder.finished(record), CheckFailure);
}

}  // namespace
}  // namespace kvsim
