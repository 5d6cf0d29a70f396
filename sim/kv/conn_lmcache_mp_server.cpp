#include "sim/kv/conn_lmcache_mp_server.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/registry.hpp"
#include "sim/kv/conn_copy.hpp"

namespace kvsim {

// A store below L1: one command a chunk and rank.
struct LmcacheMpServer::L2 {
  L2(const Connector::Context& context, const LmcacheL2Options& options, std::int64_t parts,
     const std::string& name)
      : store_name(options.store),
        client(context.tasks, context.host, context.stores.find(options.store), name,
               options.client, static_cast<std::int64_t>(hash_name(name) % 1'000'000) * 1000),
        chunks(context.tasks, name, limits(options, parts), way(options), way(options)) {}
  static ChunkStoreOptions limits(const LmcacheL2Options& options, std::int64_t parts) {
    ChunkStoreOptions out = options.limits;
    out.ranks = parts;
    return out;
  }
  // Threads serve what comes: the client's own queue is left to what is not given up.
  ChunkStore::Way way(const LmcacheL2Options& options) {
    return {[this](std::vector<Command>& one) { return client.run(one.front()); },
            options.client.threads, 1};
  }
  std::string store_name;
  StoreClient client;
  ChunkStore chunks;
};

namespace {

std::unique_ptr<Eviction> make_eviction(const Connector::Context& context,
                                        const LmcacheMpOptions& options, std::int64_t parts) {
  const ChunkKeys keys(context, options.chunk_tokens);
  return Registry<Eviction>::instance().make(ConfigNode(options.eviction, "eviction"),
                                             {options.l1 / (keys.bytes() * parts)});
}

}  // namespace

LmcacheMpServer::LmcacheMpServer(const Connector::Context& context, const Options& options)
    : tasks_(context.tasks),
      host_(context.host),
      options_(options),
      ranks_(context.ranks),
      parts_(context.one_rank_holds_all ? 1 : context.ranks),
      token_bytes_(context.block_bytes * parts_ / context.block_tokens),
      pool_(options.l1, make_eviction(context, options, parts_)),
      cpu_(tasks_, host_.name() + ".lmcache.cpu", "client",
           static_cast<std::int32_t>(options.cpu_workers)),
      gpu_(tasks_, host_.name() + ".lmcache.gpu", "client",
           static_cast<std::int32_t>(options.gpu_workers)),
      prefetches_(tasks_, host_.name() + ".lmcache.prefetches", "slots",
                  static_cast<std::int32_t>(options.prefetches)) {
  if (options.l2.size() + 1 > kLowerTiers)
    throw ConfigError("l2: found " + std::to_string(options.l2.size()) +
                      " stores; allowed: at most " + std::to_string(kLowerTiers - 1));
  pool_.add_listener(&told_);
  for (const LmcacheL2Options& l2 : options.l2)
    l2_.push_back(std::make_unique<L2>(context, l2, parts_, host_.name() + ".lmcache." + l2.store));
}

LmcacheMpServer::~LmcacheMpServer() = default;

// --- lookup ---

Task LmcacheMpServer::lookup(std::shared_ptr<ChunkLookup> lookup) {
  co_await tasks_.sleep(options_.rpc / 2);
  const auto total = static_cast<std::int64_t>(lookup->chunks.size());
  {
    const Hold worker = co_await cpu_.acquire();
    co_await host_.compute(options_.lookup_chunk * static_cast<double>(total));
    lock(*lookup, total);
  }
  lookup->by_tier[0] = lookup->held;
  for (std::size_t i = 0; i < l2_.size() && lookup->held < total; ++i) {
    std::int64_t more = 0;
    co_await l2_[i]->chunks.lookup({lookup->chunks.begin() + lookup->held, lookup->chunks.end()},
                                   more);
    if (more > 0) co_await prefetch(*l2_[i], lookup, more, lookup->by_tier[i + 1]);
  }
  locks_.push_back({tasks_.now() + options_.read_ttl, lookup});
  co_await tasks_.sleep(options_.rpc / 2);
}

// What L1 has of the chunks up to `end` behind those already locked is kept.
void LmcacheMpServer::lock(ChunkLookup& lookup, std::int64_t end) {
  const std::int64_t before = lookup.held;
  const auto key = [&](std::int64_t i) { return lookup.chunks[static_cast<std::size_t>(i)].key; };
  while (lookup.held < end && pool_.contains(key(lookup.held))) pool_.pin(key(lookup.held++));
  // Touched from the end, so that the end is evicted first.
  for (std::int64_t i = lookup.held; i-- > before;) pool_.touch(key(i));
}

void LmcacheMpServer::unlock(ChunkLookup& lookup) {
  // From the end: the beginning is what was used last.
  while (lookup.held > 0) pool_.unpin(lookup.chunks[static_cast<std::size_t>(--lookup.held)].key);
  watch();
}

void LmcacheMpServer::expire_locks() {
  for (; !locks_.empty() && locks_.front().until <= tasks_.now(); locks_.pop_front())
    if (const auto lookup = locks_.front().lookup.lock()) unlock(*lookup);
}

Task LmcacheMpServer::next_tick(Seconds period) {
  if (period <= Seconds(0)) co_return;
  const double ticks = std::floor(tasks_.now() / period) + 1;
  co_await tasks_.sleep(period * ticks - tasks_.now());
}

// The next `more` chunks out of L2, locked in L1.
Task LmcacheMpServer::prefetch(L2& l2, std::shared_ptr<ChunkLookup> lookup, std::int64_t more,
                               std::int64_t& fetched) {
  const Hold slot = co_await prefetches_.acquire();
  std::vector<ChunkPart> wanted;
  for (std::int64_t i = lookup->held; i < lookup->held + more; ++i) {
    const ChunkPart& chunk = lookup->chunks[static_cast<std::size_t>(i)];
    if (!reserve(all_ranks(chunk))) break;
    wanted.push_back(chunk);
  }
  StageTimes times;
  std::int64_t came = 0;
  co_await l2.chunks.fetch(wanted, came, times);
  co_await next_tick(options_.notifier);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const ChunkPart& chunk = wanted[i];
    if (static_cast<std::int64_t>(i) >= came) {
      pool_.release(all_ranks(chunk));
    } else if (pool_.contains(chunk.key)) {  // somebody else brought it meanwhile
      pool_.release(all_ranks(chunk));
      pool_.pin(chunk.key);
    } else {
      keep(chunk);
    }
  }
  lookup->held += came;
  fetched = came;
}

