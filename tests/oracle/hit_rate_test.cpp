// The one-pass hit-rate curve against an LRU cache that is simulated block by block.
#include <gtest/gtest.h>

#include <list>
#include <map>

#include "sim/base/rng.hpp"
#include "sim/workload/hit_rate_curve.hpp"

namespace kvsim {
namespace {

// An LRU cache of so many blocks, as slow as it is plain. Returns the blocks that hit.
std::int64_t simulate(const std::vector<Request>& requests, const HitRateCurve::Options& options,
                      std::size_t capacity) {
  std::list<BlockHash> newest_first;
  std::map<BlockHash, std::list<BlockHash>::iterator> places;
  std::int64_t hits = 0;
  for (const Request& request : requests) {
    const std::int64_t input = request.input.count();
    std::vector<BlockHash> hashes;
    extend_block_hashes(request, options.block_tokens,
                        options.answers ? input + request.output.count() - 1 : input, hashes);
    const std::int64_t most = (options.last_token_rule ? input - 1 : input) / options.block_tokens;
    for (std::int64_t i = 0; i < most; ++i) {
      if (places.count(hashes[static_cast<std::size_t>(i)]) == 0) break;
      ++hits;
    }
    for (auto hash = hashes.rbegin(); hash != hashes.rend(); ++hash) {
      if (places.count(*hash) != 0) newest_first.erase(places[*hash]);
      newest_first.push_front(*hash);
      places[*hash] = newest_first.begin();
      while (newest_first.size() > capacity) {
        places.erase(newest_first.back());
        newest_first.pop_back();
      }
    }
  }
  return hits;
}

// Prompts that share beginnings of many lengths, and go on from answers.
std::vector<Request> random_requests(std::uint64_t seed, int count) {
  Rng rng = stream(seed, "requests");
  std::vector<Request> out;
  for (int i = 0; i < count; ++i) {
    Request request;
    if (!out.empty() && rng.below(3) == 0) {
      const Request& before = out[rng.below(out.size())];
      request.prompt = before.prompt;
      append_run(request.prompt, {before.answer_stream, 0, before.output.count()});
    } else {
      append_run(request.prompt, {rng.below(4), 0, 1 + static_cast<std::int64_t>(rng.below(60))});
    }
    if (rng.below(4) != 0)
      append_run(request.prompt, {100 + static_cast<std::uint64_t>(i), 0,
                                  1 + static_cast<std::int64_t>(rng.below(30))});
    for (const ContentRun& run : request.prompt) request.input += Tokens(run.length);
    request.output = Tokens(1 + static_cast<std::int64_t>(rng.below(20)));
    request.answer_stream = 100'000 + static_cast<std::uint64_t>(i);
    out.push_back(request);
  }
  return out;
}

TEST(HitRateCurve, EqualsASimulatedLruCacheAtEveryCapacity) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto requests = random_requests(seed, 60);
    const HitRateCurve::Options options{.block_tokens = 1 + static_cast<std::int64_t>(seed % 9),
                                        .last_token_rule = seed % 2 == 0,
                                        .answers = seed % 3 != 0};
    HitRateCurve curve(options);
    for (const Request& request : requests) curve.add(request);
    for (const std::int64_t capacity : {0, 1, 2, 3, 5, 8, 13, 21, 50, 100, 200, 500, 5000}) {
      EXPECT_EQ(
          curve.hit_tokens(capacity),
          static_cast<double>(options.block_tokens *
                              simulate(requests, options, static_cast<std::size_t>(capacity))))
          << "seed " << seed << ", capacity " << capacity;
    }
    EXPECT_EQ(curve.hit_tokens(-1), curve.hit_tokens(1 << 30)) << "seed " << seed;
  }
}

TEST(HitRateCurve, IsExactBeyondTheFirstThousandRequests) {
  const auto requests = random_requests(99, 3000);
  const HitRateCurve::Options options{.block_tokens = 4};
  HitRateCurve curve(options);
  for (const Request& request : requests) curve.add(request);
  for (const std::int64_t capacity : {100, 3000}) {
    EXPECT_EQ(
        curve.hit_tokens(capacity),
        static_cast<double>(4 * simulate(requests, options, static_cast<std::size_t>(capacity))));
  }
}

TEST(HitRateCurve, ASampleOfATenthIsWithinThreePoints) {
  const auto requests = random_requests(5, 4000);
  HitRateCurve exact({.block_tokens = 2});
  HitRateCurve sampled({.block_tokens = 2, .sample_rate = 0.1});
  for (const Request& request : requests) {
    exact.add(request);
    sampled.add(request);
  }
  for (const std::int64_t capacity : {300, 1000, 3000, 10'000, 30'000, 100'000}) {
    EXPECT_NEAR(sampled.hit_rate(capacity), exact.hit_rate(capacity), 0.03)
        << "capacity " << capacity;
  }
  EXPECT_NEAR(sampled.distinct_blocks() / exact.distinct_blocks(), 1, 0.03);
}

}  // namespace
}  // namespace kvsim
