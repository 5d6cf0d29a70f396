#include "sim/workload/generator.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "sim/workload/block_hash.hpp"

namespace kvsim {
namespace {

GeneratorConfig config_of(const std::string& text) {
  const Json json = parse_json(text, "test");
  return read_config<GeneratorConfig>(ConfigNode(json, "test"));
}

std::vector<Request> all(RequestSource& source) {
  std::vector<Request> out;
  Request request;
  while (source.next(request)) out.push_back(request);
  return out;
}

std::vector<Request> generate(const std::string& text, std::uint64_t seed = 1) {
  return all(*make_generator(config_of(text), seed));
}

std::string complaint(const std::string& text) {
  try {
    static_cast<void>(make_generator(config_of(text), 1));
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "none";
}

std::int64_t tokens(const std::vector<ContentRun>& runs) {
  std::int64_t sum = 0;
  for (const ContentRun& run : runs) sum += run.length;
  return sum;
}

TEST(Generator, MakesAsManyRequestsAsAskedFor) {
  const auto requests = generate(R"({"requests": 17})");
  ASSERT_EQ(requests.size(), 17U);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(requests[i].id, static_cast<std::int64_t>(i));
    EXPECT_EQ(requests[i].arrival, Seconds(0));
    EXPECT_EQ(requests[i].session, -1);
    EXPECT_EQ(tokens(requests[i].prompt), requests[i].input.count());
  }
}

TEST(Generator, PromptsWithoutSharingHaveNoTokenInCommon) {
  std::map<std::uint64_t, int> uses;
  for (const Request& request : generate(R"({"requests": 500})")) {
    ++uses[request.answer_stream];
    for (const ContentRun& run : request.prompt) ++uses[run.stream];
  }
  EXPECT_EQ(uses.size(), 1000U);
}

TEST(Generator, EqualSeedsGiveEqualDigestsAndOthersDoNot) {
  const GeneratorConfig config = config_of(R"({"requests": 300, "sessions": {}})");
  const auto digest = [&](std::uint64_t seed) {
    const auto source = make_generator(config, seed);
    all(*source);
    return source->digest();
  };
  EXPECT_EQ(digest(5), digest(5));
  EXPECT_NE(digest(5), digest(6));
}

TEST(Generator, ChangingOutputsLeavesInputsAsTheyWere) {
  const auto before = generate(R"({"requests": 50})");
  const auto after =
      generate(R"({"requests": 50, "output": {"kind": "uniform", "min": 1, "max": 9}})");
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(before[i].input, after[i].input);
}

TEST(Generator, SharedPrefixesComeOnTopOfTheInput) {
  const auto requests = generate(R"({"requests": 400, "input": {"kind": "constant", "value": 10},
      "prefix": {"groups": 4, "length": {"kind": "constant", "value": 2048}}})");
  std::map<std::uint64_t, int> groups;
  for (const Request& request : requests) {
    ASSERT_EQ(request.prompt.size(), 2U);
    EXPECT_EQ(request.prompt[0].length, 2048);
    EXPECT_EQ(request.input, Tokens(2058));
    ++groups[request.prompt[0].stream];
  }
  ASSERT_EQ(groups.size(), 4U);
  for (const auto& [group, count] : groups) EXPECT_NEAR(count, 100, 40);
}

TEST(Generator, ZipfGivesEachGroupItsWeight) {
  const auto requests = generate(R"({"requests": 20000,
      "prefix": {"groups": 3, "length": {"kind": "constant", "value": 16}, "choice": "zipf",
                 "exponent": 1}})");
  std::map<std::uint64_t, double> share;
  for (const Request& request : requests) share[request.prompt[0].stream] += 1.0 / 20000;
  // Weights 1, 1/2 and 1/3: 6/11, 3/11 and 2/11.
  std::vector<double> shares;
  for (const auto& [group, part] : share) shares.push_back(part);
  ASSERT_EQ(shares.size(), 3U);
  EXPECT_NEAR(shares[0], 6.0 / 11, 0.02);
  EXPECT_NEAR(shares[1], 3.0 / 11, 0.02);
  EXPECT_NEAR(shares[2], 2.0 / 11, 0.02);
}

