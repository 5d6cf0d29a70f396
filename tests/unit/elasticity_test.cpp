#include "sim/validate/elasticity.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace kvsim {
namespace {

Json summary_with(double ttft, double hit_rate = 0) {
  return {{"latency_s", {{"ttft", {{"mean", ttft}}}}}, {"cache", {{"hit_rate", hit_rate}}}};
}

std::vector<std::string> names(const std::vector<Input>& inputs) {
  std::vector<std::string> out;
  for (const Input& input : inputs) out.push_back(input.name());
  return out;
}

TEST(Elasticity, InputsOfAnExperimentAreItsNumbersLessStructureAndZeros) {
  const Json resolved = Json::parse(R"({
    "seed": 7, "slo": {"ttft_s": 0.5},
    "load": {"rate_per_s": 0.8, "think_s": 0.0, "clients": 1},
    "pools": [{"llm": "a", "replicas": 8, "engine": {"max_num_seqs": 256, "async": true}}]})");
  EXPECT_EQ(names(inputs_of_experiment(resolved)),
            (std::vector<std::string>{"/load/rate_per_s", "/pools/0/engine/max_num_seqs"}));
}

TEST(Elasticity, ElementsOfAModelsListAreVariedTogether) {
  const Json file = Json::parse(R"({"groups": [{"gpus": 2, "latency_s": 1e-6},
                                               {"gpus": 4, "latency_s": 2e-6}]})");
  EXPECT_EQ(names(inputs_of_model(file, "gpu/x")),
            std::vector<std::string>{"gpu/x /groups/*/latency_s"});
}

TEST(Elasticity, DiskProfilesAreFoundWithinArrays) {
  const Json resolved = Json::parse(R"({"nodes": [{"disks": [
      {"kind": "raid0", "of": {"kind": "nvme", "profile": "micron-7450"}}]}]})");
  EXPECT_EQ(disks_of(resolved), std::vector<std::string>{"disk/micron-7450"});
}

TEST(Elasticity, PatternsChooseAmongInputs) {
  const std::vector<Input> all = {{"", "/load/rate_per_s", 1, false},
                                  {"gpu/l4", "/peaks/memory_bytes_per_s", 1, false}};
  EXPECT_EQ(names(chosen(all, {"gpu/* /peaks/*"})),
            std::vector<std::string>{"gpu/l4 /peaks/memory_bytes_per_s"});
  EXPECT_EQ(chosen(all, {"/load/*", "gpu/*"}).size(), 2u);
}

TEST(Elasticity, WholeNumbersMoveByWholeSteps) {
  const auto nudges = nudges_of({"", "/load/clients", 4, true}, 0.1, Json::object());
  ASSERT_TRUE(nudges);
  EXPECT_EQ((*nudges)[0].override_text, "/load/clients=3");
  EXPECT_EQ((*nudges)[1].override_text, "/load/clients=5");
  EXPECT_DOUBLE_EQ((*nudges)[1].factor, 1.25);
}

TEST(Elasticity, AModelsNumberMovesOnTopOfTheExperimentsOwnOverrides) {
  const Json resolved = {
      {"model_overrides", {{{"model", "gpu/l4"}, {"path", "/a"}, {"value", 2}}}}};
  const auto nudges = nudges_of({"engine/vllm", "/b", 3, false}, 0.1, resolved);
  ASSERT_TRUE(nudges);
  EXPECT_EQ((*nudges)[1].override_text,
            R"(/model_overrides=[{"model":"gpu/l4","path":"/a","value":2},)"
            R"({"model":"engine/vllm","path":"/b","times":1.1}])");
}

TEST(Elasticity, APowerLawsExponentIsItsElasticity) {
  const Input input{"", "/x", 10, false};
  const auto nudges = nudges_of(input, 0.1, Json::object());
  const auto y = [](double factor) { return summary_with(3 * std::pow(factor, 0.7)); };
  const Sensitivity found = slopes_of(input, *nudges, y(1), y(0.9), y(1.1));
  ASSERT_TRUE(found.slopes[0]);
  EXPECT_NEAR(found.slopes[0]->central, 0.7, 1e-9);
  EXPECT_FALSE(found.slopes[0]->kinked());
  EXPECT_FALSE(found.slopes[5]) << "a hit rate of zero has no logarithm";
}

TEST(Elasticity, SidesThatDifferAreAKink) {
  const Input input{"", "/x", 10, false};
  const auto nudges = nudges_of(input, 0.1, Json::object());
  const Sensitivity found =
      slopes_of(input, *nudges, summary_with(1), summary_with(1), summary_with(1.1));
  EXPECT_NEAR(found.slopes[0]->up, 1, 1e-9);
  EXPECT_EQ(found.slopes[0]->down, 0);
  EXPECT_TRUE(found.slopes[0]->kinked());
}

TEST(Elasticity, WhereOneSideCannotBeRunTheOtherTells) {
  const Input input{"", "/efficiency", 0.95, false};
  auto nudges = *nudges_of(input, 0.1, Json::object());
  nudges[1].factor = 1;
  const Sensitivity found =
      slopes_of(input, nudges, summary_with(1), summary_with(0.9), summary_with(1));
  EXPECT_NEAR(found.slopes[0]->central, 1, 1e-9);
  EXPECT_FALSE(found.slopes[0]->kinked());
}

TEST(Elasticity, TheTableIsSortedByEffectAndNamesWhatHasNone) {
  std::vector<Sensitivity> all = {{{"", "/idle", 5, false}, {Slope{0, 0, 0}}, ""},
                                  {{"", "/weak", 5, false}, {Slope{0.1, 0.1, 0.1}}, ""},
                                  {{"", "/strong", 5, false}, {Slope{-0.9, -0.9, -0.9}}, ""},
                                  {{"", "/bad", 5, false}, {}, "allowed: 16"}};
  const std::string table = sensitivity_table(all);
  EXPECT_LT(table.find("/strong"), table.find("/weak"));
  EXPECT_NE(table.find("no effect: /idle\n"), std::string::npos) << table;
  EXPECT_NE(table.find("could not be varied: /bad: allowed: 16"), std::string::npos) << table;
}

}  // namespace
}  // namespace kvsim
