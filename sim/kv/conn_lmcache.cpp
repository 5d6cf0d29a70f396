// LMCache inside vLLM's worker processes (spec/lmcache.md sections 1 to 7).
//
// Lookup: the scheduler waits for it; chunk after chunk, tier after tier. Load: a part of the step
// that computes the rest, one request after the other, so every request of the batch waits; fetch
// into pinned memory, then kernels that read it over PCIe and scatter into the pages. Store: a part
// of the step that computed the chunk, as far as the copy to pinned memory; the tiers below get it
// in the background, all of them at once (write-through). Memory that is short drops stores.
//
// Variants: async loading (the scheduler goes on, lower tiers are read into DRAM before the request
// is admitted), layerwise (two layers are waited for, the rest overlaps with computing).
//
// Left out: P2P, the controller, fragmentation of the pool, kernels' use of SMs (the model is idle
// meanwhile, except layerwise). A tensor-parallel rank's DRAM stands for that of all.
#include "sim/kv/conn_lmcache.hpp"

#include <algorithm>

#include "sim/base/registry.hpp"

namespace kvsim {

Lmcache::Lmcache(const Options& options, const Context& context)
    : options_(options),
      context_(context),
      tasks_(context.tasks),
      cut_{options.chunk_tokens, context.block_tokens,  context.block_bytes,
           context.layers,       options.use_layerwise, options.saves_unfull_chunks()},
      codec_(Registry<Codec>::instance().make(ConfigNode(options_.serde, "serde"),
                                              {context.kv_dtype})),
      pool_(options_.max_local_cpu, make_eviction()) {
  options_.check(context.block_tokens);
  if (!options_.local_disk.empty())
    lower_.push_back(
        std::make_unique<LmcacheBackend>(context_, options_.disk_backend(), *codec_, pool_));
  if (!options_.remote.empty())
    lower_.push_back(
        std::make_unique<LmcacheBackend>(context_, options_.remote_backend(), *codec_, pool_));
}

Connector::Match Lmcache::match(const KvSequence& sequence, std::int64_t local_tokens,
                                std::int64_t limit_tokens) {
  Visit& visit = visits_[sequence.number];
  if (!visit.asked) {
    visit.asked = true;
    visit.serial = ++last_visit_;
    visit.sequence = const_cast<KvSequence*>(&sequence);
    visit.chunks = cut_.of(sequence, limit_tokens);
    visit.answered = visit.chunks.empty();
    if (!visit.answered) tasks_.start(look_up(sequence.number, visit.serial));
  }
  if (!visit.answered) return {.ask_again = true, .pause = !options_.enable_async_loading};
  return found(visit, local_tokens, limit_tokens);
}

void Lmcache::load(KvSequence& sequence, std::int64_t from, std::int64_t to, std::int64_t step) {
  Visit& visit = visits_.at(sequence.number);
  visit.saved = std::max(visit.saved, to);
  loads_.push_back({step, sequence.number, visit.serial, from, to});
}

bool Lmcache::hold_begin(std::int64_t step, std::function<void()> resume) {
  if (loads_.empty() || loads_.front().step > step) return false;
  std::vector<Load> now;
  for (; !loads_.empty() && loads_.front().step <= step; loads_.pop_front())
    now.push_back(loads_.front());
  tasks_.start(run_loads(std::move(now), std::move(resume)));
  return true;
}

void Lmcache::completed(KvSequence& sequence, std::int64_t full_blocks, std::int64_t step) {
  Visit& visit = visits_[sequence.number];
  std::int64_t tokens = full_blocks * context_.block_tokens;
  const bool prompt_done = tokens + context_.block_tokens > sequence.prompt_tokens;
  if (!options_.save_decode_cache) tokens = std::min(tokens, sequence.prompt_tokens);
  const std::int64_t first = visit.saved / options_.chunk_tokens;
  const std::int64_t last = tokens / options_.chunk_tokens;
  Save save{step, {}};
  for (std::int64_t chunk = first; chunk < last; ++chunk)
    save.chunks.push_back(cut_.full(sequence, chunk));
  visit.saved = std::max(visit.saved, last * options_.chunk_tokens);
  if (prompt_done && options_.saves_unfull_chunks() && !visit.saved_rest) {
    visit.saved_rest = true;
    if (visit.saved < sequence.prompt_tokens) save.chunks.push_back(cut_.rest(sequence));
  }
  if (!save.chunks.empty()) saves_.push_back(std::move(save));
}

bool Lmcache::hold_end(std::int64_t step, std::function<void()> resume) {
  std::vector<ChunkPart> now;
  for (; !saves_.empty() && saves_.front().step <= step; saves_.pop_front())
    for (const ChunkPart& chunk : admit(saves_.front().chunks)) now.push_back(chunk);
  if (now.empty() && overlap_ == nullptr) return false;
  tasks_.start(run_saves(std::move(now), std::move(resume)));
  return true;
}

bool Lmcache::holds(KvSequence& sequence, std::function<void()>) {
  const auto at = visits_.find(sequence.number);
  if (at == visits_.end()) return false;
  unpin(at->second);
  visits_.erase(at);
  return false;
}

// The index of a local disk is held to survive with the files.
void Lmcache::crashed() {
  ++life_;
  saves_.clear();
  pool_.clear();
}

std::vector<std::string> Lmcache::warnings() const {
  const Json& serde = options_.serde;
  std::vector<std::string> out = codec_->warnings(
      serde.is_object() ? serde["kind"].get<std::string>() : serde.get<std::string>());
  const std::string& disk = options_.local_disk;
  if (!disk.empty() && !context_.stores.find(disk).shards.front().store->local())
    out.push_back("local_disk: " + disk + " is a server, where LMCache has files");
  return out;
}

std::vector<ResourceUse> Lmcache::resources() const {
  std::vector<ResourceUse> out;
  for (const auto& tier : lower_)
    for (ResourceUse& use : tier->resources()) out.push_back(std::move(use));
  return out;
}

std::unique_ptr<Eviction> Lmcache::make_eviction() const {
  const std::int64_t entries =
      options_.max_local_cpu /
      (context_.block_bytes * options_.chunk_tokens / context_.block_tokens);
  Eviction::Context context;
  context.capacity = entries;
  context.refetch = [this](BlockHash chunk) { return refetch(chunk); };
  if (context_.recompute_tokens_per_s > 0)
    context.recompute = Seconds(static_cast<double>(options_.chunk_tokens) /
                                static_cast<double>(context_.recompute_tokens_per_s));
  return Registry<Eviction>::instance().make(ConfigNode(options_.cache_policy, "cache_policy"),
                                             context);
}

std::optional<Seconds> Lmcache::refetch(BlockHash chunk) const {
  std::optional<Seconds> out;
  const Bytes bytes = cut_.bytes_of(options_.chunk_tokens);
  // Layerwise, the first layer's value stands for all.
  const BlockHash key =
      options_.use_layerwise ? cut_.values({{chunk, bytes}}, 0, 1).front().key : chunk;
  for (const auto& tier : lower_) {
    if (!tier->healthy() || !tier->holds(key)) continue;
    const Seconds time = tier->waiting() + tier->estimate(1, bytes);
    if (!out || time < *out) out = time;
  }
  return out;
}

// --- lookup ---

// nullptr when the request has left or was preempted meanwhile.
Lmcache::Visit* Lmcache::visit_of(std::int64_t number, std::int64_t serial) {
  const auto at = visits_.find(number);
  return at == visits_.end() || at->second.serial != serial ? nullptr : &at->second;
}

Task Lmcache::look_up(std::int64_t number, std::int64_t serial) {
  const Seconds began = tasks_.now();
  co_await tasks_.sleep(options_.lookup_rpc);
  Visit* visit = visit_of(number, serial);
  if (visit == nullptr) co_return;
  // Any other hash stands for those of another seed.
  if (!options_.same_hashes)
    for (ChunkPart& chunk : visit->chunks) chunk.key = ~chunk.key;
  std::int64_t here = 0;
  const auto total = static_cast<std::int64_t>(visit->chunks.size());
  while (here < total && pool_.contains(visit->chunks[static_cast<std::size_t>(here)].key)) ++here;
  pin(*visit, here);
  visit->by_tier[0] = here;
  for (std::size_t tier = 0; tier < lower_.size() && here < total; ++tier) {
    std::vector<ChunkPart> rest(visit->chunks.begin() + here, visit->chunks.end());
    std::int64_t more = 0;
    // Layerwise, the first layer's key stands for all.
    if (options_.use_layerwise) rest = cut_.values(rest, 0, 1);
    co_await lower_[tier]->lookup(std::move(rest), more);
    visit = visit_of(number, serial);
    if (visit == nullptr) co_return;
    visit->by_tier[tier + 1] = more;
    here += more;
  }
  visit->sequence->lookup_time += tasks_.now() - began;
  if (options_.enable_async_loading && here > visit->by_tier[0]) {
    co_await prefetch(number, serial);
    visit = visit_of(number, serial);
    if (visit == nullptr) co_return;
  }
  // What tiers have needs no saving.
  visit->saved = std::min(here * options_.chunk_tokens, visit->sequence->prompt_tokens);
  visit->answered = true;
  context_.changed();
}

// Async loading: lower tiers into DRAM, before the request is admitted.
Task Lmcache::prefetch(std::int64_t number, std::int64_t serial) {
  const Seconds began = tasks_.now();
  const std::int64_t life = life_;
  StageTimes times;
  for (std::size_t tier = 0; tier < lower_.size(); ++tier) {
    Visit& visit = visits_.at(number);
    const std::int64_t wanted = visit.by_tier[tier + 1];
    if (wanted == 0) continue;
    const auto first = visit.chunks.begin() + visit.pinned;
    std::vector<ChunkPart> part(first, first + wanted);
    std::vector<ChunkPart> values = cut_.values(part, 0, context_.layers);
    std::int64_t fetched = 0;
    co_await lower_[tier]->fetch(values, fetched, times);
    if (options_.use_layerwise) fetched = join_layers(part, values, fetched);
    if (life != life_) {
      for (std::int64_t i = 0; i < fetched; ++i)
        pool_.release(part[static_cast<std::size_t>(i)].bytes);
      fetched = 0;
    }
    part.resize(static_cast<std::size_t>(fetched));
    Visit* still = visit_of(number, serial);
    if (still == nullptr) {
      keep_or_release(part);
      co_return;
    }
    for (const ChunkPart& chunk : part) {
      if (pool_.contains(chunk.key)) {
        pool_.release(chunk.bytes);
        pool_.pin(chunk.key);
      } else {
        pool_.keep(chunk.key, chunk.bytes);
      }
    }
    still->pinned += fetched;
    still->by_tier[tier + 1] = fetched;
    if (fetched < wanted) break;
  }
  visits_.at(number).sequence->prefetched.add(times.split_over(tasks_.now() - began));
}

// Memory of the values that came, layer by layer, becomes that of whole chunks: all or none.
std::int64_t Lmcache::join_layers(const std::vector<ChunkPart>& chunks,
                                  const std::vector<ChunkPart>& values, std::int64_t came) {
  for (std::int64_t i = 0; i < came; ++i) pool_.release(values[static_cast<std::size_t>(i)].bytes);
  if (came < static_cast<std::int64_t>(values.size())) return 0;
  std::int64_t whole = 0;
  for (const ChunkPart& chunk : chunks) {
    if (!pool_.reserve(chunk.bytes)) break;
    ++whole;
  }
  return whole;
}

void Lmcache::pin(Visit& visit, std::int64_t chunks) {
  for (std::int64_t i = 0; i < chunks; ++i)
    pool_.pin(visit.chunks[static_cast<std::size_t>(i)].key);
  // Touched from the end, so that the end is evicted first.
  for (std::int64_t i = chunks; i-- > 0;)
    pool_.touch(visit.chunks[static_cast<std::size_t>(i)].key);
  visit.pinned = chunks;
}

void Lmcache::unpin(Visit& visit) {
  for (std::int64_t i = 0; i < visit.pinned; ++i) {
    const BlockHash key = visit.chunks[static_cast<std::size_t>(i)].key;
    // Without a DRAM tier, what was prefetched lies there for this request only.
    options_.local_cpu ? pool_.unpin(key) : pool_.let_go(key);
  }
  visit.pinned = 0;
}

Connector::Match Lmcache::found(const Visit& visit, std::int64_t local_tokens,
                                std::int64_t limit_tokens) {
  std::int64_t chunks = 0;
  for (const std::int64_t here : visit.by_tier) chunks += here;
  std::int64_t tokens = std::min(chunks * options_.chunk_tokens, visit.sequence->prompt_tokens);
  tokens = std::min(tokens, limit_tokens);
  // Something must be left to compute.
  if (tokens == limit_tokens) --tokens;
  if (tokens - local_tokens < std::max<std::int64_t>(1, options_.min_retrieve_tokens)) return {};
  if (options_.load_policy == "when-faster" && !worth_loading(visit, local_tokens, tokens))
    return {};
  Match match;
  match.tokens = tokens - local_tokens;
  match.in_step = true;
  std::int64_t begin = 0;
  for (std::size_t tier = 0; tier < kLowerTiers; ++tier) {
    const std::int64_t end = std::min(begin + visit.by_tier[tier] * options_.chunk_tokens, tokens);
    match.by_tier[tier] = std::max<std::int64_t>(0, end - std::max(begin, local_tokens));
    begin = end;
  }
  return match;
}

// Fetching is predicted to take less than computing the same tokens.
bool Lmcache::worth_loading(const Visit& visit, std::int64_t local_tokens,
                            std::int64_t tokens) const {
  if (context_.recompute_tokens_per_s <= 0) return true;
  const std::int64_t gained = tokens - local_tokens;
  Seconds fetch = cut_.bytes_of(gained) / (context_.to_device_rate * options_.load_efficiency);
  const std::int64_t first = local_tokens / options_.chunk_tokens;
  std::int64_t begin = visit.by_tier[0];
  for (std::size_t tier = 0; tier < lower_.size(); ++tier) {
    const std::int64_t end = begin + visit.by_tier[tier + 1];
    fetch +=
        lower_[tier]->estimate(end - std::max(begin, first), cut_.bytes_of(options_.chunk_tokens));
    begin = end;
  }
  const Seconds compute(static_cast<double>(gained) /
                        static_cast<double>(context_.recompute_tokens_per_s));
  return fetch < compute;
}

Seconds Lmcache::estimate_fetch(std::size_t tier, Bytes bytes) const {
  const Bytes each = cut_.bytes_of(options_.chunk_tokens);  // of one rank
  const Bytes own = bytes / context_.ranks;
  const Seconds copy = own / (context_.to_device_rate * options_.load_efficiency);
  if (tier == 0 || tier > lower_.size()) return copy;
  const std::int64_t chunks = groups_of(own.count(), each.count());
  return lower_[tier - 1]->estimate(chunks, each) + copy;
}

std::vector<TierUse> Lmcache::tiers() const {
  const double token = context_.block_bytes.real() / static_cast<double>(context_.block_tokens);
  std::vector<TierUse> out;
  TierUse dram;
  dram.name = "dram";
  dram.stored_bytes = pool_.kept().count() * context_.ranks;
  dram.evicted_tokens = static_cast<std::int64_t>(pool_.evicted().real() / token);
  dram.dropped_tokens = dropped_tokens_;
  out.push_back(dram);
  for (std::size_t tier = 0; tier < lower_.size(); ++tier) {
    TierUse use;
    use.name =
        tier + 1 < lower_.size() || options_.remote.empty() ? options_.local_disk : options_.remote;
    use.stored_bytes = lower_[tier]->stored().count();
    use.dropped_tokens = skipped_tokens_[tier];
    use.failed_loads = lower_[tier]->failed();
    use.bypassed = lower_[tier]->bypassed();
    out.push_back(use);
  }
  return out;
}

namespace {
const Register<Connector, Lmcache> kRegistered("lmcache", "LMCache in vLLM's worker processes.");

}  // namespace

}  // namespace kvsim
