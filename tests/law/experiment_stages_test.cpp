// Stages of an experiment: when they begin and end, what is left of one in the next, and that no
// request is lost. Steps take 10 ms: the first gives a request's first token, four more the others.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "sim/base/rng.hpp"
#include "sim/experiment/simulation.hpp"
#include "tests/child.hpp"
#include "tests/law/small_world.hpp"

namespace kvsim {
namespace {

constexpr double kNanosecond = 1e-9;

struct Story : RequestSink {
  explicit Story(const Json& experiment) : simulation(ConfigNode(experiment, "stages.json")) {
    simulation.add_sink(*this);
    simulation.run();
    summary = simulation.summary();
    spans = simulation.stage_times();
  }
  void finished(const RequestRecord& record) override { records.push_back(record); }
  void close(const Json&) override {}
  [[nodiscard]] std::vector<RequestRecord> of(std::int32_t stage) const {
    std::vector<RequestRecord> out;
    for (const RequestRecord& record : records)
      if (record.stage == stage) out.push_back(record);
    return out;
  }
  [[nodiscard]] std::int64_t count(std::int32_t stage, Outcome outcome) const {
    std::int64_t count = 0;
    for (const RequestRecord& record : of(stage)) count += record.outcome == outcome ? 1 : 0;
    return count;
  }
  [[nodiscard]] double first_sent(std::int32_t stage) const {
    double at = 1e300;
    for (const RequestRecord& record : of(stage)) at = std::min(at, record.sent.count());
    return at;
  }