// --- copies ---

// The ranks' copies run side by side, one lane stands for all; a worker thread submits them one
// after another and does not wait for them.
Task LmcacheMpServer::copies(Lane& lane, const Connector::Context& gpu, std::size_t chunks,
                             Bytes each) {
  const auto count = static_cast<std::int64_t>(chunks);
  {
    const Hold worker = co_await gpu_.acquire();
    co_await host_.compute(options_.submit * static_cast<double>(count * ranks_));
  }
  Lane::Job job;
  job.setup = gpu.descriptor * static_cast<double>(count) +
              options_.kernel * static_cast<double>(groups_of(count, options_.copy_batch));
  job.bytes = each * count;
  co_await copy_over(tasks_, lane, std::move(job));
}

Task LmcacheMpServer::retrieve(const Connector::Context& gpu, std::shared_ptr<ChunkLookup> lookup,
                               std::int64_t first, std::int64_t end, std::int64_t& ready) {
  co_await tasks_.sleep(options_.rpc / 2);
  expire_locks();
  lock(*lookup, end);  // what has lost its lock may still be there
  ready = std::clamp(lookup->held, first, end);
  if (ready > first)
    co_await copies(gpu.to_device, gpu, static_cast<std::size_t>(ready - first),
                    lookup->chunks.front().bytes);
  unlock(*lookup);
  co_await tasks_.sleep(options_.rpc / 2);
}