TEST(Generator, ATurnsPromptGrowsByTheAnswerAndTheNewText) {
  const auto turns = generate(R"({"requests": 3, "input": {"kind": "constant", "value": 100},
      "output": {"kind": "constant", "value": 28},
      "sessions": {"turns": {"kind": "constant", "value": 3}}})");
  ASSERT_EQ(turns.size(), 3U);
  EXPECT_EQ(turns[0].input, Tokens(100));
  EXPECT_EQ(turns[1].input, Tokens(228));
  EXPECT_EQ(turns[2].input, Tokens(356));
  ASSERT_EQ(turns[1].prompt.size(), 3U);
  EXPECT_EQ(turns[1].prompt[0], turns[0].prompt[0]);
  EXPECT_EQ(turns[1].prompt[1], (ContentRun{turns[0].answer_stream, 0, 28}));
}

TEST(Generator, TheNextTurnsFirstBlocksAreThoseOfPromptAndAnswer) {
  const auto turns = generate(R"({"requests": 2, "input": {"kind": "constant", "value": 100},
      "output": {"kind": "constant", "value": 28}, "sessions": {}})");
  std::vector<BlockHash> first;
  std::vector<BlockHash> second;
  extend_block_hashes(turns[0], 16, 128, first);
  extend_block_hashes(turns[1], 16, 128, second);
  EXPECT_EQ(first, second);
}

TEST(Generator, SessionsAreNumberedAndTheirLastTurnIsMarked) {
  const auto requests = generate(R"({"sessions": {"count": 5,
      "turns": {"kind": "uniform", "min": 1, "max": 6}, "think": {"mean_s": 3}}})");
  std::int64_t session = -1;
  std::int32_t turn = 0;
  bool ended = true;
  for (const Request& request : requests) {
    if (ended) ++session, turn = 0;
    EXPECT_EQ(request.session, session);
    EXPECT_EQ(request.turn, turn++);
    EXPECT_EQ(request.think, Seconds(request.turn > 0 ? 3 : 0));
    ended = request.last_turn;
  }
  EXPECT_EQ(session, 4);
  EXPECT_TRUE(ended);
}

TEST(Generator, ASessionCutByTheNumberOfRequestsIsMarkedAsEnded) {
  const auto requests = generate(R"({"requests": 6, "sessions": {}})");
  ASSERT_EQ(requests.size(), 6U);
  EXPECT_FALSE(requests[2].last_turn);
  EXPECT_TRUE(requests[3].last_turn);
  EXPECT_TRUE(requests[5].last_turn);
}

TEST(Generator, ASessionEndsBeforeItsContextExceedsTheMost) {
  const auto requests = generate(R"({"requests": 200,
      "sessions": {"turns": {"kind": "constant", "value": 100}, "max_context": 6000}})");
  for (const Request& request : requests) EXPECT_LE((request.input + request.output).count(), 6000);
  EXPECT_GT(requests.back().session, 20);
}

TEST(Generator, AFirstTurnMayBringADocument) {
  const auto requests = generate(R"({"requests": 4, "input": {"kind": "constant", "value": 50},
      "sessions": {"first_input": {"kind": "constant", "value": 9000}}})");
  EXPECT_EQ(requests[0].input, Tokens(9000));
  EXPECT_EQ(requests[1].input, requests[0].input + requests[0].output + Tokens(50));
}

TEST(Generator, KnowsHowManyRequestsThereWillBeUnlessOnlySessionsAreCounted) {
  EXPECT_EQ(config_of("{}").known_requests(), 1000);
  EXPECT_EQ(config_of(R"({"requests": 5})").known_requests(), 5);
  EXPECT_EQ(config_of(R"({"sessions": {"count": 5}})").known_requests(), std::nullopt);
}

TEST(Generator, TheResolvedConfigurationReadsBackAsTheSameWorkload) {
  const GeneratorConfig config = config_of(R"({"requests": 50,
      "input": {"kind": "empirical", "values": [5, 9]}, "sessions": {"think": {"mean_s": 2}},
      "prefix": {"groups": 3, "length": {"kind": "uniform", "min": 1, "max": 40}}})");
  const GeneratorConfig again = config_of(echo_config(config).dump());
  const auto first = make_generator(config, 1);
  const auto second = make_generator(again, 1);
  EXPECT_EQ(all(*first).size(), all(*second).size());
  EXPECT_EQ(first->digest(), second->digest());
}