  Simulation simulation;
  std::vector<RequestRecord> records;
  std::vector<StageSpan> spans;
  Json summary;
};

Json constant(std::int64_t value) { return {{"kind", "constant"}, {"value", value}}; }

Json experiment(const Json& stages) {
  const Json step = {{"kind", "constant"},
                     {"fixed_s", 0.01},
                     {"prefill_s_per_token", 0},
                     {"decode_s_per_sequence", 0}};
  Json out = {{"schema", "kvsim.experiment/1"},
              {"workload",
               {{"kind", "generate"},
                {"requests", 1000},
                {"input", constant(64)},
                {"output", constant(5)}}},
              {"load", {{"kind", "closed_loop"}, {"clients", 2}}},
              {"pools",
               {{{"llm", "llama-3.1-8b"},
                 {"gpu", "h100-sxm"},
                 {"engine",
                  {{"step_time", step},
                   {"request_overhead", false},
                   {"async_scheduling", false},
                   {"num_gpu_blocks_override", 2000}}}}}}};
  if (!stages.is_null()) out["stages"] = stages;
  return out;
}

Json ending(const char* at_end, double duration_s) {
  return {{"load", {{"at_end", at_end}, {"duration_s", duration_s}}}};
}
const Json kShort = {{"workload", {{"requests", 2}}}};

TEST(ClosedLoop, AGeneratorThatTakesTimeForARequestMakesOneAfterTheOther) {
  in_child([] {
    Json made = experiment(nullptr);
    made["workload"]["requests"] = 4;
    made["load"]["produce_s"] = 0.125;
    const Story run(made);
    std::set<double> sent;
    for (const RequestRecord& record : run.records) sent.insert(record.sent.count());
    // The first is there; the second client waits; answers take 0.05 s, so clients wait ever after.
    const std::vector<double> expected = {0, 0.125, 0.25, 0.375};
    ASSERT_EQ(sent.size(), expected.size());
    auto at = sent.begin();
    for (const double time : expected) EXPECT_NEAR(*at++, time, kNanosecond);
  });
}

TEST(ClosedLoop, AGeneratorMakesRequestsAheadWhileNobodyAsksForThem) {
  in_child([] {
    Json made = experiment(nullptr);
    made["workload"]["requests"] = 6;
    made["load"]["clients"] = 3;
    made["load"]["produce_s"] = 0.03;
    made["load"]["produce_ahead"] = 3;
    made["pools"][0]["engine"]["step_time"]["fixed_s"] = 0.1;
    const Story run(made);
    std::multiset<double> sent;
    for (const RequestRecord& record : run.records) sent.insert(record.sent.count());
    // The second and third begin with the same step, end together and find a request each.
    const std::vector<double> expected = {0, 0.03, 0.06, 0.5, 0.6, 0.6};
    ASSERT_EQ(sent.size(), expected.size());
    auto at = sent.begin();
    for (const double time : expected) EXPECT_NEAR(*at++, time, kNanosecond);
  });
}

TEST(Stages, OneThatDrainsEndsWithItsLastAnswerAndTheNextOneWaitsForItsPause) {
  in_child([] {
    Json next = kShort;
    next["pause_s"] = 0.5;
    const Story run(experiment({ending("drain", 0.125), next}));
    EXPECT_EQ(run.count(0, Outcome::kCompleted), 6);  // sent at 0, 0.05, 0.10
    EXPECT_NEAR(run.spans[0].end.count(), 0.15, kNanosecond);
    EXPECT_NEAR(run.first_sent(1), 0.65, kNanosecond);
    EXPECT_NEAR(run.spans[1].begin.count(), 0.65, kNanosecond);
    EXPECT_NEAR(run.spans[1].end.count(), 0.70, kNanosecond);
  });
}

TEST(Stages, NoneEndsBeforeItsDurationIsOver) {
  in_child([] {
    Json first = ending("drain", 1);
    first["workload"]["requests"] = 2;
    const Story run(experiment({first, kShort}));
    EXPECT_NEAR(run.first_sent(1), 1, kNanosecond);
    EXPECT_NEAR(run.spans[1].end.count(), 1.05, kNanosecond);
  });
}

TEST(Stages, OneThatIsCancelledGivesUpWhatIsInFlight) {
  in_child([] {
    const Story run(experiment({ending("cancel", 0.125), kShort}));
    EXPECT_EQ(run.count(0, Outcome::kCompleted), 4);
    ASSERT_EQ(run.count(0, Outcome::kUnfinished), 2);
    for (const RequestRecord& record : run.of(0)) {
      if (record.outcome != Outcome::kUnfinished) continue;
      EXPECT_NEAR(record.sent.count(), 0.1, kNanosecond);
      EXPECT_NEAR(record.ended.count(), 0.125, kNanosecond);
      EXPECT_EQ(record.output_tokens, 2);  // at 0.11 and 0.12
    }
    EXPECT_NEAR(run.first_sent(1), 0.125, kNanosecond);
    EXPECT_EQ(run.summary["requests"]["unfinished"], 2);
    EXPECT_EQ(run.summary["concurrency"]["max"], 2);
    EXPECT_EQ(run.summary["stages"][0]["requests"]["unfinished"], 2);
    EXPECT_NEAR(run.summary["stages"][0]["throughput"]["requests_per_s"].get<double>(), 4 / 0.125,
                1e-6);
  });
}

TEST(Stages, OneThatGoesOnIsServedBesideTheNext) {
  in_child([] {
    const Story run(experiment({ending("go_on", 0.125), kShort}));
    EXPECT_EQ(run.count(0, Outcome::kCompleted), 6);
    EXPECT_NEAR(run.first_sent(1), 0.125, kNanosecond);
    double last = 0;
    for (const RequestRecord& record : run.of(0)) last = std::max(last, record.ended.count());
    EXPECT_NEAR(last, 0.15, kNanosecond);
    EXPECT_EQ(run.summary["concurrency"]["max"], 4);
  });
}

TEST(Stages, WithoutDurationOneThatGoesOnEndsWhenAClientFindsNothingToSend) {
  in_child([] {
    Json first = {{"workload", {{"requests", 4}}}, {"load", {{"at_end", "go_on"}}}};
    const Story run(experiment({first, kShort}));
    EXPECT_NEAR(run.first_sent(1), 0.1, kNanosecond);
  });
}

TEST(Stages, ArrivalsCountFromTheBeginningOfTheStage) {
  in_child([] {
    const Json rate = {{"kind", "constant"}, {"rate_per_s", 10}, {"clients", nullptr}};
    Json first = {{"load", rate}};
    first["load"]["duration_s"] = 0.35;
    const Json second = {{"load", rate}, {"workload", {{"requests", 3}}}};
    const Story run(experiment({first, second}));
    EXPECT_EQ(run.of(0).size(), 4u);
    for (const RequestRecord& record : run.of(1)) {
      const double since = record.sent.count() - 0.35;
      EXPECT_NEAR(since * 10, std::round(since * 10), 1e-6);
      EXPECT_EQ(record.intended, record.sent);
    }
    EXPECT_NEAR(run.first_sent(1), 0.35, kNanosecond);
  });
}

TEST(Stages, AClosedLoopSendsNothingAfterItsDuration) {
  in_child([] {
    Json plain = experiment(nullptr);
    plain["load"]["duration_s"] = 0.125;
    const Story run(plain);
    EXPECT_EQ(run.count(0, Outcome::kCompleted), 6);
    EXPECT_NEAR(run.spans[0].end.count(), 0.15, kNanosecond);
  });
  in_child([] {
    Json plain = experiment(nullptr);
    plain["load"]["duration_s"] = 0.125;
    plain["load"]["at_end"] = "cancel";
    const Story run(plain);
    EXPECT_EQ(run.count(0, Outcome::kUnfinished), 2);
    EXPECT_NEAR(run.spans[0].end.count(), 0.125, kNanosecond);
    EXPECT_FALSE(run.summary.contains("stages"));
  });
}

TEST(Stages, SessionsThatOutliveAClosedLoopAreLeftOut) {
  in_child([] {
    Json plain = experiment(nullptr);
    plain["workload"]["sessions"] = {{"turns", constant(4)}};
    plain["load"]["duration_s"] = 0.125;
    const Story run(plain);
    EXPECT_EQ(run.records.size(), 6u);
    EXPECT_EQ(run.count(0, Outcome::kCompleted), 6);
  });
}

Json with_prefixes(std::int64_t groups) {
  return {
      {"workload", {{"requests", 60}, {"prefix", {{"groups", groups}, {"length", constant(320)}}}}},
      {"load", {{"clients", 1}}}};
}

TEST(Stages, CachesStayWarmAndPrefixSetsAreNested) {
  in_child([] {
    const Story run(experiment({with_prefixes(2), with_prefixes(2), with_prefixes(5)}));
    const std::array<std::int64_t, 3> fresh = {2, 0, 3};
    for (std::int32_t stage = 0; stage < 3; ++stage) {
      std::int64_t misses = 0;
      for (const RequestRecord& record : run.of(stage)) {
        misses += record.hit_tokens[0] == 0 ? 1 : 0;
        // Their own text is new, whatever the stage.
        EXPECT_TRUE(record.hit_tokens[0] == 0 || record.hit_tokens[0] == 320);
      }
      EXPECT_EQ(misses, fresh[static_cast<std::size_t>(stage)]) << stage;
    }
  });
}

TEST(Stages, TheSameTextIsFoundAgainAndOtherTextIsNot) {
  in_child([] {
    const Json any = {
        {"workload",
         {{"requests", 20},
          {"input", {{"kind", "uniform"}, {"min", 40}, {"max", 90}, {"value", nullptr}}}}}};
    Json same = any;
    same["same_text"] = true;
    const Story run(experiment({any, any, same}));
    std::array<std::multiset<std::int64_t>, 3> lengths;
    for (const RequestRecord& record : run.records) {
      lengths[static_cast<std::size_t>(record.stage)].insert(record.input_tokens);
      const std::int64_t whole = (record.input_tokens - 1) / 16 * 16;
      EXPECT_EQ(record.hit_tokens[0], record.stage == 2 ? whole : 0);
    }
    EXPECT_EQ(lengths[0], lengths[2]);
    EXPECT_NE(lengths[0], lengths[1]);
  });
}

TEST(Stages, WhatIsCancelledFreesItsBlocks) {
  in_child([] {
    Json first = ending("cancel", 0.5);
    first["workload"] = {{"output", constant(900)}};
    first["load"]["clients"] = 30;
    Json second = {
        {"workload", {{"requests", 1}, {"input", constant(1500)}, {"output", constant(90)}}}};
    Json small = experiment({first, second});
    small["pools"][0]["engine"]["num_gpu_blocks_override"] = 101;  // 1,600 tokens
    const Story run(small);
    EXPECT_EQ(run.count(0, Outcome::kUnfinished), 30);
    // From the next boundary on it is alone.
    EXPECT_EQ(run.of(1)[0].outcome, Outcome::kCompleted);
    EXPECT_LT((run.of(1)[0].ended - run.of(1)[0].sent).count(), 0.93);
  });
}

// The rest of a small world stays what it is.
Json random_stages(std::uint64_t seed) {
  Json out = random_experiment(seed);
  out.erase("measure");
  out["load"] = Json::object();
  Rng rng = stream(seed, "law/stages");
  const auto stages = 1 + static_cast<std::int64_t>(rng.below(4));
  for (std::int64_t i = 0; i < stages; ++i) {
    Json load = {{"kind", "closed_loop"}, {"clients", 1 + static_cast<std::int64_t>(rng.below(9))}};
    if (rng.below(2) == 0) load = {{"kind", "poisson"}, {"rate_per_s", rng.uniform(1, 60)}};
    const std::uint64_t end = rng.below(4);
    if (end < 3) load["duration_s"] = rng.uniform(0.01, 2);
    if (end < 2) load["at_end"] = end == 0 ? "cancel" : "go_on";
    out["stages"].push_back({{"load", load},
                             {"pause_s", rng.below(2) == 0 ? 0 : rng.uniform(0, 1)},
                             {"same_text", rng.below(3) == 0}});
  }
  return out;
}

std::string complaints(const Json& experiment, const Story& run) {
  Json lenient = experiment;
  lenient["measure"] = Json::object();  // some may be unfinished
  const WorldResult result{run.summary, run.records};
  std::string out = requests_lost(lenient, result) + times_that_do_not_add_up(result);
  const Json& stages = experiment["stages"];
  std::int64_t sent = 0;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    const std::string at_end = stages[i]["load"].value("at_end", "drain");
    const StageSpan& span = run.spans[i];
    sent += run.summary["stages"][i]["requests"]["sent"].get<std::int64_t>();
    if (i > 0 && span.begin < run.spans[i - 1].end + Seconds(stages[i]["pause_s"].get<double>()))
      out += fmt::format("stage {} began too early\n", i);
    for (const RequestRecord& r : run.of(static_cast<std::int32_t>(i))) {
      if (r.sent < span.begin) out += fmt::format("request {} was sent too early\n", r.id);
      if (r.outcome == Outcome::kUnfinished && (at_end != "cancel" || r.ended != span.end))
        out += fmt::format("request {} was given up at {}\n", r.id, r.ended.count());
      if (at_end == "drain" && r.ended > span.end)
        out += fmt::format("request {} outlived its stage\n", r.id);
      if (at_end == "cancel" && r.sent >= span.end && span.duration > Seconds(0))
        out += fmt::format("request {} was sent too late\n", r.id);
    }
  }
  if (sent != run.summary["requests"]["arrived"].get<std::int64_t>()) out += "lost in a stage\n";
  return out;
}

TEST(Stages, RequestsAreConservedOverAnySequence) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const Json made = random_stages(seed);
    const std::string text = text_of_child([&] { return complaints(made, Story(made)); });
    ASSERT_EQ(text, "") << "world " << seed << ": " << made.dump();
  }
}

