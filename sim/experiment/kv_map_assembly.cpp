#include "sim/experiment/kv_map_assembly.hpp"

#include <algorithm>

#include "sim/base/check.hpp"
#include "sim/base/rng.hpp"

namespace kvsim {

namespace {

Seconds period_of(const MeasureConfig& measure) {
  if (measure.kvmap_period) return *measure.kvmap_period;
  if (!measure.duration) return Seconds(1);
  return (measure.warmup + *measure.duration) / 100.0;
}

// What all ranks of a replica keep of a block: every rank's memory counts, also where ranks hold
// the same (MLA).
KvMapRecorder::Shape block_of(const PoolPlan& plan, const Replica& replica) {
  const LlmProfile& llm = plan.context.llm;
  const std::string kv_dtype = plan.context.kv_dtype.empty() ? llm.kv_dtype : plan.context.kv_dtype;
  const auto ranks = plan.config.tensor_parallel;
  KvMapRecorder::Shape out;
  out.tokens = plan.engine.limits.block_tokens;
  out.bytes = llm.kv_bytes_per_token_per_rank(kv_dtype, ranks) * ranks * out.tokens;
  out.salt = replica.llm == 0 ? 0 : mix64(static_cast<std::uint64_t>(replica.llm));
  return out;
}

}  // namespace

KvMap::KvMap(const Plan& plan, const std::string& folder)
    : frontend_(plan.frontend),
      top_(static_cast<std::size_t>(plan.measure.kvmap_top)),
      recorder_(plan.tiers.size(), plan.measure.kvmap_window,
                [&world = plan.world] { return world.now(); }),
      files_(folder, plan.tiers),
      told_(plan.tiers.size(), false) {
  facts_.tiers = plan.tiers;
  facts_.period = period_of(plan.measure);
  facts_.window = facts_.period * static_cast<double>(plan.measure.kvmap_window);
  facts_.sum.resize(plan.tiers.size());
  listen_to_engines(plan);
  listen_to_stores(plan);
  plan.world.observe(facts_.period, [this](Seconds now) { look(now); });
}

void KvMap::listen_to_engines(const Plan& plan) {
  std::vector<const void*> known;
  for (const auto& replica : frontend_.replicas()) {
    const KvMapRecorder::Shape block =
        block_of(plan.pools[static_cast<std::size_t>(replica->pool)], *replica);
    hbm_.push_back(&recorder_.add_cache(0, block));
    replica->engine->pool().add_listener(hbm_.back());
    if (replica->engine->connector() != nullptr) listen_to_connector(*replica, block, known);
  }
}

// What several replicas share is listened to once.
void KvMap::listen_to_connector(const Replica& replica, const KvMapRecorder::Shape& block,
                                std::vector<const void*>& known) {
  Connector& connector = *replica.engine->connector();
  for (std::size_t tier = 0; tier < connector.tiers().size(); ++tier) {
    const std::int64_t blocks = connector.told_blocks(tier);
    if (blocks == 0) continue;
    const std::size_t where = replica.tiers[tier + 1];
    told_[where] = true;
    const void* holder = connector.holder(tier);
    if (holder != &connector) {
      if (std::find(known.begin(), known.end(), holder) != known.end()) continue;
      known.push_back(holder);
    }
    KvMapRecorder::Shape entry = block;
    entry.tokens = block.tokens * blocks;
    entry.bytes = block.bytes * blocks;
    connector.add_listener(tier, &recorder_.add_cache(where, entry));
  }
}

void KvMap::listen_to_stores(const Plan& plan) {
  if (plan.machines == nullptr) return;
  for (const Machines::NamedStore& named : plan.machines->stores()) {
    const auto tier = std::find(facts_.tiers.begin(), facts_.tiers.end(), named.configured);
    if (tier == facts_.tiers.end()) continue;
    const auto where = static_cast<std::size_t>(tier - facts_.tiers.begin());
    if (!told_[where]) plan.machines->store(named.name).add_listener(&recorder_.add_store(where));
  }
}

// Engines that sleep through equal steps have not told of what these filled.
void KvMap::look(Seconds now) {
  for (const auto& replica : frontend_.replicas()) replica->engine->catch_up(now);
  forget_lost();
  const std::vector<KvMapCounts> counts = recorder_.counts();
  files_.sample(now, counts);
  for (std::size_t i = 0; i < counts.size(); ++i) facts_.sum[i].add(counts[i]);
  ++facts_.samples;
  recorder_.period_ends();
}

// The pool of a replica that is down is emptied when it comes back; nothing can be read from it.
void KvMap::forget_lost() {
  for (std::size_t i = 0; i < hbm_.size(); ++i)
    if (!frontend_.replicas()[i]->up()) hbm_[i]->cleared();
}

void KvMap::finish(Seconds ended) {
  forget_lost();
  facts_.end = recorder_.counts();
  std::int64_t cached = 0;
  for (const auto& replica : frontend_.replicas())
    if (replica->up()) cached += replica->engine->pool().cached_blocks();
  KV_CHECK(facts_.end[0].entries == cached, "{} blocks on the map, {} in HBM",
           facts_.end[0].entries, cached);
  files_.sample(ended, facts_.end);
  for (std::size_t i = 0; i < facts_.end.size(); ++i) facts_.sum[i].add(facts_.end[i]);
  ++facts_.samples;
  files_.close(recorder_.most_copied(top_));
}

}  // namespace kvsim
