#include "sim/kv/conn_secondary_tiers.hpp"

#include <algorithm>

#include "sim/base/errors.hpp"
#include "sim/base/rng.hpp"

namespace kvsim {

struct SecondaryTiers::Tier {
  Tier(const Connector::Context& context, const SecondaryTierOptions& options,
       const std::string& name)
      : store(options.store),
        readers(client(context, options, options.client.threads, name + ".read")),
        writers(client(context, options, options.write_threads, name + ".write")),
        chunks(context.tasks, name, limits(context, options), way(*readers, options.client.threads),
               way(*writers, options.write_threads)) {}

  static std::unique_ptr<StoreClient> client(const Connector::Context& context,
                                             const SecondaryTierOptions& options,
                                             std::int64_t threads, const std::string& name) {
    ClientOptions costs = options.client;
    costs.threads = threads;
    const auto connection = static_cast<std::int64_t>(hash_name(name) % 1'000'000) * 1000;
    return std::make_unique<StoreClient>(
        context.tasks, context.host, context.stores.find(options.store), name, costs, connection);
  }
  static ChunkStoreOptions limits(const Connector::Context& context,
                                  const SecondaryTierOptions& options) {
    ChunkStoreOptions out = options.limits;
    out.ranks = context.one_rank_holds_all ? 1 : context.ranks;
    return out;
  }
  static ChunkStore::Way way(StoreClient& client, std::int64_t threads) {
    return {[&client](std::vector<Command>& one) { return client.run(one.front()); }, threads, 1};
  }

  std::string store;
  std::unique_ptr<StoreClient> readers;
  std::unique_ptr<StoreClient> writers;
  ChunkStore chunks;
};

SecondaryTiers::SecondaryTiers(const Connector::Context& context,
                               const std::vector<SecondaryTierOptions>& tiers, Bytes chunk,
                               HostCache& cache)
    : tasks_(context.tasks),
      cache_(cache),
      changed_(context.changed),
      salt_(mix64(hash_name(context.model) + static_cast<std::uint64_t>(context.ranks))),
      chunk_(chunk),
      tokens_(chunk / (context.block_bytes / context.block_tokens)) {
  if (tiers.size() + 1 > kLowerTiers)
    throw ConfigError("secondary: found " + std::to_string(tiers.size()) +
                      " tiers; allowed: at most " + std::to_string(kLowerTiers - 1));
  for (const SecondaryTierOptions& tier : tiers)
    tiers_.push_back(std::make_unique<Tier>(context, tier, context.name + "." + tier.store));
}

SecondaryTiers::~SecondaryTiers() = default;

std::vector<ChunkPart> SecondaryTiers::parts(std::span<const BlockHash> chunks) const {
  std::vector<ChunkPart> out;
  for (const BlockHash chunk : chunks)
    out.push_back({mix64(chunk + salt_) | 1, chunk_, chunk, tokens_});
  return out;
}

// --- store ---

void SecondaryTiers::store(std::vector<BlockHash> chunks) {
  if (tiers_.empty()) return;
  std::erase_if(chunks, [this](BlockHash chunk) { return !cache_.ready(chunk); });
  for (const auto& tier : tiers_) {
    for (const BlockHash chunk : chunks) cache_.begin_read(chunk);
    tasks_.start(put(*tier, chunks));
  }
}

Task SecondaryTiers::put(Tier& tier, std::vector<BlockHash> chunks) {
  co_await tier.chunks.put(parts(chunks));
  for (std::size_t i = chunks.size(); i-- > 0;) cache_.end_read(chunks[i]);
}

// --- promotion ---

const SecondaryTiers::Promotion* SecondaryTiers::promote(const KvSequence& sequence,
                                                         std::int64_t first,
                                                         std::vector<BlockHash> chunks) {
  std::shared_ptr<Promotion>& promotion = promotions_[sequence.number];
  if (!promotion) {
    promotion = std::make_shared<Promotion>();
    promotion->first = first;
    promotion->sequence = const_cast<KvSequence*>(&sequence);
    tasks_.start(run(promotion, std::move(chunks)));
  }
  return promotion->done ? promotion.get() : nullptr;
}

void SecondaryTiers::forget(const KvSequence& sequence) {
  const auto at = promotions_.find(sequence.number);
  if (at == promotions_.end()) return;
  at->second->sequence = nullptr;
  promotions_.erase(at);
}

Task SecondaryTiers::run(std::shared_ptr<Promotion> promotion, std::vector<BlockHash> chunks) {
  const Seconds began = tasks_.now();
  std::size_t at = 0;
  for (std::size_t i = 0; i < tiers_.size() && at < chunks.size(); ++i) {
    std::int64_t found = 0;
    co_await tiers_[i]->chunks.lookup(parts(std::span(chunks).subspan(at)), found);
    found = std::min(found, cache_.capacity());
    if (found == 0 || promotion->sequence == nullptr) continue;
    const auto from = chunks.begin() + static_cast<std::ptrdiff_t>(at);
    std::int64_t fetched = 0;
    co_await fetch(*tiers_[i], {from, from + found}, fetched);
    promotion->by_tier[i + 1] = fetched;
    at += static_cast<std::size_t>(fetched);
    if (fetched < found) break;
  }
  promotion->done = true;
  if (promotion->sequence != nullptr) promotion->sequence->lookup_time += tasks_.now() - began;
  changed_();  // others may have waited for the same chunks
}

// Into DRAM, where they count as chunks being stored; those that somebody else brings are his.
Task SecondaryTiers::fetch(Tier& tier, std::vector<BlockHash> chunks, std::int64_t& fetched) {
  std::vector<BlockHash> mine;
  if (!cache_.begin_store(chunks, mine)) co_return;
  StageTimes times;
  std::int64_t came = 0;
  co_await tier.chunks.fetch(parts(mine), came, times);
  for (std::size_t i = mine.size(); i-- > 0;)
    cache_.end_store(mine[i], static_cast<std::int64_t>(i) < came);
  const bool all = came == static_cast<std::int64_t>(mine.size());
  fetched = all ? static_cast<std::int64_t>(chunks.size()) : came;
}

// --- results ---

std::vector<TierUse> SecondaryTiers::tiers() const {
  std::vector<TierUse> out;
  for (const auto& tier : tiers_) {
    TierUse use;
    use.name = tier->store;
    use.stored_bytes = tier->chunks.stored().count();
    use.failed_loads = tier->chunks.failed();
    use.bypassed = tier->chunks.bypassed();
    out.push_back(std::move(use));
  }
  return out;
}

std::vector<ResourceUse> SecondaryTiers::resources() const {
  std::vector<ResourceUse> out;
  for (const auto& tier : tiers_) {
    out.push_back(tier->readers->use());
    out.push_back(tier->writers->use());
  }
  return out;
}

}  // namespace kvsim
