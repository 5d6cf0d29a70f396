// What every registered way of timing a step must keep.
#include <gtest/gtest.h>

#include "sim/perf/step_context.hpp"

namespace kvsim {
namespace {

class StepTimeContract : public testing::TestWithParam<std::string> {
 protected:
  static std::unique_ptr<StepTime> make(const char* llm = "llama-3.1-8b") {
    return make_step_time(GetParam(), step_context(llm, "h100-sxm", 1, "0.15"));
  }
  static StepShape mixed(std::int32_t decodes, std::int64_t prompt) {
    StepShape shape;
    shape.decode_sequences = decodes;
    shape.decode_context = std::int64_t{1000} * decodes;
    shape.prefill_sequences = prompt > 0 ? 1 : 0;
    shape.prefill_tokens = prompt;
    shape.prefill_pairs = 0.5 * static_cast<double>(prompt * prompt);
    shape.sampled = decodes;
    return shape;
  }
};

TEST_P(StepTimeContract, AStepTakesTime) {
  const auto step = make();
  EXPECT_GT(step->gpu(mixed(1, 0)), Seconds(0));
  EXPECT_GE(step->cpu(mixed(1, 0)), Seconds(0));
}

TEST_P(StepTimeContract, MoreWorkNeverTakesLess) {
  const auto step = make();
  for (const std::int32_t decodes : {0, 1, 7, 64, 500})
    for (const std::int64_t prompt : {1, 15, 100, 513, 2000}) {
      EXPECT_GE(step->gpu(mixed(decodes + 1, prompt)), step->gpu(mixed(decodes, prompt)));
      EXPECT_GE(step->gpu(mixed(decodes, prompt + 1)), step->gpu(mixed(decodes, prompt)));
    }
}

TEST_P(StepTimeContract, TheSameStepAlwaysTakesTheSame) {
  const auto step = make();
  const Seconds first = step->gpu(mixed(5, 300));
  for (int i = 1; i < 100; ++i) (void)step->gpu(mixed(i, 10 * i));
  EXPECT_EQ(step->gpu(mixed(5, 300)), first);
  EXPECT_EQ(make()->gpu(mixed(5, 300)), first);
}

TEST_P(StepTimeContract, TheWindowIsTheModelsOrNone) {
  EXPECT_EQ(make("llama-3.1-8b")->window(), 0);
  const std::int64_t window = make("gpt-oss-20b")->window();
  EXPECT_TRUE(window == 128 || window == 0);
}

INSTANTIATE_TEST_SUITE_P(Every, StepTimeContract,
                         testing::ValuesIn(Registry<StepTime>::instance().names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace kvsim
