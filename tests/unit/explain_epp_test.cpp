// llm-d's EndpointPickerConfig, explained and translated into what the llm-d router takes.
#include <gtest/gtest.h>

#include "sim/base/registry.hpp"
#include "sim/explain/translate.hpp"
#include "sim/frontend/admission.hpp"
#include "sim/frontend/decider.hpp"
#include "sim/frontend/router.hpp"

namespace kvsim {
namespace {

constexpr const char* kDisaggregated = R"(
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
featureGates: [flowControl]
plugins:
- type: prefill-filter
- type: decode-filter
- type: prefix-cache-scorer
  name: prefix
  parameters: {autoTune: false, blockSizeTokens: 64, maxPrefixBlocksToMatch: 128}
- type: queue-scorer
- type: max-score-picker
- type: latency-scorer
- type: prefix-based-pd-decider
  parameters: {nonCachedTokens: 16}
- type: disagg-profile-handler
- type: utilization-detector
  name: busy
  parameters: {queueDepthThreshold: 10, metricsStalenessThreshold: 250ms}
schedulingProfiles:
- name: prefill
  plugins:
  - {pluginRef: prefill-filter}
  - {pluginRef: prefix, weight: 2}
  - {pluginRef: queue-scorer, weight: 1}
- name: decode
  plugins:
  - {pluginRef: decode-filter}
  - {pluginRef: latency-scorer}
  - {pluginRef: queue-scorer}
  - {pluginRef: max-score-picker}
saturationDetector: {pluginRef: busy}
)";

TEST(ExplainEpp, TranslatesPluginsProfilesDetectorAndDecider) {
  const Json config = translate_text("", kDisaggregated, "epp.yaml");
  EXPECT_EQ(config.at("router"), Json::parse(R"({
    "kind": "llm-d",
    "plugins": [
      {"type": "prefix-cache-scorer", "name": "prefix", "parameters":
        {"auto_tune": false, "block_tokens": 64, "max_prefix_blocks": 128}},
      {"type": "queue-scorer", "name": "queue-scorer", "parameters": {}},
      {"type": "max-score-picker", "name": "max-score-picker", "parameters": {}}],
    "profiles": [
      {"name": "prefill", "plugins": [{"plugin_ref": "prefix", "weight": 2},
                                      {"plugin_ref": "queue-scorer", "weight": 1}]},
      {"name": "decode", "plugins": [{"plugin_ref": "queue-scorer", "weight": 1},
                                     {"plugin_ref": "max-score-picker", "weight": 1}]}],
    "admission": {"kind": "llm-d-flow-control", "detector": "utilization", "queue_depth": 10,
                  "stale_s": 0.25}})"));
  EXPECT_EQ(config.at("disaggregation"),
            Json::parse(R"({"decider": {"kind": "prefix-based-pd-decider",
                                        "non_cached_tokens": 16}})"));
}

TEST(ExplainEpp, WhatItTranslatesIntoIsAccepted) {
  Json config = translate_text("", kDisaggregated, "epp.yaml");
  Router::Context context;
  context.replicas.resize(2);
  const Json admission = config["router"]["admission"];
  config["router"].erase("admission");
  for (const Role role : {Role::kAggregated, Role::kPrefill, Role::kDecode}) {
    context.role = role;
    EXPECT_NE(Registry<Router>::instance().make(ConfigNode(config["router"], "epp"), context),
              nullptr);
  }
  EXPECT_NE(Registry<Admission>::instance().make(ConfigNode(admission, "epp"), {}), nullptr);
  EXPECT_NE(Registry<Decider>::instance().make(
                ConfigNode(config["disaggregation"]["decider"], "epp"), {}),
            nullptr);
}

TEST(ExplainEpp, SaysWhatIsNotModelled) {
  Explanation explanation = explain_text("", kDisaggregated, "epp.yaml");
  EXPECT_EQ(explanation.find("plugins.latency-scorer")->effect, Effect::kNotModelled);
  EXPECT_EQ(explanation.find("schedulingProfiles.decode.latency-scorer")->effect,
            Effect::kNotModelled);
}

TEST(ExplainEpp, AReferenceToNothingIsRefused) {
  const std::string text =
      "kind: EndpointPickerConfig\nschedulingProfiles:\n- {name: a, plugins: [{pluginRef: b}]}\n";
  EXPECT_THROW((void)translate_text("", text, "epp.yaml"), ConfigError);
}

TEST(ExplainEpp, AnUnknownPluginIsToldAndLeftOut) {
  const std::string text =
      "kind: EndpointPickerConfig\nplugins:\n- type: my-scorer\n- type: queue-scorer\n";
  Explanation explanation = explain_text("", text, "epp.yaml");
  EXPECT_EQ(explanation.find("plugins.my-scorer")->effect, Effect::kUnknown);
  EXPECT_EQ(explanation.config.at("router").at("plugins").size(), 1U);
}

TEST(ExplainEpp, OlderThresholdsInPlaceAreRead) {
  const std::string text =
      "kind: EndpointPickerConfig\nsaturationDetector: {queueDepthThreshold: 7, "
      "kvCacheUtilThreshold: 0.9}\n";
  const Json admission = translate_text("", text, "epp.yaml").at("router").at("admission");
  EXPECT_EQ(admission.at("kind"), "llm-d-saturation");
  EXPECT_EQ(admission.at("queue_depth"), 7);
  EXPECT_EQ(admission.at("kv_usage"), 0.9);
}

}  // namespace
}  // namespace kvsim