Task LmcacheMpServer::store(const Connector::Context& gpu, std::vector<ChunkPart> chunks) {
  co_await tasks_.sleep(options_.rpc / 2);
  std::vector<ChunkPart> taken;
  for (const ChunkPart& chunk : chunks) {
    if (pool_.contains(chunk.key) || arriving_.contains(chunk.key)) continue;
    if (!reserve(all_ranks(chunk))) {
      dropped_tokens_ += all_ranks(chunk) / token_bytes_;
      continue;
    }
    arriving_.insert(chunk.key);
    taken.push_back(chunk);
  }
  if (taken.empty()) co_return;
  co_await copies(gpu.to_host, gpu, taken.size(), taken.front().bytes);
  std::vector<ChunkPart> kept;
  for (const ChunkPart& chunk : taken) {
    arriving_.erase(chunk.key);
    if (pool_.contains(chunk.key)) {  // fetched from L2 meanwhile
      pool_.release(all_ranks(chunk));
      continue;
    }
    keep(chunk);
    kept.push_back(chunk);
  }
  tasks_.start(hand_down(std::move(kept)));
  co_await tasks_.sleep(options_.rpc / 2);
}

// To every L2, one after the other; until then the chunks stay.
Task LmcacheMpServer::hand_down(std::vector<ChunkPart> chunks) {
  for (const auto& l2 : l2_) co_await l2->chunks.put(chunks);
  for (std::size_t i = chunks.size(); i-- > 0;) pool_.unpin(chunks[i].key);
  watch();
}

// Reserved memory becomes the chunk's.
void LmcacheMpServer::keep(const ChunkPart& chunk) {
  told_.name(chunk);
  pool_.keep(chunk.key, all_ranks(chunk));
}

// --- room ---

bool LmcacheMpServer::reserve(Bytes bytes) {
  const bool room = pool_.reserve_free(bytes);
  watch(!room);
  return room;
}

// Starts looking at the trigger, where that may find something.
void LmcacheMpServer::watch(bool short_of_room) {
  if ((crowded() || short_of_room) && !evicting_) tasks_.start(evict());
}

// Looks on until it is below the trigger, or nothing can go: then whoever needs room or lets go of
// chunks comes back to it.
Task LmcacheMpServer::evict() {
  evicting_ = true;
  Bytes gone{0};
  do {
    co_await next_tick(options_.period);
    expire_locks();
    const Bytes before = pool_.used();
    const auto goal = static_cast<std::int64_t>(before.real() * (1 - options_.ratio));
    while (pool_.used() > Bytes(goal) && pool_.evictable() > Bytes(0)) pool_.drop_coldest();
    gone = before - pool_.used();
  } while (gone > Bytes(0) && crowded());
  evicting_ = false;
}

// --- results ---

std::vector<TierUse> LmcacheMpServer::tiers() const {
  std::vector<TierUse> out(1);
  out[0].name = "dram";
  out[0].stored_bytes = pool_.kept().count();
  out[0].evicted_tokens = pool_.evicted() / token_bytes_;
  out[0].dropped_tokens = dropped_tokens_;
  for (const auto& l2 : l2_) {
    TierUse use;
    use.name = l2->store_name;
    use.stored_bytes = l2->chunks.stored().count();
    use.failed_loads = l2->chunks.failed();
    use.bypassed = l2->chunks.bypassed();
    out.push_back(std::move(use));
  }
  return out;
}

std::vector<ResourceUse> LmcacheMpServer::resources() const {
  std::vector<ResourceUse> out = {cpu_.use(), gpu_.use()};
  for (const auto& l2 : l2_) out.push_back(l2->client.use());
  return out;
}

}  // namespace kvsim
