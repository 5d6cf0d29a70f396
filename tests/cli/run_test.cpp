// kvsim run: what it writes, where, and that equal input gives equal bytes.
#include <fstream>

#include "tests/cli/experiments.hpp"

namespace kvsim::cli_test {
namespace {

class Run : public CommandTest {
 protected:
  // `experiment` into `out`, with more arguments.
  void run(const Json& experiment, const std::string& out, std::vector<std::string> more = {}) {
    write("experiment.json", experiment.dump());
    std::vector<std::string> arguments = {"run", "experiment.json", "-q", "-o", out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const CommandResult result = kvsim(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  [[nodiscard]] Json summary(const std::string& out) const {
    return Json::parse(read(out + "/summary.json"));
  }
  // What the run made of the experiment after all overrides.
  [[nodiscard]] Json resolved(const std::string& out) const {
    return Json::parse(read(out + "/run.json"))["experiment"];
  }
  [[nodiscard]] std::vector<std::string> files(const std::string& out) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder() / out))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
};

using Names = std::vector<std::string>;

TEST_F(Run, ASummaryHasEveryKeyThatOthersRelyOn) {
  run(small_experiment(), "out");
  const Json json = summary("out");
  EXPECT_EQ(json["schema"], "kvsim.summary/1");
  Names paths;
  for (const char* key : {"arrived", "completed", "refused", "failed", "unfinished", "preempted"})
    paths.push_back(std::string("/requests/") + key);
  for (const char* key : {"requests_per_s", "output_tokens_per_s", "input_tokens_per_s",
                          "requests_per_s_per_gpu", "output_tokens_per_s_per_user"})
    paths.push_back(std::string("/throughput/") + key);
  for (const char* latency : {"ttft", "itl", "tpot", "e2e", "queue"})
    for (const char* key : {"mean", "p50", "p90", "p95", "p99", "max"})
      paths.push_back(std::string("/latency_s/") + latency + "/" + key);
  for (const char* key :
       {"prompt_tokens", "recomputed_tokens", "hit_rate", "hit_tokens/hbm", "hit_tokens/dram",
        "evicted_tokens/hbm", "stored_bytes/dram", "write_amplification"})
    paths.push_back(std::string("/cache/") + key);
  for (const char* key : {"queue", "lookup", "fetch", "prefill", "other"})
    paths.push_back(std::string("/ttft_breakdown_s/") + key);
  for (const char* key : {"name", "kind", "utilisation", "bytes", "busy_s"})
    paths.push_back(std::string("/resources/0/") + key);
  for (const char* key : {"resource", "utilisation", "reason", "share"})
    paths.push_back(std::string("/bottleneck/") + key);
  for (const char* key :
       {"usd_per_hour", "usd_per_million_output_tokens", "usd_per_million_tokens", "by_part/gpu",
        "by_part/dram", "by_part/nvme", "by_part/store", "by_part/network", "by_part/power"})
    paths.push_back(std::string("/cost/") + key);
  for (const char* key : {"ttft_s", "tpot_s", "attainment", "goodput_requests_per_s"})
    paths.push_back(std::string("/slo/") + key);
  for (const char* key : {"version", "config_sha256", "trace_sha256", "seed", "profiles"})
    paths.push_back(std::string("/provenance/") + key);
  paths.insert(paths.end(), {"/duration_s", "/simulated_s"});
  for (const std::string& path : paths)
    EXPECT_TRUE(json.contains(Json::json_pointer(path))) << path;
}

TEST_F(Run, RequestsCsvHasALineForEachRequest) {
  run(small_experiment(), "out");
  const std::string csv = read("out/requests.csv");
  EXPECT_TRUE(csv.starts_with("id,session,turn,replica,outcome,"));
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n') - 1,
            summary("out")["requests"]["arrived"].get<int>());
}

TEST_F(Run, OnlyTheOutputsAskedForAreWritten) {
  run(small_experiment(), "two", {"--outputs", "summary,result"});
  EXPECT_EQ(files("two"), (Names{"result.pb", "run.json", "summary.json"}));
  run(small_experiment(), "one", {"--outputs", "requests"});
  EXPECT_EQ(files("one"), (Names{"requests.csv"}));
}

TEST_F(Run, ResultsLieUnderResultsByName) {
  write("experiment.json", small_experiment().dump());
  EXPECT_EQ(kvsim({"run", "experiment.json", "-q"}).exit_code, 0);
  EXPECT_TRUE(exists("results/small/summary.json"));
  EXPECT_EQ(kvsim({"run", "experiment.json", "-q", "--set", "/name="}).exit_code, 0);
  EXPECT_TRUE(exists("results/experiment/summary.json"));
}

TEST_F(Run, ATableAndThePathOfTheResultsArePrinted) {
  write("experiment.json", small_experiment().dump());
  const CommandResult result = kvsim({"run", "experiment.json", "-o", "out"});
  for (const char* part : {"requests", "ttft", "p99", "results: out"})
    EXPECT_NE(result.out.find(part), std::string::npos) << result.out;
}

TEST_F(Run, OverridesTakeNumbersStringsListsAndObjects) {
  run(small_experiment(), "out",
      {"--set", "/seed=7", "--set", "/description=as it is", "--set", "/load/rate_per_s=3.5",
       "--set", R"(/nodes=[{"gpus": 4}])", "--set", R"(/workload/input={"kind": "constant",
       "value": 50})",
       "--set", "/pools/0/replicas=3", "--set", "/router=random"});
  const Json json = resolved("out");
  EXPECT_EQ(json["seed"], 7);
  EXPECT_EQ(json["description"], "as it is");
  EXPECT_EQ(json["load"]["rate_per_s"], 3.5);
  EXPECT_EQ(json["nodes"][0]["gpus"], 4);
  EXPECT_EQ(json["workload"]["input"]["value"], 50);
  EXPECT_EQ(json["pools"][0]["replicas"], 3);
  EXPECT_EQ(json["router"]["kind"], "random");
}

