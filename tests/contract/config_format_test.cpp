// What every registered configuration format owes.
#include "sim/explain/config_format.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "sim/explain/translate.hpp"

namespace kvsim {
namespace {

const std::map<std::string, std::string>& examples() {
  static const std::map<std::string, std::string> texts{
      {"kvrocks", "bind 0.0.0.0\nport 6666\nworkers 8\nrocksdb.block_cache_size 1024 # MB\n"},
      {"redis", "bind 127.0.0.1\nport 6379\nmaxmemory 8gb # all\nsave 3600 1\nappendonly no\n"},
      {"lmcache", "chunk_size: 256\nlocal_cpu: true\nremote_url: \"redis://a:6379\"\n"},
      {"lmcache-server", "lmcache server --l1-size-gb 60 --eviction-policy LRU --port 5555\n"},
      {"dynamo",
       "DYN_ROUTER_TEMPERATURE=0.5 python -m dynamo.frontend --router-mode kv --http-port 8000 "
       "--no-router-kv-events --router-queue-threshold 2\n"},
      {"epp",
       "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n"
       "- {type: prefix-cache-scorer, parameters: {maxPrefixBlocksToMatch: 128}}\n"
       "- {type: queue-scorer}\nschedulingProfiles:\n"
       "- name: default\n  plugins: [{pluginRef: prefix-cache-scorer, weight: 2}]\n"},
      {"vllm",
       "LMCACHE_LOCAL_CPU=True vllm serve a/b --port 8000 --max-num-seqs 64 "
       "--kv-transfer-config '{\"kv_connector\": \"LMCacheConnectorV1\"}'\n"},
  };
  return texts;
}

class ConfigFormats : public testing::TestWithParam<std::string> {};

TEST_P(ConfigFormats, RecognisesItsOwnExampleAndNobodyElses) {
  ASSERT_TRUE(examples().contains(GetParam())) << "add an example above";
  for (const auto& [name, entry] : Registry<ConfigFormat>::instance().entries()) {
    const Json kind = name;
    const auto format = entry.make(ConfigNode(kind, "test"), {});
    EXPECT_EQ(format->recognises(examples().at(GetParam()), "file"), name == GetParam()) << name;
  }
}

TEST_P(ConfigFormats, RecognisesNeitherNothingNorProse) {
  const Json kind = GetParam();
  const auto format = Registry<ConfigFormat>::instance().make(ConfigNode(kind, "test"), {});
  for (const char* text : {"", "\n\n", "# a comment\n", "the quick brown fox doesn't jump\n", "{}"})
    EXPECT_FALSE(format->recognises(text, "notes.txt")) << text;
}

TEST_P(ConfigFormats, ExplainsItsExampleWholly) {
  const Explanation explanation = explain_text("", examples().at(GetParam()), "file");
  EXPECT_EQ(explanation.format, GetParam());
  EXPECT_FALSE(explanation.target.empty());
  EXPECT_FALSE(explanation.options.empty());
  for (const Explained& option : explanation.options) {
    EXPECT_NE(option.effect, Effect::kUnknown) << option.option;
    EXPECT_FALSE(option.text.empty()) << option.option;
    if (!option.key.empty()) {
      EXPECT_TRUE(explanation.config.contains(Json::json_pointer(option.key))) << option.key;
      EXPECT_EQ(option.effect, Effect::kModelled) << option.option;
    }
  }
}

TEST_P(ConfigFormats, TranslatesToTheSameBytesEachTime) {
  const std::string& text = examples().at(GetParam());
  EXPECT_EQ(translate_text(GetParam(), text, "file").dump(),
            translate_text(GetParam(), text, "file").dump());
}

TEST_P(ConfigFormats, SurvivesEveryBeginningOfItsExample) {
  const std::string& text = examples().at(GetParam());
  for (std::size_t size = 0; size < text.size(); ++size) {
    try {
      (void)explain_text(GetParam(), text.substr(0, size), "file");
    } catch (const ConfigError&) {
      // What is not of the format is the user's mistake, never ours.
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ConfigFormats,
                         testing::ValuesIn(Registry<ConfigFormat>::instance().names()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace kvsim