TEST(Generator, ComplaintsNameThePathAndWhatIsAllowed) {
  EXPECT_EQ(complaint(R"({"input": {"kind": "normal", "mean": 10, "deviation": 1, "min": 20}})"),
            "/workload/input/mean: found 10; allowed: 20 to 1000000000");
  EXPECT_EQ(complaint(R"({"output": {"kind": "constant"}})"),
            "/workload/output: found kind \"constant\" without value; allowed: constant together "
            "with value");
  EXPECT_EQ(
      complaint(R"({"output": {"kind": "constant", "value": 4, "mean": 4}})"),
      "/workload/output/mean: found it with kind \"constant\"; allowed: with that kind value");
  EXPECT_EQ(complaint(R"({"sessions": {"think": {"mean_s": 1, "deviation_s": 1}}})"),
            "/workload/sessions/think/deviation_s: found it with kind \"constant\"; allowed: no "
            "further keys");
}

TEST(Generator, PrefixesHaveSeedsOfTheirOwn) {
  const char* text = R"({"requests": 300, "prefix": {"groups": %, "length":
                         {"kind": "uniform", "min": 10, "max": 900}}})";
  const auto prefixes = [&](const char* groups, GeneratorSeeds seeds) {
    std::string filled = text;
    filled.replace(filled.find('%'), 1, groups);
    std::set<std::pair<std::uint64_t, std::int64_t>> out;
    for (const Request& request : all(*make_generator(config_of(filled), seeds)))
      out.insert({request.prompt.front().stream, request.prompt.front().length});
    return out;
  };
  const auto few = prefixes("4", {1, 7});
  const auto many = prefixes("9", {2, 7});
  EXPECT_EQ(few.size(), 4u);
  EXPECT_EQ(many.size(), 9u);
  for (const auto& prefix : few) EXPECT_TRUE(many.contains(prefix));
}

TEST(Generator, UsersPromptsComeInTurnAndAgain) {
  const auto requests = generate(R"({"requests": 13, "prefix":
      {"groups": 2, "length": {"kind": "constant", "value": 50}, "users": 3},
      "input": {"kind": "uniform", "min": 5, "max": 90}})");
  std::set<std::uint64_t> texts;
  for (std::size_t i = 0; i < 6; ++i) texts.insert(requests[i].prompt.back().stream);
  EXPECT_EQ(texts.size(), 6U);
  for (std::size_t i = 6; i < requests.size(); ++i) {
    EXPECT_EQ(requests[i].prompt, requests[i - 6].prompt);
    EXPECT_EQ(requests[i].output, requests[i - 6].output);
    EXPECT_NE(requests[i].answer_stream, requests[i - 6].answer_stream);
  }
}

TEST(Generator, UsersOfAGroupShareItsText) {
  const auto requests = generate(R"({"requests": 12, "prefix":
      {"groups": 4, "length": {"kind": "constant", "value": 50}, "users": 3}})");
  std::map<std::uint64_t, int> groups;
  for (const Request& request : requests) ++groups[request.prompt.front().stream];
  EXPECT_EQ(groups.size(), 4U);
  for (const auto& [group, count] : groups) EXPECT_EQ(count, 3);
}

TEST(Generator, UsersComeInAnotherOrderWithAnotherPrefixSeedOnly) {
  const GeneratorConfig config = config_of(R"({"requests": 60, "prefix":
      {"groups": 20, "length": {"kind": "constant", "value": 50}, "users": 3}})");
  const auto order = [&](GeneratorSeeds seeds) {
    std::vector<std::uint64_t> out;
    for (const Request& request : all(*make_generator(config, seeds)))
      out.push_back(request.prompt.back().stream);
    return out;
  };
  EXPECT_EQ(order({1, 7}), order({2, 7}));
  EXPECT_NE(order({1, 7}), order({1, 8}));
}

TEST(Generator, UsersAreNotForSessions) {
  EXPECT_EQ(complaint(R"({"sessions": {}, "prefix": {"groups": 1, "users": 2,
                          "length": {"kind": "constant", "value": 5}}})"),
            "/workload/prefix/users: found it with sessions; allowed: one of the two");
}

// Far below what this costs in a release (some 0.2 us), so that a slow machine passes.
TEST(Generator, IsNoBottleneck) {
  const auto source = make_generator(config_of(R"({"requests": 200000})"), 1);
  Request request;
  const auto before = std::chrono::steady_clock::now();
  while (source->next(request)) continue;
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - before;
  RecordProperty("requests_per_s", std::to_string(200000 / spent.count()));
  EXPECT_LT(spent.count(), 2.0);
}

}  // namespace
}  // namespace kvsim