TEST_F(Run, TheLastOfTwoOverridesHolds) {
  run(small_experiment(), "out", {"--set", "/seed=7", "--set", "/seed=8"});
  EXPECT_EQ(resolved("out")["seed"], 8);
}

TEST_F(Run, ProfilesAndTracesAreRelativeToTheExperimentOrTheWorkingDirectory) {
  write("inside/llm.json", content(source("models/llm/qwen3-0.6b.json")));
  write("inside/trace.jsonl", content(source("traces/mooncake.jsonl")));
  Json experiment = replay_of("trace.jsonl");
  experiment["pools"][0]["llm"] = "llm.json";
  write("inside/experiment.json", experiment.dump());
  EXPECT_EQ(kvsim({"run", "inside/experiment.json", "-q", "-o", "a"}).exit_code, 0);
  experiment["pools"][0]["llm"] = "absent.json";
  experiment["workload"]["path"] = "absent.jsonl";
  write("inside/experiment.json", experiment.dump());
  const CommandResult result =
      kvsim({"run", "inside/experiment.json", "-q", "-o", "b", "--set",
             "/workload/path=inside/trace.jsonl", "--set", "/pools/0/llm=inside/llm.json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(read("a/requests.csv"), read("b/requests.csv"));
}

TEST_F(Run, EqualExperimentsGiveEqualBytes) {
  const std::vector<std::string> all = {"--outputs", "summary,requests,result"};
  run(small_experiment(), "one", all);
  run(small_experiment(), "two", all);
  for (const char* file : {"summary.json", "requests.csv", "result.pb"}) {
    EXPECT_FALSE(read(std::string("one/") + file).empty()) << file;
    EXPECT_EQ(read(std::string("one/") + file), read(std::string("two/") + file)) << file;
  }
}

TEST_F(Run, AnotherSeedGivesAnotherRun) {
  run(small_experiment(), "one");
  run(small_experiment(), "two", {"--set", "/seed=2"});
  EXPECT_NE(read("one/requests.csv"), read("two/requests.csv"));
}

TEST_F(Run, AGeneratedWorkloadWrittenToATraceGivesTheSameRun) {
  run(small_experiment(), "generated");
  ASSERT_EQ(kvsim({"trace", "generate", "experiment.json", "-o", "made.kvt"}).exit_code, 0);
  Json replay = small_experiment();
  replay["workload"] = {{"path", "made.kvt"}};
  replay["load"] = {{"kind", "trace"}};
  run(replay, "replayed");
  EXPECT_EQ(read("generated/requests.csv"), read("replayed/requests.csv"));
  EXPECT_EQ(summary("generated")["provenance"]["trace_sha256"],
            summary("replayed")["provenance"]["trace_sha256"]);
}

TEST_F(Run, AConvertedTraceGivesTheSameRun) {
  for (const char* name : {"azure.csv", "burstgpt.csv", "llmservingsim.jsonl.gz", "mooncake.jsonl",
                           "mooncake-sessions.jsonl", "vidur.csv"}) {
    SCOPED_TRACE(name);
    const std::string original = source(std::string("traces/") + name);
    ASSERT_EQ(kvsim({"trace", "convert", original, "-o", "converted.kvt"}).exit_code, 0);
    run(replay_of(original), "original");
    run(replay_of("converted.kvt"), "converted");
    EXPECT_EQ(read("original/requests.csv"), read("converted/requests.csv"));
    EXPECT_EQ(summary("original")["provenance"]["trace_sha256"],
              summary("converted")["provenance"]["trace_sha256"]);
  }
}

TEST_F(Run, RequestsThatCanNeverFitAreRefusedAndCounted) {
  // By max_model_len, then by the whole KV cache: 20 blocks of 16 tokens, one of them unusable.
  for (const char* limit :
       {"/pools/0/engine/max_model_len=304", "/pools/0/engine/num_gpu_blocks_override=20"}) {
    SCOPED_TRACE(limit);
    Json experiment = small_experiment();
    experiment["workload"] = {{"kind", "generate"},
                              {"requests", 200},
                              {"input", {{"kind", "uniform"}, {"min", 200}, {"max", 400}}},
                              {"output", {{"kind", "constant"}, {"value", 4}}}};
    run(experiment, "out", {"--set", limit});
    int too_long = 0;
    std::istringstream csv(read("out/requests.csv"));
    std::string line;
    std::getline(csv, line);
    while (std::getline(csv, line)) {
      std::vector<std::string> fields;
      std::istringstream parts(line);
      for (std::string field; std::getline(parts, field, ',');) fields.push_back(field);
      const bool fits = std::stoi(fields[6]) + 4 <= 304;
      EXPECT_EQ(fields[4], fits ? "completed" : "refused") << line;
      too_long += fits ? 0 : 1;
    }
    const Json counts = summary("out")["requests"];
    EXPECT_GT(too_long, 50);
    EXPECT_EQ(counts["refused"], too_long);
    EXPECT_EQ(counts["completed"], 200 - too_long);
    EXPECT_EQ(counts["arrived"], 200);
  }
}

TEST_F(Run, AConversationGoesOnAfterARefusedTurn) {
  Json experiment = small_experiment();
  experiment["pools"][0]["engine"]["max_model_len"] = 600;
  run(experiment, "out");
  const Json counts = summary("out")["requests"];
  EXPECT_GT(counts["refused"], 0);
  EXPECT_EQ(counts["completed"].get<int>() + counts["refused"].get<int>(), counts["arrived"]);
}

}  // namespace
}  // namespace kvsim::cli_test
