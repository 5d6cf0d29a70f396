#include "sim/workload/arrivals.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/workload/generator.hpp"

namespace kvsim {
namespace {

// Requests as given.
class Listed final : public RequestSource {
 public:
  explicit Listed(std::vector<Request> requests) : requests_(std::move(requests)) {}
  bool next(Request& request) override {
    if (at_ == requests_.size()) return false;
    request = requests_[at_++];
    return true;
  }
  [[nodiscard]] std::string digest() const override { return ""; }

 private:
  std::vector<Request> requests_;
  std::size_t at_ = 0;
};

std::unique_ptr<RequestSource> listed(const std::vector<double>& times) {
  std::vector<Request> requests;
  for (const double time : times) {
    requests.emplace_back();
    requests.back().arrival = Seconds(time);
  }
  return std::make_unique<Listed>(std::move(requests));
}

std::unique_ptr<RequestSource> many(std::int64_t count) {
  GeneratorConfig config;
  config.requests = count;
  return make_generator(config, 1);
}

std::vector<double> times(std::unique_ptr<RequestSource> source, const std::string& load) {
  const Json json = parse_json(load, "test");
  const auto arrivals = read_config<ArrivalConfig>(ConfigNode(json, "test"));
  const auto placed = with_arrivals(std::move(source), arrivals, 1);
  std::vector<double> out;
  Request request;
  while (placed->next(request)) out.push_back(request.arrival.count());
  return out;
}

struct Gaps {
  double mean;
  double variation;  // deviation over mean
};
Gaps gaps(const std::vector<double>& times) {
  double squares = 0;
  for (std::size_t i = 1; i < times.size(); ++i) squares += std::pow(times[i] - times[i - 1], 2);
  const auto count = static_cast<double>(times.size() - 1);
  const double mean = (times.back() - times.front()) / count;
  return {mean, std::sqrt(squares / count - mean * mean) / mean};
}

std::string complaint(const std::string& load) {
  try {
    times(listed({0}), load);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "none";
}

TEST(Arrivals, ATraceKeepsItsTimes) {
  EXPECT_EQ(times(listed({0, 1, 5}), "{}"), (std::vector<double>{0, 1, 5}));
}

TEST(Arrivals, ScaledReplayDividesTheTimes) {
  EXPECT_EQ(times(listed({0, 1, 5}), R"({"speed": 2})"), (std::vector<double>{0, 0.5, 2.5}));
}

TEST(Arrivals, PoissonGapsHaveTheRatesMeanAndAVariationOfOne) {
  const Gaps g = gaps(times(many(200000), R"({"kind": "poisson", "rate_per_s": 10})"));
  EXPECT_NEAR(g.mean, 0.1, 0.001);
  EXPECT_NEAR(g.variation, 1, 0.02);
}

TEST(Arrivals, GammaGapsVaryByTheRootOfTheBurstiness) {
  for (const double shape : {0.25, 4.0}) {
    const Gaps g =
        gaps(times(many(200000), R"({"kind": "gamma", "rate_per_s": 10, "burstiness": )" +
                                     std::to_string(shape) + "}"));
    EXPECT_NEAR(g.mean, 0.1, 0.0015);
    EXPECT_NEAR(g.variation, 1 / std::sqrt(shape), 0.03);
  }
}

TEST(Arrivals, ConstantOnesAreEvenlySpacedFromZero) {
  EXPECT_EQ(times(many(4), R"({"kind": "constant", "rate_per_s": 2})"),
            (std::vector<double>{0, 0.5, 1, 1.5}));
}

TEST(Arrivals, StagesFollowEachOtherAndThenNothingComes) {
  const auto at = times(many(1000), R"({"kind": "constant", "stages": [
      {"rate_per_s": 2, "duration_s": 2}, {"rate_per_s": 0, "duration_s": 3},
      {"rate_per_s": 1, "duration_s": 2}]})");
  EXPECT_EQ(at, (std::vector<double>{0, 0.5, 1, 1.5, 5, 6}));
}

TEST(Arrivals, PoissonStagesHaveTheirOwnRates) {
  const auto at = times(many(1000000), R"({"kind": "poisson", "stages": [
      {"rate_per_s": 100, "duration_s": 100}, {"rate_per_s": 1000, "duration_s": 100}]})");
  const auto first = static_cast<double>(
      std::count_if(at.begin(), at.end(), [](double time) { return time < 100; }));
  EXPECT_NEAR(first, 1e4, 400);
  EXPECT_NEAR(static_cast<double>(at.size()) - first, 1e5, 1300);
  EXPECT_LE(at.back(), 200);
}

