// Configuration files of real systems in an experiment, in place of our own keys.
#include "tests/cli/experiments.hpp"

namespace kvsim::cli_test {
namespace {

constexpr const char* kLmcache =
    "chunk_size: 512\n"
    "local_cpu: false\n"
    "max_local_cpu_size: 2\n"
    "remote_url: \"redis://cache:6379\"\n"
    "remote_serde: naive\n"
    "no_such_option: 3\n";

class RealConfigurations : public CommandTest {
 protected:
  // One store and one pool as given; the resolved experiment.
  Json run(const Json& store, const Json& pool) {
    Json experiment = {
        {"schema", "kvsim.experiment/1"},
        {"workload",
         {{"kind", "generate"},
          {"requests", 10},
          {"input", {{"kind", "constant"}, {"value", 600}}},
          {"output", {{"kind", "constant"}, {"value", 4}}}}},
        {"nodes",
         {{{"gpus", 1},
           {"dram_bytes", 1e12},
           {"disks", {{{"name", "ssd"}, {"kind", "tmpfs"}, {"capacity_bytes", 1e11}}}}}}},
        {"stores", {store}},
        {"pools", {pool}}};
    experiment["pools"][0]["llm"] = "qwen3-0.6b";
    experiment["pools"][0]["gpu"] = "l4";
    write("inside/experiment.json", experiment.dump());
    const CommandResult result = kvsim({"run", "inside/experiment.json", "-q", "-o", "out"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? Json::parse(read("out/run.json"))["experiment"] : Json();
  }
  [[nodiscard]] std::string warnings() const {
    return Json::parse(read("out/summary.json"))["warnings"].dump();
  }
};

const Json kStore = {{"name", "kv"}, {"kind", "redis"}, {"maxmemory_bytes", 1e9}};

TEST_F(RealConfigurations, LmcacheYamlIsAConnectorThatFindsTheOnlyStore) {
  write("inside/lmcache.yaml", kLmcache);
  const Json resolved = run(kStore, {{"connector", {{"lmcache_yaml", "lmcache.yaml"}}}});
  const Json& connector = resolved["pools"][0]["connector"];
  EXPECT_EQ(connector["kind"], "lmcache");
  EXPECT_EQ(connector["chunk_tokens"], 512);
  EXPECT_EQ(connector["remote"], "kv");
  EXPECT_FALSE(connector.contains("lmcache_yaml"));
}

TEST_F(RealConfigurations, KeysOfOursWin) {
  write("inside/lmcache.yaml", kLmcache);
  const Json resolved =
      run(kStore, {{"connector", {{"lmcache_yaml", "lmcache.yaml"}, {"chunk_tokens", 1024}}}});
  EXPECT_EQ(resolved["pools"][0]["connector"]["chunk_tokens"], 1024);
  EXPECT_EQ(resolved["pools"][0]["connector"]["local_cpu"], false);
}

TEST_F(RealConfigurations, ContradictionsAndUnknownOptionsAreWarnedOf) {
  write("inside/lmcache.yaml", kLmcache);
  run(kStore, {{"connector", {{"lmcache_yaml", "lmcache.yaml"}}}});
  EXPECT_NE(warnings().find("lmcache.yaml: unknown: no_such_option"), std::string::npos)
      << warnings();
  EXPECT_NE(warnings().find("lmcache.yaml: local_cpu is false"), std::string::npos) << warnings();
}

TEST_F(RealConfigurations, KvrocksConfIsAStore) {
  write("inside/kvrocks.conf", "workers 3\nrocksdb.write_buffer_size 256\n");
  const Json store = run({{"name", "kv"}, {"disk", "ssd"}, {"kvrocks_conf", "kvrocks.conf"}},
                         {{"connector", {{"kind", "lmcache"}, {"remote", "kv"}}}})["stores"][0];
  EXPECT_EQ(store["kind"], "kvrocks");
  EXPECT_EQ(store["workers"], 3);
  EXPECT_EQ(store["lsm"]["write_buffer_bytes"], 256 << 20);
}

TEST_F(RealConfigurations, RedisConfIsAStoreAndMayBeValkeys) {
  write("inside/redis.conf", "maxmemory 10gb\nio-threads 4\n");
  const Json store = run({{"name", "kv"}, {"kind", "valkey"}, {"redis_conf", "redis.conf"}},
                         {{"connector", {{"kind", "lmcache"}, {"remote", "kv"}}}})["stores"][0];
  EXPECT_EQ(store["kind"], "valkey");
  EXPECT_EQ(store["io_threads"], 4);
  EXPECT_EQ(store["maxmemory_bytes"], 10LL << 30);
}

TEST_F(RealConfigurations, VllmArgsAreTextOrAFile) {
  write("inside/flags.txt", "vllm serve some/llm --max-num-seqs 77 --kv-offloading-size 1\n");
  const Json text = run(kStore, {{"vllm_args", "--max-num-seqs 99"}});
  EXPECT_EQ(text["pools"][0]["engine"]["max_num_seqs"], 99);
  const Json file = run(kStore, {{"vllm_args", "flags.txt"}});
  EXPECT_EQ(file["pools"][0]["engine"]["max_num_seqs"], 77);
  EXPECT_EQ(file["pools"][0]["connector"]["kind"], "native");
  const Json both = run(kStore, {{"vllm_args", "flags.txt"},
                                 {"engine", {{"max_num_seqs", 55}}},
                                 {"connector", {{"kind", "lmcache"}, {"remote", "kv"}}}});
  EXPECT_EQ(both["pools"][0]["engine"]["max_num_seqs"], 55);
  EXPECT_EQ(both["pools"][0]["connector"], (Json{{"kind", "lmcache"}, {"remote", "kv"}}));
}

constexpr const char* kEpp =
    "apiVersion: llm-d.ai/v1alpha1\n"
    "kind: EndpointPickerConfig\n"
    "plugins:\n"
    "- type: queue-scorer\n"
    "- type: kv-cache-utilization-scorer\n"
    "- type: max-score-picker\n"
    "schedulingProfiles:\n"
    "- name: default\n"
    "  plugins: [{pluginRef: queue-scorer, weight: 5}, {pluginRef: kv-cache-utilization-scorer},\n"
    "            {pluginRef: max-score-picker}]\n";

TEST_F(RealConfigurations, AnEndpointPickerConfigIsTheRouter) {
  write("epp.yaml", kEpp);
  Json experiment = small_experiment();
  experiment["router"] = {{"epp_yaml", "epp.yaml"}, {"view_refresh_s", 0.2}};
  write("inside.json", experiment.dump());
  experiment.erase("router");
  experiment["epp_yaml"] = "epp.yaml";
  write("top.json", experiment.dump());
  for (const char* file : {"inside.json", "top.json"}) {
    const CommandResult result = kvsim({"run", file, "-q", "-o", "out"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const Json router = Json::parse(read("out/run.json"))["experiment"]["router"];
    EXPECT_EQ(router["kind"], "llm-d");
    EXPECT_EQ(router["profiles"][0]["plugins"][0]["weight"], 5);
    EXPECT_EQ(router["view_refresh_s"], std::string(file) == "inside.json" ? 0.2 : 0.05);
  }
}

TEST_F(RealConfigurations, DynamosArgumentsAreTheRouterAsTextOrAFile) {
  write("frontend.sh", "python -m dynamo.frontend --router-mode kv --router-temperature 0.5\n");
  Json experiment = small_experiment();
  experiment["router"] = {{"dynamo_args", "frontend.sh"}};
  write("file.json", experiment.dump());
  experiment.erase("router");
  experiment["dynamo_args"] = "--router-mode kv --router-temperature 0.5";
  write("text.json", experiment.dump());
  for (const char* file : {"file.json", "text.json"}) {
    const CommandResult result = kvsim({"run", file, "-q", "-o", "out"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const Json resolved = Json::parse(read("out/run.json"))["experiment"];
    const Json& router = resolved.at("router");
    EXPECT_EQ(router["kind"], "dynamo-kv");
    EXPECT_EQ(router["router_temperature"], 0.5);
    EXPECT_EQ(resolved.at("disaggregation").at("prompt_to_decode"), "token-ids");
  }
}

TEST_F(RealConfigurations, APickersDeciderIsTheExperimentsUnlessItSaysItself) {
  write("epp.yaml", std::string(kEpp) +
                        "- name: prefill\n  plugins: [{pluginRef: queue-scorer}]\n"
                        "- name: decode\n  plugins: [{pluginRef: queue-scorer}]\n");
  Json experiment = small_experiment();
  experiment["router"] = {{"epp_yaml", "epp.yaml"}};
  experiment["disaggregation"] = {{"decider", "never"}};
  write("experiment.json", experiment.dump());
  const CommandResult result = kvsim({"run", "experiment.json", "-q", "-o", "out"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json resolved = Json::parse(read("out/run.json"))["experiment"];
  EXPECT_EQ(resolved["disaggregation"]["decider"], "never");
  EXPECT_EQ(resolved["router"]["profiles"].size(), 3U);
}

TEST_F(RealConfigurations, AFileThatIsNotThereIsNamedWithItsKey) {
  Json experiment = small_experiment();
  experiment["pools"][0]["connector"] = {{"lmcache_yaml", "absent.yaml"}};
  write("experiment.json", experiment.dump());
  const CommandResult result = kvsim({"run", "experiment.json", "-q"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_NE(result.err.find("/pools/0/connector/lmcache_yaml"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("absent.yaml"), std::string::npos) << result.err;
}

TEST_F(RealConfigurations, AnOverrideNamesAFileOfTheWorkingDirectory) {
  write("here.yaml", kLmcache);
  Json experiment = small_experiment();
  experiment["stores"] = {kStore};
  experiment["pools"][0]["connector"] = Json::object();
  write("inside/experiment.json", experiment.dump());
  const CommandResult result = kvsim({"run", "inside/experiment.json", "-q", "-o", "out", "--set",
                                      "/pools/0/connector/lmcache_yaml=here.yaml"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

}  // namespace
}  // namespace kvsim::cli_test
