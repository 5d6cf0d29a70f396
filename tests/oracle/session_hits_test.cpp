// With room for everything and one request at a time, a prompt hits exactly the whole blocks of the
// longest prefix that it shares with what was served before: prompts and answers, but for the
// answer's last token, whose KV nobody computes, and never its own last token. Here prompts are
// spelt out token by token and compared with all earlier ones.
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/experiment/workload_assembly.hpp"
#include "tests/child.hpp"
#include "tests/law/small_world.hpp"

namespace kvsim {
namespace {

constexpr std::int64_t kBlock = 16;

Json conversations() {
  return Json::parse(R"({
    "schema": "kvsim.experiment/1",
    "workload": {
      "kind": "generate",
      "input": {"kind": "uniform", "min": 1, "max": 90},
      "output": {"kind": "uniform", "min": 1, "max": 70},
      "prefix": {"groups": 4, "length": {"kind": "uniform", "min": 1, "max": 200}},
      "sessions": {"count": 40, "turns": {"kind": "uniform", "min": 1, "max": 7}}
    },
    "load": {"kind": "closed_loop", "clients": 1},
    "pools": [{"llm": "qwen3-0.6b", "gpu": "h100-sxm",
               "engine": {"num_gpu_blocks_override": 100000}}]
  })");
}

using Token = std::pair<std::uint64_t, std::int64_t>;

std::vector<Token> spelt_out(const std::vector<ContentRun>& runs) {
  std::vector<Token> tokens;
  for (const ContentRun& run : runs)
    for (std::int64_t i = 0; i < run.length; ++i) tokens.emplace_back(run.stream, run.offset + i);
  return tokens;
}

struct Served {
  std::vector<Token> prompt;
  std::vector<Token> cached;  // what the engine has computed of prompt and answer
};

// By request id.
std::vector<Served> requests_of(const Json& json) {
  const ConfigNode experiment(json, "conversations.json");
  const auto source = make_source(experiment, read_load(experiment, json["load"]), 1);
  std::vector<Served> out;
  for (Request request; source->next(request);) {
    Served served;
    served.prompt = spelt_out(request.prompt);
    served.cached = served.prompt;
    for (std::int64_t i = 0; i + 1 < request.output.count(); ++i)
      served.cached.emplace_back(request.answer_stream, i);
    out.push_back(std::move(served));
  }
  return out;
}

struct Hit {
  std::size_t id;
  std::int64_t tokens;
};

// In the order in which they were served.
std::vector<Hit> hits_of(const Json& experiment) {
  const auto numbers = numbers_of_child([&] {
    WorldResult result = run_here(experiment);
    std::vector<double> out;
    for (const RequestRecord& record : result.records) {
      out.push_back(static_cast<double>(record.id));
      out.push_back(static_cast<double>(record.hit_tokens[0]));
    }
    return out;
  });
  std::vector<Hit> out;
  for (std::size_t i = 0; i < numbers.size(); i += 2)
    out.push_back(
        {static_cast<std::size_t>(numbers[i]), static_cast<std::int64_t>(numbers[i + 1])});
  return out;
}

std::int64_t whole_blocks(std::int64_t tokens) { return tokens / kBlock * kBlock; }

TEST(Oracle, EveryTurnHitsTheWholeBlocksOfWhatWasServedBefore) {
  const Json experiment = conversations();
  const std::vector<Served> requests = requests_of(experiment);
  const std::vector<Hit> hits = hits_of(experiment);
  ASSERT_EQ(hits.size(), requests.size());
  ASSERT_GT(hits.size(), 100U);
  std::vector<const Served*> before;
  std::int64_t of_answers = 0;
  for (const Hit& hit : hits) {
    const Served& now = requests.at(hit.id);
    std::int64_t shared = 0;
    std::int64_t shared_prompts = 0;
    for (const Served* earlier : before) {
      const auto [end, other] = std::mismatch(now.prompt.begin(), now.prompt.end(),
                                              earlier->cached.begin(), earlier->cached.end());
      const std::int64_t here = end - now.prompt.begin();
      shared = std::max(shared, here);
      shared_prompts =
          std::max(shared_prompts, std::min(here, std::int64_t(earlier->prompt.size())));
    }
    const auto most = static_cast<std::int64_t>(now.prompt.size()) - 1;
    EXPECT_EQ(hit.tokens, whole_blocks(std::min(shared, most))) << "request " << hit.id;
    of_answers += hit.tokens - whole_blocks(std::min(shared_prompts, most));
    before.push_back(&now);
  }
  EXPECT_GT(of_answers, 1000);
}

}  // namespace
}  // namespace kvsim
