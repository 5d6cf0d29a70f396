#include "sim/workload/python_random.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "sim/workload/content_stream.hpp"
#include "sim/workload/generator.hpp"

namespace kvsim {
namespace {

// Expected numbers: CPython 3.11, [Random(seed).choice(range(n)) for _ in ...].
std::vector<std::size_t> first(PythonRandom random, std::size_t below, std::size_t count) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(random.below(below));
  return out;
}

TEST(PythonRandom, DrawsWhatPythonDraws) {
  EXPECT_EQ(first(PythonRandom(45), 100, 8),
            (std::vector<std::size_t>{34, 53, 62, 32, 10, 38, 43, 2}));
  EXPECT_EQ(first(PythonRandom(1), 100, 8),
            (std::vector<std::size_t>{17, 72, 97, 8, 32, 15, 63, 97}));
  EXPECT_EQ(first(PythonRandom(4294967295), 100, 8),
            (std::vector<std::size_t>{81, 79, 26, 27, 77, 66, 37, 77}));
}

TEST(PythonRandom, AgreesBeyondTheFirstTwistOfItsState) {
  const std::vector<std::size_t> drawn = first(PythonRandom(45), 100, 2000);
  EXPECT_EQ(std::vector<std::size_t>(drawn.end() - 5, drawn.end()),
            (std::vector<std::size_t>{57, 20, 80, 51, 10}));
}

TEST(PythonRandom, ChoosesThePrefixesThatGuidellmChooses) {
  const Json json = parse_json(R"({
    "input": {"kind": "constant", "value": 8},
    "prefix": {"groups": 100, "length": {"kind": "constant", "value": 32}, "choice": "guidellm"}
  })",
                               "test");
  const auto source = make_generator(read_config<GeneratorConfig>(ConfigNode(json, "test")), 7);
  Request request;
  for (const std::uint64_t group : {34, 53, 62, 32, 10}) {
    ASSERT_TRUE(source->next(request));
    EXPECT_EQ(request.prompt.front().stream, content_stream(StreamKind::kShared, group));
  }
}

}  // namespace
}  // namespace kvsim
