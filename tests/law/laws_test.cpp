// What must hold in every run, over random small worlds.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

#include "tests/child.hpp"
#include "tests/law/small_world.hpp"

namespace kvsim {
namespace {

constexpr std::uint64_t kWorlds = 60;

// Runs worlds in children; `law` returns complaints, one a line.
void for_all_worlds(const std::function<std::string(const Json&, const WorldResult&)>& law) {
  for (std::uint64_t seed = 1; seed <= kWorlds; ++seed) {
    const Json experiment = random_experiment(seed);
    const std::string complaints =
        text_of_child([&] { return law(experiment, run_here(experiment)); });
    ASSERT_EQ(complaints, "") << "world " << seed << ": " << experiment.dump();
  }
}

TEST(Laws, EveryRequestEndsOnceAndIsCounted) { for_all_worlds(requests_lost); }

TEST(Laws, TimesAreCausalAndPartsOfTheTimeToFirstTokenAddUp) {
  for_all_worlds(
      [](const Json&, const WorldResult& result) { return times_that_do_not_add_up(result); });
}

TEST(Laws, ATurnWaitsForTheAnswerBeforeIt) {
  for_all_worlds([](const Json&, const WorldResult& result) {
    std::map<std::pair<std::int64_t, std::int32_t>, const RequestRecord*> turns;
    for (const RequestRecord& r : result.records)
      if (r.session >= 0) turns[{r.session, r.turn}] = &r;
    std::string complaints;
    for (const auto& [key, record] : turns) {
      const auto before = turns.find({key.first, key.second - 1});
      if (before == turns.end()) continue;
      if (record->sent < before->second->ended - Seconds(1e-9))
        complaints += fmt::format("session {} turn {} did not wait\n", key.first, key.second);
    }
    return complaints;
  });
}

TEST(Laws, NoResourceIsBusyMoreThanAllTheTime) {
  for_all_worlds([](const Json&, const WorldResult& result) {
    std::string complaints;
    for (const Json& resource : result.summary["resources"])
      if (resource["utilisation"].get<double>() > 1.0 + 1e-9) complaints += resource.dump() + "\n";
    return complaints;
  });
}

TEST(Laws, AnApiServerThatCannotKeepUpDelaysTokensAndIsBusyAllTheTime) {
  // A small LLM on a fast GPU gives out more tokens than one API server can detokenise.
  const Json experiment = {{"schema", "kvsim.experiment/1"},
                           {"workload",
                            {{"kind", "generate"},
                             {"requests", 900},
                             {"input", {{"kind", "constant"}, {"value", 100}}},
                             {"output", {{"kind", "constant"}, {"value", 300}}}}},
                           {"load", {{"kind", "closed_loop"}, {"clients", 300}}},
                           {"pools", {{{"llm", "qwen3-0.6b"}, {"gpu", "b200-sxm"}}}}};
  const Json summary = Json::parse(summary_of_child(experiment));
  for (const Json& resource : summary["resources"]) {
    if (resource["kind"] != "cpu") continue;
    EXPECT_GT(resource["utilisation"].get<double>(), 0.9);
    EXPECT_LE(resource["utilisation"].get<double>(), 1.0 + 1e-9);
  }
}

TEST(Laws, HitsNeverExceedThePromptAndCompletedAnswersAreWhole) {
  for_all_worlds([](const Json&, const WorldResult& result) {
    std::string complaints;
    for (const RequestRecord& r : result.records) {
      if (r.outcome != Outcome::kCompleted || r.preemptions > 0) continue;
      if (r.hit_tokens[0] + r.hit_tokens[1] > r.input_tokens)
        complaints += fmt::format("request {} hit {} + {} of {} tokens\n", r.id, r.hit_tokens[0],
                                  r.hit_tokens[1], r.input_tokens);
      if (r.output_tokens < 1) complaints += fmt::format("request {} said nothing\n", r.id);
    }
    return complaints;
  });
}

TEST(Laws, NoFetchIsFasterThanItsWire) {
  for_all_worlds([](const Json& experiment, const WorldResult& result) {
    std::string complaints;
    // Llama-3.1-8B: 131,072 bytes a token; no profile's host link reaches 64 GB/s.
    for (const RequestRecord& r : result.records) {
      const auto links = experiment["pools"][0].value("tensor_parallel", 1.0);
      const double least = static_cast<double>(r.hit_tokens[1]) * 131072 / 64e9 / links;
      if (r.hit_tokens[1] == 0) continue;
      // Where layers are loaded beside the step, its results wait for them.
      const Seconds took =
          experiment["pools"][0]["connector"]["kind"] == "hicache" ? r.fetch + r.prefill : r.fetch;
      if (r.outcome == Outcome::kCompleted && took.count() < least)
        complaints += fmt::format("request {} fetched {} tokens in {} s\n", r.id, r.hit_tokens[1],
                                  took.count());
    }
    return complaints;
  });
}

TEST(Laws, ATierOfNoSizeEqualsNoTier) {
  for (std::uint64_t seed = 1; seed <= kWorlds; ++seed) {
    Json experiment = random_experiment(seed);
    Json& pool = experiment["pools"][0];
    pool.erase("connector");
    const std::string without = run_to_text(experiment);
    pool["connector"] = {{"kind", "native"}, {"cpu_bytes", 0}};
    ASSERT_EQ(without, run_to_text(experiment)) << "world " << seed;
  }
}

TEST(Laws, EqualSeedsGiveEqualBytes) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Json experiment = random_experiment(seed);
    ASSERT_EQ(summary_of_child(experiment), summary_of_child(experiment)) << "world " << seed;
  }
}

TEST(Laws, TheRandomWorldsExerciseEveryMechanism) {
  std::map<std::string, int> seen;
  for (std::uint64_t seed = 1; seed <= kWorlds; ++seed) {
    const Json experiment = random_experiment(seed);
    std::istringstream found(text_of_child([&] {
      const WorldResult result = run_here(experiment);
      std::string text;
      for (const RequestRecord& r : result.records) {
        if (r.preemptions > 0) text += "preempted ";
        if (r.hit_tokens[0] > 0) text += "hbm-hit ";
        if (r.hit_tokens[1] > 0) text += "dram-hit ";
        if (r.outcome == Outcome::kTimedOut) text += "timed-out ";
        if (r.turn > 0) text += "turn ";
        if (r.hit_tokens[2] + r.hit_tokens[3] > 0) text += "store-hit ";
      }
      if (!result.summary.contains("tier_troubles")) return text;
      for (const Json& tier : result.summary["tier_troubles"])
        for (const auto& [trouble, count] : tier.items())
          if (count.get<std::int64_t>() > 0) text += trouble + " ";
      return text;
    }));
    for (std::string word; found >> word;) ++seen[word];
  }
  for (const char* what : {"preempted", "hbm-hit", "dram-hit", "timed-out", "turn"})
    EXPECT_GT(seen[what], 20) << what;
  for (const char* what : {"store-hit", "dropped_tokens", "failed_loads", "bypassed"})
    EXPECT_GT(seen[what], 0) << what;
}

}  // namespace
}  // namespace kvsim
