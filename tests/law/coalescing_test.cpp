// Sleeping once for a run of steps changes nothing but speed.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/law/small_world.hpp"

namespace kvsim {
namespace {

// KVSIM_WORLDS and KVSIM_FIRST_WORLD widen or replay the search.
std::uint64_t from_environment(const char* name, std::uint64_t standard) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : standard;
}

TEST(Coalescing, OnAndOffGiveTheSameRequestsToANanosecond) {
  const std::uint64_t first = from_environment("KVSIM_FIRST_WORLD", 1);
  const std::uint64_t worlds = from_environment("KVSIM_WORLDS", 500);
  for (std::uint64_t seed = first; seed < first + worlds; ++seed) {
    Json experiment = random_experiment(seed);
    experiment["pools"][0]["engine"]["coalesce_steps"] = true;
    const std::string on = run_to_text(experiment, true);
    experiment["pools"][0]["engine"]["coalesce_steps"] = false;
    const std::string off = run_to_text(experiment, true);
    ASSERT_FALSE(on.empty());
    ASSERT_EQ(on, off) << "world " << seed << ": " << experiment.dump();
  }
}

}  // namespace
}  // namespace kvsim
