// Dynamo's command lines, in the style of the wild: what each option comes out as.
#include "sim/explain/dynamo_options.hpp"
#include "tests/unit/explanations.hpp"

namespace kvsim {
namespace {

Explanation dynamo(const std::string& text) { return explain_text("dynamo", text, ""); }

constexpr const char* kFlags =
    "--router-mode kv --kv-overlap-score-weight 1.5 --router-temperature 0 "
    "--no-router-kv-events --router-replica-sync --kv-cache-block-size 64 "
    "--router-queue-threshold 2 --router-queue-policy wspt --router-ttl-secs 60";

TEST(ExplainDynamo, FlagsAreARouterWithItsQueue) {
  const Json router = dynamo_router(kFlags, "flags");
  EXPECT_EQ(router["kind"], "dynamo-kv");
  EXPECT_EQ(router["overlap_score_weight"], 1.5);
  EXPECT_EQ(router["router_temperature"], 0);
  EXPECT_EQ(router["use_kv_events"], false);
  EXPECT_EQ(router["router_replica_sync"], true);
  EXPECT_EQ(router["kv_cache_block_size"], 64);
  EXPECT_EQ(router["router_ttl_secs"], 60);
  EXPECT_EQ(router["admission"]["kind"], "dynamo-queue");
  EXPECT_EQ(router["admission"]["router_queue_threshold"], 2);
  EXPECT_EQ(router["admission"]["router_queue_policy"], "wspt");
}

TEST(ExplainDynamo, IsRecognisedByItsFlagsAndByItsProgram) {
  for (const std::string& text :
       {std::string(kFlags), std::string("python3 -m dynamo.frontend --http-port 8000"),
        std::string("DYN_ROUTER_MODE=kv python -m dynamo.frontend")})
    EXPECT_EQ(explain_text("", text, "file").format, "dynamo") << text;
}

TEST(ExplainDynamo, TheModeIsRoundRobinUnlessSaidOtherwise) {
  EXPECT_EQ(dynamo("python -m dynamo.frontend").config["router"], Json({{"kind", "round-robin"}}));
  EXPECT_EQ(dynamo("--router-mode power-of-two").config["router"]["kind"], "power-of-two");
  const Explanation wrong = dynamo("--router-mode fastest");
  EXPECT_EQ(effect_of(wrong, "--router-mode"), Effect::kRefused);
  EXPECT_THROW((void)dynamo_router("--router-mode fastest", "flags"), ConfigError);
}

TEST(ExplainDynamo, OptionsOfTheKvRouterDoNothingInOtherModes) {
  const Explanation out = dynamo("--router-mode random --router-temperature 0.5");
  EXPECT_EQ(effect_of(out, "--router-temperature"), Effect::kIgnoredByReal);
  EXPECT_EQ(out.config["router"], Json({{"kind", "random"}}));
  EXPECT_TRUE(says(out.contradictions, "the router mode is random"));
}

TEST(ExplainDynamo, FormerNamesAreKnownAndTellTheRelease) {
  const Explanation former = dynamo("--router-mode kv --kv-overlap-score-weight 2 --no-kv-events");
  EXPECT_EQ(effect_of(former, "--kv-overlap-score-weight"), Effect::kModelled);
  EXPECT_EQ(former.config["router"]["generation"], "mid");
  EXPECT_EQ(former.config["router"]["use_kv_events"], false);
  EXPECT_EQ(dynamo("--router-mode kv").config["router"]["generation"], "new");
  EXPECT_EQ(dynamo("--router-mode kv --no-kv-events --router-prefill-load-scale 2")
                .config["router"]["generation"],
            "new");
}

TEST(ExplainDynamo, VariablesStandForFlagsThatAreNotGiven) {
  const Explanation out = dynamo(
      "DYN_ROUTER_MODE=kv DYN_ROUTER_TEMPERATURE=0.5 DYN_ROUTER_USE_KV_EVENTS=false "
      "python -m dynamo.frontend --router-temperature 0.1");
  EXPECT_EQ(out.config["router"]["kind"], "dynamo-kv");
  EXPECT_EQ(out.config["router"]["router_temperature"], 0.1);
  EXPECT_EQ(out.config["router"]["use_kv_events"], false);
}

TEST(ExplainDynamo, OptionsThatDefeatEachOtherAreTold) {
  const Explanation events = dynamo("--router-mode kv --router-ttl-secs 60");
  EXPECT_EQ(effect_of(events, "--router-ttl-secs"), Effect::kIgnoredByReal);
  EXPECT_FALSE(events.config["router"].contains("router_ttl_secs"));
  const Explanation predicted =
      dynamo("--router-mode kv --no-router-kv-events --router-predicted-ttl-secs 2");
  EXPECT_EQ(effect_of(predicted, "--router-predicted-ttl-secs"), Effect::kIgnoredByReal);
  const Explanation order = dynamo("--router-mode kv --router-queue-policy wspt");
  EXPECT_EQ(effect_of(order, "--router-queue-policy"), Effect::kIgnoredByReal);
  EXPECT_FALSE(order.config["router"].contains("admission"));
  const Explanation scale =
      dynamo("--router-mode kv --router-kv-overlap-score-weight 2 --router-prefill-load-scale 3");
  EXPECT_EQ(effect_of(scale, "--router-prefill-load-scale"), Effect::kIgnoredByReal);
}

TEST(ExplainDynamo, ASharedCacheThatIsAskedCountsHalf) {
  EXPECT_EQ(dynamo("--router-mode kv --shared-cache-type hicache")
                .config["router"]["shared_cache_multiplier"],
            0.5);
  const Explanation none = dynamo("--router-mode kv --shared-cache-multiplier 0.7");
  EXPECT_FALSE(none.config["router"].contains("shared_cache_multiplier"));
}

TEST(ExplainDynamo, NoneIsAsIfNotGiven) {
  const Explanation out = dynamo(
      "--router-mode kv --router-queue-threshold None --active-decode-blocks-threshold None");
  EXPECT_FALSE(out.config["router"].contains("admission"));
  EXPECT_FALSE(out.config["router"].contains("active_decode_blocks_threshold"));
}

TEST(ExplainDynamo, LoadAwareOverrulesWhatItSets) {
  const Json router = dynamo_router("--load-aware --router-kv-overlap-score-credit 0.8", "flags");
  EXPECT_EQ(router["kind"], "dynamo-kv");
  EXPECT_EQ(router["overlap_score_credit"], 0);
  EXPECT_EQ(router["use_kv_events"], false);
  EXPECT_EQ(router["router_assume_kv_reuse"], false);
}

TEST(ExplainDynamo, ConditionalDisaggregationIsADecider) {
  const Explanation out = dynamo(
      "--router-mode kv --router-queue-threshold 4 --router-conditional-disagg "
      "--router-conditional-disagg-config '{\"policy\": \"isl_or_load\", \"eff_isl_threshold\": "
      "1024}'");
  const Json& decider = out.config["disaggregation"]["decider"];
  EXPECT_EQ(decider["kind"], "isl-or-load");
  EXPECT_EQ(decider["eff_isl_threshold"], 1024);
  EXPECT_EQ(decider["prefill_busy_threshold"], 4);  // the queue's, as Dynamo has it
  EXPECT_EQ(effect_of(out, "--router-conditional-disagg-config.eff_isl_threshold"),
            Effect::kModelled);
}

TEST(ExplainDynamo, ADeciderThatCannotStartIsRefused) {
  for (const char* flags :
       {"--router-mode kv --router-conditional-disagg-config '{}'",
        "--router-mode kv --router-conditional-disagg --router-conditional-disagg-config '[1'",
        "--router-mode kv --router-conditional-disagg "
        "--router-conditional-disagg-config '{\"policy\": \"prefill_load\"}'"})
    EXPECT_THROW((void)dynamo_router(flags, "flags"), ConfigError) << flags;
}

TEST(ExplainDynamo, DevicesAreWeighedAsTheVariableSays) {
  const Json router = dynamo_router(
      "DYN_ENCODER_CUDA_TO_CPU_RATIO=4 python -m dynamo.frontend --router-mode "
      "device-aware-weighted",
      "flags");
  EXPECT_EQ(router["kind"], "device-aware-weighted");
  EXPECT_EQ(router["cuda_to_cpu_ratio"], 4);
  EXPECT_EQ(router.size(), 2U);
}

}  // namespace
}  // namespace kvsim