TEST(Stages, OneStageIsTheSameAsNone) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Json made = random_experiment(seed);
    made.erase("measure");
    const std::string plain = run_to_text(made, /*with_summary=*/true);
    made["stages"] = Json::array({Json::object()});
    ASSERT_EQ(run_to_text(made, /*with_summary=*/true), plain) << "world " << seed;
  }
}

std::string complaint(const Json& experiment) {
  try {
    const Simulation simulation(ConfigNode(experiment, "stages.json"));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Stages, ComplaintsNameThePath) {
  Json measured = experiment(Json::array({kShort}));
  measured["measure"] = {{"duration_s", 3}};
  EXPECT_EQ(complaint(measured).find("stages.json: /measure/duration_s: found it with stages"), 0u);
  EXPECT_EQ(complaint(experiment(Json::array())).find("stages.json: /stages: found 0 stages"), 0u);
  const Json endless = {{"load", {{"at_end", "cancel"}}}};
  EXPECT_EQ(complaint(experiment({kShort, endless})).find("stages.json: /stages/1/load: found at_"),
            0u);
  const Json hasty = {{"load", {{"client_timeout_s", 1}}}};
  EXPECT_EQ(
      complaint(experiment({kShort, hasty})).find("stages.json: /stages/1/load: found another"),
      0u);
  const Json clientless = {{"load", {{"clients", 0}}}};
  EXPECT_EQ(complaint(experiment(Json::array({clientless})))
                .find("stages.json: /stages/0/load: found kind"),
            0u)
      << complaint(experiment(Json::array({clientless})));
  const Json strange = {{"workload", {{"kind", "generate"}, {"imput", 3}}}};
  EXPECT_EQ(complaint(experiment(Json::array({strange}))).find("stages.json: /stages/0/workload"),
            0u)
      << complaint(experiment(Json::array({strange})));
}

}  // namespace
}  // namespace kvsim
