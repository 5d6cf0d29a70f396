// The files in configs/ are right, and the schemas beside them are those of this program.
#include <algorithm>

#include "tests/cli/experiments.hpp"

namespace kvsim::cli_test {
namespace {

class Configs : public CommandTest {
 protected:
  // Experiments under configs/, from its root.
  static std::vector<std::string> experiments() {
    std::vector<std::string> out;
    const std::filesystem::path root = source("configs");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      const std::string name = entry.path().lexically_relative(root).string();
      if (entry.path().extension() != ".json" || name.starts_with("schema/")) continue;
      if (content(entry.path()).find("\"kvsim.experiment/1\"") != std::string::npos)
        out.push_back(name);
    }
    std::sort(out.begin(), out.end());
    return out;
  }
};

TEST_F(Configs, EveryExperimentRuns) {
  const std::vector<std::string> names = experiments();
  EXPECT_GE(names.size(), 7U);
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const CommandResult result = kvsim({"run", source("configs/" + name), "-q", "-o", "out",
                                        "--outputs", "summary", "--set", "/load/max_requests=20"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    if (result.out.empty()) {
      EXPECT_EQ(Json::parse(read("out/summary.json"))["requests"]["completed"], 20);
      continue;
    }
    const Json table = Json::parse(read("out/variants.json"));  // one of several runs
    for (const Json& row : table["variants"]) {
      const Json summary = Json::parse(read("out/" + row["summary"].get<std::string>()));
      EXPECT_EQ(summary["requests"]["completed"], 20) << row["name"];
    }
  }
}

TEST_F(Configs, EveryExperimentHasAResultsFolderOfItsOwn) {
  std::vector<std::string> folders;
  for (const std::string& name : experiments()) {
    const Json json = Json::parse(content(source("configs/" + name)), nullptr, true, true);
    folders.push_back(json["name"]);
  }
  std::sort(folders.begin(), folders.end());
  EXPECT_EQ(std::adjacent_find(folders.begin(), folders.end()), folders.end());
}

TEST_F(Configs, TheSchemaIsUpToDate) {
  const CommandResult result = kvsim({"schema"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(content(source("configs/schema/experiment.json")) == result.out)
      << "configs/schema/experiment.json is out of date; renew it from the top of the checkout:\n"
      << "  build/release/sim/kvsim schema > configs/schema/experiment.json";
}

TEST_F(Configs, TheSchemaDescribesEveryPartOfAnExperiment) {
  const Json schema = Json::parse(kvsim({"schema"}).out);
  for (const char* key : {"workload", "load", "pools", "nodes", "router", "measure", "slo", "cost"})
    EXPECT_TRUE(schema["properties"].contains(key)) << key;
}

TEST_F(Configs, ListNamesPluginsAndProfiles) {
  const CommandResult result = kvsim({"list"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* name : {"round-robin", "prefix-aware", "vllm", "native", "arc", "fitted",
                           "trace format", "mooncake", "llama-3.1-8b", "h100-sxm"})
    EXPECT_NE(result.out.find(name), std::string::npos) << name;
}

}  // namespace
}  // namespace kvsim::cli_test
