// What a user may get wrong: each ends before simulated time starts, with exit code 2 (3 for the
// machine's faults), one line on standard error that says where, what was found and what is
// allowed, and no file in the results folder.
#include <algorithm>
#include <vector>

#include "tests/cli/experiments.hpp"

namespace kvsim::cli_test {
namespace {

class BadInput : public CommandTest {
 protected:
  // Runs bad.json and checks all but the words.
  CommandResult refused(std::vector<std::string> more = {}, int exit_code = 2) {
    std::vector<std::string> arguments = {"run", "bad.json", "--quiet"};
    if (more.empty() || more.front() != "-o") arguments.insert(arguments.end(), {"-o", "out"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    CommandResult result = kvsim(arguments);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_FALSE(exists("out") && !std::filesystem::is_empty(folder() / "out")) << result.err;
    return result;
  }
  // Says "kvsim: PLACE: ...found FOUND...; allowed: ..."; FOUND may be only its beginning.
  void expect_words(const CommandResult& result, const std::string& place,
                    const std::string& found) const {
    EXPECT_TRUE(result.err.starts_with("kvsim: " + place + ": ")) << place << "\n" << result.err;
    EXPECT_NE(result.err.find("found " + found), std::string::npos) << found << "\n" << result.err;
    EXPECT_NE(result.err.find("; allowed: "), std::string::npos) << result.err;
  }
  // bad.json: a replay of `name` with this content.
  void write_trace(const std::string& name, const std::string& content) const {
    write(name, content);
    write("bad.json", replay_of(name).dump());
  }
};

struct Mistake {
  const char* pointer;  // where bad.json differs from the small experiment
  const char* value;    // JSON; "" removes what is there
  const char* found;
  const char* place = nullptr;  // where the message points when it is not `pointer`
};

// Keys that nothing knows, on every level.
const std::vector<Mistake> kUnknownKeys = {
    {"/wrkload", "{}", "the unknown key \"wrkload\""},
    {"/workload/inputs", "5", "the unknown key \"inputs\""},
    {"/workload/sessions/cuont", "5", "the unknown key \"cuont\""},
    {"/workload/sessions/think/mean", "5", "the unknown key \"mean\""},
    {"/workload/prefix/length/tokens", "5", "the unknown key \"tokens\""},
    {"/load/rate", "5", "the unknown key \"rate\""},
    {"/pools/0/modell", "\"x\"", "the unknown key \"modell\""},
    {"/pools/0/engine/max_num_seq", "5", "the unknown key \"max_num_seq\""},
    {"/pools/0/connector/cpu_gigabytes", "5", "the unknown key \"cpu_gigabytes\""},
    {"/router/weights_of_nothing", "5", "the unknown key \"weights_of_nothing\""},
    {"/nodes", R"([{"gpu": 8}])", "the unknown key \"gpu\"", "/nodes/0/gpu"},
    {"/measure", R"({"warmup": 3})", "the unknown key \"warmup\"", "/measure/warmup"},
    {"/slo/ttft_ms", "500", "the unknown key \"ttft_ms\""},
    {"/cost", R"({"currency": "EUR"})", "the unknown key \"currency\"", "/cost/currency"},
};

const std::vector<Mistake> kWrongTypes = {
    {"/workload", "\"generate\"", "\"generate\""},
    {"/workload/input", "\"long\"", "\"long\""},
    {"/load", "[]", "[]"},
    {"/load/rate_per_s", "\"2/s\"", "\"2/s\""},
    {"/pools", "{}", "{}"},
    {"/pools/0", "7", "7"},
    {"/pools/0/replicas", "1.5", "1.5"},
    {"/pools/0/engine", "\"vllm\"", "\"vllm\""},
    {"/pools/0/engine/async_scheduling", "1", "1"},
    {"/pools/0/engine/scheduler", "3", "3"},
    {"/pools/0/engine/step_time", "[]", "[]"},
    {"/pools/0/connector", "true", "true"},
    {"/pools/0/connector/cpu_bytes", "\"1 GB\"", "\"1 GB\""},
    {"/pools/0/llm", "7", "7"},
    {"/router", "5", "5"},
    {"/router/view_refresh_s", "\"50ms\"", "\"50ms\""},
    {"/seed", "\"one\"", "\"one\""},
    {"/name", "5", "5"},
    {"/slo", "0.5", "0.5"},
};

const std::vector<Mistake> kOutOfRange = {
    {"/workload/sessions/count", "0", "0"},
    {"/workload/prefix/groups", "-1", "-1"},
    {"/load/rate_per_s", "-2", "-2"},
    {"/load/client_timeout_s", "-1", "-1"},
    {"/pools/0/replicas", "0", "0"},
    {"/pools/0/tensor_parallel", "65", "65"},
    {"/pools/0/engine/gpu_memory_utilization", "92", "92"},
    {"/pools/0/engine/block_size", "0", "0"},
    {"/pools/0/engine/num_gpu_blocks_override", "1", "1"},
    {"/pools/0/connector/cpu_bytes", "-1", "-1"},
    {"/pools/0/engine/num_gpu_blocks_override", "100000000", "100000000"},
    {"/router/view_refresh_s", "-0.05", "-0.05"},
    {"/router/view_refresh_s", "1e-9", "1e-09"},
    {"/measure", R"({"duration_s": 0})", "0", "/measure/duration_s"},
    {"/seed", "-1", "-1"},
    {"/slo/tpot_s", "-0.1", "-0.1"},
};

const std::vector<Mistake> kUnknownNames = {
    {"/schema", "\"kvsim.experiment/9\"", "\"kvsim.experiment/9\""},
    {"/workload/kind", "\"invent\"", "\"invent\""},
    {"/workload/input/kind", "\"pareto\"", "\"pareto\""},
    {"/load/kind", "\"burst\"", "\"burst\""},
    {"/pools/0/llm", "\"llama-9\"", "no such profile"},
    {"/pools/0/gpu", "\"h900\"", "no such profile"},
    {"/pools/0/llm", "\"absent.json\"", "no readable file"},
    {"/pools/0/role", "\"router\"", "\"router\""},
    {"/pools/0/node", "\"rack\"", "\"rack\""},
    {"/pools/0/engine/version", "\"latest\"", "\"latest\"", "/pools/0"},
    {"/pools/0/engine/version", "\"0.1\"", "version 0.1", "/pools/0"},
    {"/pools/0/engine/scheduler", "\"orca\"", "\"orca\""},
    {"/pools/0/engine/step_time", "\"oracle\"", "\"oracle\""},
    {"/pools/0/engine/kv_cache_dtype", "\"int4\"", "\"int4\""},
    {"/pools/0/connector/kind", "\"nixl\"", "\"nixl\""},
    {"/pools/0/connector/eviction", "\"clock\"", "\"clock\"", "/pools/0"},
    {"/router", "\"astrology\"", "\"astrology\""},
    {"/router/kind", "\"astrology\"", "\"astrology\""},
    {"/cost", R"({"prices": "cheap"})", "no such profile", "/cost/prices"},
};

const std::vector<Mistake> kMissing = {
    {"/schema", "", "no \"schema\"", "/"},
    {"/workload", "", "no \"workload\"", "/"},
    {"/pools", "", "no \"pools\"", "/"},
    {"/pools/0/gpu", "", "no \"gpu\"", "/pools/0"},
    {"/pools", "[]", "0 pools"},
    {"/workload/prefix/length", "", "no \"length\"", "/workload/prefix"},
    {"/pools/0/connector/cpu_bytes", "", "no \"cpu_bytes\"", "/pools/0/connector"},
    {"/pools/0/connector/kind", "", "{\"cpu_bytes\":1000000000.0}", "/pools/0/connector"},
    {"/load/rate_per_s", "", "no rate", "/load"},
};

// Each key is right by itself.
const std::vector<Mistake> kContradictions = {
    {"/load/stages", R"([{"rate_per_s": 1, "duration_s": 9}])", "both rate_per_s and stages",
     "/load"},
    {"/load/clients", "8", "it with kind \"poisson\""},
    {"/load", R"({"kind": "closed_loop"})", "kind \"closed_loop\" without clients"},
    {"/load", R"({"kind": "trace", "rate_per_s": 2})", "it with kind \"trace\"",
     "/load/rate_per_s"},
    {"/workload/input", R"({"kind": "uniform", "min": 9, "max": 3})", "9", "/workload/input/min"},
    {"/workload/path", "\"x.jsonl\"", "the unknown key \"kind\"", "/workload/kind"},
    {"/pools/0/tensor_parallel", "16", "16 GPUs a replica", "/pools/0"},
    {"/pools/0", R"({"llm": "llama-3.1-70b", "gpu": "l4"})", "", "/pools/0"},
    {"/pools/0", R"({"llm": "llama-3.1-8b", "gpu": "l4", "engine": {"max_model_len": 130000}})",
     "130000", "/pools/0"},
};

class Mistakes : public BadInput {
 protected:
  void expect_refused(const std::vector<Mistake>& mistakes) {
    for (const Mistake& mistake : mistakes) {
      SCOPED_TRACE(std::string(mistake.pointer) + " = " + mistake.value);
      const Json::json_pointer at{mistake.pointer};
      Json experiment = small_experiment();
      if (*mistake.value != '\0') {
        experiment[at] = Json::parse(mistake.value);
      } else {
        experiment[at.parent_pointer()].erase(at.back());
      }
      write("bad.json", experiment.dump(2));
      const char* place = mistake.place != nullptr ? mistake.place : mistake.pointer;
      expect_words(refused(), std::string("bad.json: ") + place, mistake.found);
    }
  }
};

TEST_F(Mistakes, UnknownKeysAreRefusedOnEveryLevel) { expect_refused(kUnknownKeys); }
TEST_F(Mistakes, ValuesOfAnotherTypeAreRefused) { expect_refused(kWrongTypes); }
TEST_F(Mistakes, NumbersOutOfRangeAreRefused) { expect_refused(kOutOfRange); }
TEST_F(Mistakes, NamesThatNothingHasAreRefused) { expect_refused(kUnknownNames); }
TEST_F(Mistakes, WhatIsMissingIsNamed) { expect_refused(kMissing); }
TEST_F(Mistakes, ContradictionsAreRefused) { expect_refused(kContradictions); }

TEST_F(BadInput, TheSmallExperimentItselfIsRight) {
  write("good.json", small_experiment().dump());
  EXPECT_EQ(kvsim({"run", "good.json", "-q", "-o", "out"}).exit_code, 0);
}

TEST_F(BadInput, AFileThatIsNoJsonIsNamedWithLineAndColumn) {
  write("bad.json", "{\n  \"schema\": kvsim\n}\n");
  expect_words(refused(), "bad.json:2:13", "text that is not JSON");
}

TEST_F(BadInput, AnEmptyExperimentIsRefused) {
  write("bad.json", "");
  expect_words(refused(), "bad.json:1:1", "");
}

TEST_F(BadInput, AnExperimentThatIsNoObjectIsRefused) {
  write("bad.json", "[1, 2]");
  expect_words(refused(), "bad.json: /", "[1,2]");
}

TEST_F(BadInput, AFolderIsNoExperiment) {
  std::filesystem::create_directory(folder() / "bad.json");
  expect_words(refused(), "bad.json", "a folder");
}

TEST_F(BadInput, AMissingExperimentIsRefused) { expect_words(refused(), "bad.json", "no"); }

TEST_F(BadInput, WrongOverridesAreRefused) {
  write("bad.json", small_experiment().dump());
  for (const char* set : {"seed=3", "/seed", "=3", "/pools/one/replicas=3", "/pools/7=3",
                          "/name/more=3", "/pools/-1/replicas=2", "/a~b=2"}) {
    SCOPED_TRACE(set);
    expect_words(refused({"--set", set}), "--set", "");
  }
}

TEST_F(BadInput, WrongOutputsAreRefused) {
  write("bad.json", small_experiment().dump());
  expect_words(refused({"--outputs", "summary,plot"}), "--outputs", "\"plot\"");
}

TEST_F(BadInput, UnknownFlagsAreRefused) {
  write("bad.json", small_experiment().dump());
  const CommandResult result = refused({"--frobnicate"});
  EXPECT_NE(result.err.find("--frobnicate"), std::string::npos) << result.err;
}

TEST_F(BadInput, AFolderThatCannotBeWrittenToIsTheMachinesFault) {
  write("bad.json", small_experiment().dump());
  write("file", "");
  for (const char* target : {"file/inside", "/proc/kvsim-results"}) {
    const CommandResult result = refused({"-o", target}, 3);
    EXPECT_NE(result.err.find(target), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("cannot"), std::string::npos) << result.err;
  }
}

constexpr const char* kGoodLine =
    "{\"timestamp\": 5, \"input_length\": 9, \"output_length\": 2, \"hash_ids\": [1]}\n";

std::string repeated(const char* line, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += line;
  return out;
}

using BadTrace = BadInput;

TEST_F(BadTrace, ABadLineIsFoundBeforeTheRunHoweverLateItStands) {
  struct Line {
    const char* text;
    const char* found;
  };
  for (const Line& line : std::vector<Line>{
           {"{\"timestamp\": 5, \"input_length\": \"9\", \"output_length\": 2, \"hash_ids\": [1]}",
            "\"input_length\": \"9\""},
           {"{\"timestamp\": 5, \"input_length\": 0, \"output_length\": 2, \"hash_ids\": []}",
            "\"input_length\": 0"},
           {"{\"timestamp\": 5, \"input_length\": 9, \"hash_ids\": [1]}",
            "\"output_length\": nothing"},
           {"{\"timestamp\": 5, \"input_length\": 9, \"output_length\": 2, \"hash_ids\": [1, 2]}",
            "\"hash_ids\": 2 ids for 9 tokens"},
           {"{\"timestamp\": -5, \"input_length\": 9, \"output_length\": 2, \"hash_ids\": [1]}",
            "\"timestamp\": -5"},
           {"{\"timestamp\": 4, \"input_length\": 9, \"output_length\": 2, \"hash_ids\": [1]}",
            "an arrival at 0.004 s after one at 0.005 s"},
           {"timestamp 5", "\"timestamp 5\", which is not JSON"},
       }) {
    SCOPED_TRACE(line.text);
    write_trace("bad.jsonl", repeated(kGoodLine, 3000) + line.text + "\n" + kGoodLine);
    const CommandResult result = refused();
    expect_words(result, "bad.jsonl:3001", line.found);
    EXPECT_NE(result.err.find("(3000 requests were used before it)"), std::string::npos)
        << result.err;
  }
}

TEST_F(BadTrace, ALineCutInHalfAtTheEndIsRefused) {
  write_trace("bad.jsonl", repeated(kGoodLine, 3) + std::string(kGoodLine).substr(0, 30));
  expect_words(refused(), "bad.jsonl:4", "half a line");
}

TEST_F(BadTrace, PackedTracesThatAreCutOffAreRefused) {
  for (const char* name : {"llmservingsim.jsonl.gz", "conversations.kvt"}) {
    SCOPED_TRACE(name);
    const std::string whole = content(source(std::string("traces/") + name));
    ASSERT_GT(whole.size(), 100U);
    write_trace(name, whole.substr(0, whole.size() - 40));
    const CommandResult result = refused();
    expect_words(result, name, "");
    EXPECT_NE(result.err.find("cut off"), std::string::npos) << result.err;
  }
}

TEST_F(BadTrace, ACsvLineWithTooFewFieldsIsRefused) {
  write_trace("bad.csv",
              "TIMESTAMP,ContextTokens,GeneratedTokens\n"
              "2023-11-16 18:15:46.6805900,374,44\n"
              "2023-11-16 18:15:50.9951690,396\n");
  expect_words(refused(), "bad.csv:3", "2 fields");
}

TEST_F(BadTrace, FilesWithoutRequestsAreRefused) {
  for (const char* nothing : {"", "\n\n", "TIMESTAMP,ContextTokens,GeneratedTokens\n"}) {
    SCOPED_TRACE(nothing);
    write_trace("bad.trace", nothing);
    refused();
  }
}

TEST_F(BadTrace, AFileOfNoKnownFormatIsRefused) {
  write_trace("bad.txt", "once upon a time\n");
  expect_words(refused(), "bad.txt:1", "\"once upon a time\"");
}

TEST_F(BadTrace, WhatIsNoFileIsRefused) {
  std::filesystem::create_directory(folder() / "traces");
  write("bad.json", replay_of("traces").dump());
  expect_words(refused(), "traces", "");
  write("bad.json", replay_of("absent.jsonl").dump());
  expect_words(refused(), "absent.jsonl", "");
  write("bad.json", replay_of("/dev/null").dump());
  expect_words(refused(), "bad.json: /workload/path", "/dev/null, a pipe or device");
}

TEST_F(BadTrace, UnknownFormatsAndOptionsAreRefused) {
  write("good.jsonl", kGoodLine);
  Json experiment = replay_of("good.jsonl");
  experiment["workload"]["format"] = "pcap";
  write("bad.json", experiment.dump());
  expect_words(refused(), "bad.json: /workload/format", "\"pcap\"");
  experiment["workload"]["format"] = "mooncake";
  experiment["workload"]["options"] = {{"smooth", 3}};
  write("bad.json", experiment.dump());
  expect_words(refused(), "bad.json: /workload/options/smooth", "the unknown key \"smooth\"");
  experiment["workload"]["options"] = {{"block_tokens", 0}};
  write("bad.json", experiment.dump());
  expect_words(refused(), "bad.json: /workload/options/block_tokens", "0");
}

TEST_F(BadTrace, ATraceInAnotherFormatThanSaidIsRefused) {
  write("good.jsonl", kGoodLine);
  Json experiment = replay_of("good.jsonl");
  experiment["workload"]["format"] = "azure";
  write("bad.json", experiment.dump());
  expect_words(refused(), "good.jsonl:1", "");
}

TEST_F(BadTrace, WhatTheLoadLeavesOutIsNotLookedAt) {
  write_trace("good.jsonl", repeated(kGoodLine, 5) + "nonsense\n");
  const CommandResult result =
      kvsim({"run", "bad.json", "-q", "-o", "out", "--set", "/load/max_requests=5"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

}  // namespace
}  // namespace kvsim::cli_test