TEST(Arrivals, FilledStagesHoldExactlyTheirRequestsTheLastAtTheirEnd) {
  const auto filled = times(many(100), R"({"kind": "filled", "stages": [
      {"rate_per_s": 2, "duration_s": 10}, {"rate_per_s": 0, "duration_s": 5},
      {"rate_per_s": 4, "duration_s": 5}]})");
  ASSERT_EQ(filled.size(), 40U);
  EXPECT_TRUE(std::is_sorted(filled.begin(), filled.end()));
  EXPECT_LT(filled[18], 10);
  EXPECT_EQ(filled[19], 10);
  EXPECT_GT(filled[20], 15);
  EXPECT_EQ(filled[39], 20);
}

TEST(Arrivals, FilledGapsVaryAsPoissonsDo) {
  const auto filled =
      times(many(100000), R"({"kind": "filled", "rate_per_s": 100, "duration_s": 1000})");
  ASSERT_EQ(filled.size(), 100000U);
  const Gaps g = gaps(filled);
  EXPECT_NEAR(g.mean, 0.01, 1e-4);
  EXPECT_NEAR(g.variation, 1, 0.02);
}

TEST(Arrivals, AClosedLoopLeavesTheTimesToItsClients) {
  EXPECT_EQ(times(listed({3, 4}), R"({"kind": "closed_loop", "clients": 2, "think_s": 1})"),
            (std::vector<double>{0, 0}));
}

TEST(Arrivals, LaterTurnsKeepTheArrivalOfTheirSession) {
  GeneratorConfig config;
  config.requests = 40;
  config.sessions.emplace();
  const Json json = parse_json(R"({"kind": "poisson", "rate_per_s": 1})", "test");
  const auto arrivals = read_config<ArrivalConfig>(ConfigNode(json, "test"));
  const auto source = with_arrivals(make_generator(config, 1), arrivals, 1);
  Request request;
  Seconds session{-1};
  while (source->next(request)) {
    if (request.turn == 0) {
      EXPECT_GT(request.arrival, session);
      session = request.arrival;
    }
    EXPECT_EQ(request.arrival, session);
  }
}

TEST(Arrivals, NeverDecreaseWhenSessionsInterleave) {
  std::vector<Request> requests(4);
  for (std::size_t i = 0; i < 4; ++i) {
    requests[i].session = static_cast<std::int64_t>(i % 2);
    requests[i].turn = static_cast<std::int32_t>(i / 2);
  }
  EXPECT_EQ(times(std::make_unique<Listed>(requests), R"({"kind": "constant", "rate_per_s": 1})"),
            (std::vector<double>{0, 1, 1, 1}));
}

TEST(Arrivals, StopAfterSoManyRequests) {
  EXPECT_EQ(times(listed({0, 1, 5}), R"({"max_requests": 2})").size(), 2U);
}

TEST(Arrivals, LeaveOutWhatComesLaterThanTheDuration) {
  EXPECT_EQ(times(listed({0, 1, 5}), R"({"duration_s": 1})"), (std::vector<double>{0, 1}));
}

TEST(Arrivals, TheDigestIsThatOfTheRequestsAsTheyComeOut) {
  const auto digest = [](const std::string& load) {
    const Json json = parse_json(load, "test");
    const auto arrivals = read_config<ArrivalConfig>(ConfigNode(json, "test"));
    const auto source = with_arrivals(many(10), arrivals, 1);
    Request request;
    while (source->next(request)) continue;
    return source->digest();
  };
  const auto plain = many(10);
  Request request;
  while (plain->next(request)) continue;
  EXPECT_EQ(digest("{}"), plain->digest());
  EXPECT_NE(digest(R"({"kind": "constant", "rate_per_s": 1})"), plain->digest());
}

TEST(Arrivals, TheResolvedConfigurationReadsBackAsTheSameTimes) {
  for (const std::string load : {R"({})", R"({"kind": "gamma", "rate_per_s": 3, "burstiness": 2})",
                                 R"({"kind": "closed_loop", "clients": 2})"}) {
    const Json json = parse_json(load, "test");
    const auto config = read_config<ArrivalConfig>(ConfigNode(json, "test"));
    EXPECT_EQ(times(many(20), load), times(many(20), echo_config(config).dump()));
  }
}

TEST(Arrivals, ComplaintsNameThePathAndWhatIsAllowed) {
  EXPECT_NE(complaint(R"({"kind": "filled", "rate_per_s": 1})").find("/load"), std::string::npos);
  EXPECT_EQ(complaint(R"({"kind": "poisson"})"),
            "/load: found no rate; allowed: one of rate_per_s and stages");
  EXPECT_EQ(complaint(R"({"rate_per_s": 3})"),
            "/load/rate_per_s: found it with kind \"trace\"; allowed: with that kind speed, "
            "duration_s");
  EXPECT_EQ(complaint(R"({"kind": "gamma", "rate_per_s": 3})"),
            "/load: found kind \"gamma\" without burstiness; allowed: gamma together with "
            "burstiness");
  EXPECT_EQ(complaint(R"({"kind": "closed_loop"})"),
            "/load: found kind \"closed_loop\" without clients; allowed: closed_loop together with "
            "clients");
}

}  // namespace
}  // namespace kvsim
