#include "sim/workload/mix_source.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "sim/workload/generator.hpp"

namespace kvsim {
namespace {

std::unique_ptr<RequestSource> part(const std::string& text, std::size_t number = 0) {
  const Json json = parse_json(text, "test");
  return make_generator(read_config<GeneratorConfig>(ConfigNode(json, "test")),
                        mix_part_seed(1, number));
}

std::vector<MixPart> parts_of(const std::vector<std::pair<double, std::string>>& given) {
  std::vector<MixPart> out;
  for (const auto& [share, text] : given) {
    MixPart one;
    one.source = part(text, out.size());
    one.share = share;
    one.llm = static_cast<std::int32_t>(out.size());  // tells the parts apart
    one.tenant = 7 + one.llm;
    out.push_back(std::move(one));
  }
  return out;
}

std::vector<Request> all(std::unique_ptr<RequestSource> source) {
  std::vector<Request> out;
  for (Request request; source->next(request);) out.push_back(request);
  return out;
}

std::vector<Request> mix(const std::vector<std::pair<double, std::string>>& given,
                         const MixOptions& options = {}) {
  return all(make_mix(parts_of(given), options, 1));
}

// Arrives at the given times.
class Timed final : public RequestSource {
 public:
  explicit Timed(std::vector<double> times) : times_(std::move(times)) {}
  bool next(Request& request) override {
    if (next_ == times_.size()) return false;
    request = Request();
    request.arrival = Seconds(times_[next_++]);
    request.input = request.output = Tokens(1);
    request.prompt = {{1, 0, 1}};
    return true;
  }
  [[nodiscard]] std::string digest() const override { return ""; }

 private:
  std::vector<double> times_;
  std::size_t next_ = 0;
};

constexpr const char* kSingle = R"({"requests": 20000})";
constexpr const char* kChats =
    R"({"sessions": {"count": 50, "turns": {"kind": "constant", "value": 6}},
        "prefix": {"groups": 2, "length": {"kind": "constant", "value": 100}}})";

TEST(Mix, EachPartGetsItsShare) {
  std::map<std::int32_t, int> count;
  const auto requests = mix({{0.7, kSingle}, {0.3, kSingle}}, {.requests = 10000});
  ASSERT_EQ(requests.size(), 10000U);
  for (const Request& request : requests) ++count[request.llm];
  EXPECT_NEAR(count[0], 7000, 140);  // three deviations
  EXPECT_NEAR(count[1], 3000, 140);
}

TEST(Mix, RequestsAreNumberedAndBelongToTheirPart) {
  const auto requests = mix({{1, kSingle}, {1, kChats}}, {.requests = 200});
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(requests[i].id, static_cast<std::int64_t>(i));
    EXPECT_EQ(requests[i].tenant, 7 + requests[i].llm);
    EXPECT_EQ(requests[i].session >= 0, requests[i].llm == 1);
  }
}

TEST(Mix, APartThatHasEndedLeavesTheOthers) {
  const auto requests = mix({{1, R"({"requests": 3})"}, {1, R"({"requests": 500})"}});
  EXPECT_EQ(requests.size(), 503U);
  EXPECT_EQ(requests.back().llm, 1);
}

TEST(Mix, SessionsOfDifferentPartsAreDifferentAndKeepTheirOrder) {
  std::map<std::int64_t, std::int32_t> owner;
  std::map<std::int64_t, std::int32_t> turns;
  const auto requests = mix({{1, kChats}, {2, kChats}});
  EXPECT_EQ(requests.size(), 600U);
  for (const Request& request : requests) {
    EXPECT_EQ(owner.try_emplace(request.session, request.llm).first->second, request.llm);
    EXPECT_EQ(request.turn, turns[request.session]++);
  }
  EXPECT_EQ(owner.size(), 100U);
}

TEST(Mix, ContentOfDifferentPartsIsNeverTheSame) {
  std::map<std::int32_t, std::set<std::uint64_t>> streams;
  for (const Request& request : mix({{1, kChats}, {1, kChats}, {1, kSingle}}, {.requests = 900})) {
    for (const ContentRun& run : request.prompt) streams[request.llm].insert(run.stream);
    streams[request.llm].insert(request.answer_stream);
  }
  for (const auto& [a, of_a] : streams)
    for (const auto& [b, of_b] : streams)
      for (const std::uint64_t stream : of_a) EXPECT_EQ(of_b.count(stream), a == b ? 1U : 0U);
}

TEST(Mix, WithinAPartEqualContentStaysEqual) {
  const auto alone = all(part(kChats, 1));
  std::map<std::uint64_t, std::uint64_t> names;
  std::set<std::uint64_t> taken;
  std::size_t next = 0;
  for (const Request& request : mix({{1, kSingle}, {1, kChats}}, {.requests = 400})) {
    if (request.llm != 1) continue;
    ASSERT_LT(next, alone.size());
    const Request& same = alone[next++];
    ASSERT_EQ(request.prompt.size(), same.prompt.size());
    for (std::size_t i = 0; i < same.prompt.size(); ++i) {
      EXPECT_EQ(request.prompt[i].length, same.prompt[i].length);
      const auto [at, fresh] = names.try_emplace(same.prompt[i].stream, request.prompt[i].stream);
      EXPECT_EQ(at->second, request.prompt[i].stream);
      if (fresh) {
        EXPECT_TRUE(taken.insert(request.prompt[i].stream).second);
      }
    }
  }
  EXPECT_GT(next, 100U);
}

TEST(Mix, EqualPartsDrawDifferentRequests) {
  int equal = 0;
  std::map<std::int32_t, std::vector<Tokens>> inputs;
  for (const Request& request : mix({{1, kSingle}, {1, kSingle}}, {.requests = 200}))
    inputs[request.llm].push_back(request.input);
  for (std::size_t i = 0; i < 50; ++i) equal += inputs[0][i] == inputs[1][i] ? 1 : 0;
  EXPECT_LT(equal, 10);
}

TEST(Mix, PriorityOfAPartReplacesItsOwn) {
  auto parts = parts_of(
      {{1, R"({"requests": 5, "priority": 3})"}, {1, R"({"requests": 5, "priority": 3})"}});
  parts[0].priority = -2;
  for (const Request& request : all(make_mix(std::move(parts), {}, 1)))
    EXPECT_EQ(request.priority, request.llm == 0 ? -2 : 3);
}

TEST(Mix, ByTimePartsAreMergedAndEqualTimesGoByPart) {
  std::vector<MixPart> parts(2);
  parts[0].source = std::make_unique<Timed>(std::vector<double>{0, 2, 2, 9});
  parts[1].source = std::make_unique<Timed>(std::vector<double>{1, 2, 3});
  parts[1].llm = 1;
  std::vector<std::pair<double, int>> order;
  for (const Request& request : all(make_mix(std::move(parts), {.by_time = true}, 1)))
    order.emplace_back(request.arrival.count(), request.llm);
  const std::vector<std::pair<double, int>> expected = {{0, 0}, {1, 1}, {2, 0}, {2, 0},
                                                        {2, 1}, {3, 1}, {9, 0}};
  EXPECT_EQ(order, expected);
}

TEST(Mix, EqualSeedsGiveEqualRequests) {
  const auto digest = [](std::uint64_t seed) {
    auto source = make_mix(parts_of({{1, kSingle}, {2, kChats}}), {.requests = 300}, seed);
    for (Request request; source->next(request);) continue;
    return source->digest();
  };
  EXPECT_EQ(digest(1), digest(1));
  EXPECT_NE(digest(1), digest(2));
}

}  // namespace
}  // namespace kvsim
