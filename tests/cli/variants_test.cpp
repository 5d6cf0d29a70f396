// Variants of an experiment: each equals the run one would make by hand; one table of all.
#include <algorithm>

#include "tests/cli/experiments.hpp"

namespace kvsim::cli_test {
namespace {

class Variants : public CommandTest {
 protected:
  Variants() {
    Json json = small_experiment();
    json["variants"] = {
        {{"name", "as it is"}},
        {{"name", "random"}, {"set", {{"/router", "random"}}}},
        {{"name", "busy, random"}, {"set", {{"/router", "random"}, {"/load/rate_per_s", 8}}}}};
    save(json);
  }
  void save(const Json& json) const { write("small.json", json.dump()); }
  [[nodiscard]] Json saved() const { return Json::parse(read("small.json")); }
  CommandResult run(std::vector<std::string> more) {
    more.insert(more.begin(), {"run", "small.json", "-q"});
    return kvsim(more);
  }
  [[nodiscard]] std::vector<std::string> names(const std::string& file) const {
    std::vector<std::string> out;
    const Json json = Json::parse(read(file));
    for (const Json& row : json.at("variants")) out.push_back(row.at("name"));
    return out;
  }
};

TEST_F(Variants, EachIsARowOfOneTable) {
  const CommandResult result = run({"-o", "out"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 5) << result.out;
  for (const char* text : {"TTFT p50", "hbm", "dram", "net GB", "$/M tokens", "busy, random"})
    EXPECT_NE(result.out.find(text), std::string::npos) << text;
  const std::string csv = read("out/variants.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 4) << csv;
  EXPECT_NE(csv.find("\"busy, random\","), std::string::npos) << csv;
  EXPECT_EQ(names("out/variants.json"),
            (std::vector<std::string>{"as it is", "random", "busy, random"}));
}

TEST_F(Variants, TheTableSaysWhatTheSummariesSay) {
  ASSERT_EQ(run({"-o", "out"}).exit_code, 0);
  const Json table = Json::parse(read("out/variants.json"));
  for (const Json& row : table["variants"]) {
    const Json summary = Json::parse(read("out/" + row["summary"].get<std::string>()));
    const Json& values = row["values"];
    EXPECT_EQ(values["ttft_p99_s"], summary["latency_s"]["ttft"]["p99"]);
    EXPECT_EQ(values["hit_rate"], summary["cache"]["hit_rate"]);
    EXPECT_NEAR(values["hit_rate_hbm"].get<double>() + values["hit_rate_dram"].get<double>(),
                values["hit_rate"].get<double>(), 1e-9);
    EXPECT_EQ(values["failures"], 0);
  }
}

TEST_F(Variants, AVariantEqualsTheRunMadeByHand) {
  ASSERT_EQ(run({"-o", "out"}).exit_code, 0);
  ASSERT_EQ(run({"-o", "alone", "--variant", "busy, random"}).exit_code, 0);
  Json plain = saved();
  plain.erase("variants");
  save(plain);
  ASSERT_EQ(run({"-o", "hand", "--set", "/router=random", "--set", "/load/rate_per_s=8"}).exit_code,
            0);
  EXPECT_FALSE(read("hand/summary.json").empty());
  for (const char* file : {"summary.json", "requests.csv"}) {
    EXPECT_EQ(read(std::string("out/busy-random/") + file), read(std::string("hand/") + file));
    EXPECT_EQ(read(std::string("alone/") + file), read(std::string("hand/") + file));
  }
}

TEST_F(Variants, EqualRunsAreEqualBytesAndOrderDoesNotDependOnWhoIsFirst) {
  const CommandResult one = run({"-o", "out", "-j", "1"});
  const std::string csv = read("out/variants.csv");
  const std::string json = read("out/variants.json");
  const CommandResult three = run({"-o", "out", "-j", "3"});
  EXPECT_EQ(one.out, three.out);
  EXPECT_EQ(read("out/variants.csv"), csv);
  EXPECT_EQ(read("out/variants.json"), json);
}

TEST_F(Variants, AProductHasOneForEachChoiceOutOfEveryList) {
  Json json = saved();
  json.erase("variants");
  json["variants_of"] = {
      {{{"name", "random"}, {"set", {{"/router", "random"}}}}, {{"name", "prefix"}}},
      {{{"name", "one"}, {"set", {{"/pools/0/replicas", 1}}}}, {{"name", "two"}}}};
  save(json);
  ASSERT_EQ(run({"-o", "out"}).exit_code, 0);
  EXPECT_EQ(names("out/variants.json"), (std::vector<std::string>{"random + one", "random + two",
                                                                  "prefix + one", "prefix + two"}));
  const Json resolved = Json::parse(read("out/random-one/run.json"))["experiment"];
  EXPECT_EQ(resolved["router"]["kind"], "random");
  EXPECT_EQ(resolved["pools"][0]["replicas"], 1);
}

TEST_F(Variants, OverridesOfTheCommandLineComeLast) {
  ASSERT_EQ(run({"-o", "out", "--set", "/load/max_requests=7"}).exit_code, 0);
  for (const char* name : {"as-it-is", "random", "busy-random"}) {
    const Json summary = Json::parse(read(std::string("out/") + name + "/summary.json"));
    EXPECT_EQ(summary["requests"]["completed"], 7) << name;
  }
}

TEST_F(Variants, OneThatIsWrongSaysSoInItsRowAndTheOthersRun) {
  Json json = saved();
  json["variants"][1]["set"]["/router"] = "no-such-router";
  save(json);
  const CommandResult result = run({"-o", "out"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.out.find("failed: "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("no-such-router"), std::string::npos) << result.out;
  const Json table = Json::parse(read("out/variants.json"));
  EXPECT_TRUE(table["variants"][1].contains("error"));
  EXPECT_TRUE(table["variants"][2].contains("values"));
}

TEST_F(Variants, UnknownNamesAndKeysAreErrors) {
  const CommandResult unknown = run({"--variant", "fast"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_NE(unknown.err.find("\"as it is\", \"random\""), std::string::npos) << unknown.err;
  Json json = saved();
  json["variants"][0]["sets"] = Json::object();
  save(json);
  const CommandResult key = run({});
  EXPECT_EQ(key.exit_code, 2);
  EXPECT_NE(key.err.find("sets"), std::string::npos) << key.err;
}

TEST_F(Variants, TwoWithOneFolderAreAnError) {
  Json json = saved();
  json["variants"][1]["name"] = "as/it/is";
  save(json);
  const CommandResult result = run({});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("as-it-is"), std::string::npos) << result.err;
}

TEST_F(Variants, FilesThatAVariantNamesAreRelativeToTheExperiment) {
  write("inside/lmcache.yaml", "chunk_size: 512\nmax_local_cpu_size: 2\n");
  Json json = small_experiment();
  json["variants"] = {
      {{"name", "yaml"}, {"set", {{"/pools/0/connector", {{"lmcache_yaml", "lmcache.yaml"}}}}}}};
  write("inside/small.json", json.dump());
  const CommandResult result = kvsim({"run", "inside/small.json", "-q", "-o", "out"});
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  const Json resolved = Json::parse(read("out/yaml/run.json"))["experiment"];
  EXPECT_EQ(resolved["pools"][0]["connector"]["chunk_tokens"], 512);
}

}  // namespace
}  // namespace kvsim::cli_test
