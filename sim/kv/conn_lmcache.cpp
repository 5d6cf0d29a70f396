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
#include <deque>
#include <unordered_map>

#include "sim/base/check.hpp"
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/des/lane.hpp"
#include "sim/kv/codec.hpp"
#include "sim/kv/conn_copy.hpp"
#include "sim/kv/conn_lmcache_backend.hpp"
#include "sim/kv/conn_lmcache_options.hpp"
#include "sim/kv/connector.hpp"
#include "sim/kv/host_pool.hpp"
#include "sim/kv/lmcache_chunks.hpp"

namespace kvsim {
namespace {

class Lmcache final : public Connector {
 public:
  using Options = LmcacheOptions;

  Lmcache(const Options& options, const Context& context)
      : options_(options),
        context_(context),
        tasks_(context.tasks),
        cut_{options.chunk_tokens, context.block_tokens,  context.block_bytes,
             context.layers,       options.use_layerwise, options.save_unfull_chunk},
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

  Match match(const KvSequence& sequence, std::int64_t local_tokens,
              std::int64_t limit_tokens) override {
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

  void load(KvSequence& sequence, std::int64_t from, std::int64_t to, std::int64_t step) override {
    Visit& visit = visits_.at(sequence.number);
    visit.saved = std::max(visit.saved, to);
    loads_.push_back({step, sequence.number, visit.serial, from, to});
  }

  bool hold_begin(std::int64_t step, std::function<void()> resume) override {
    if (loads_.empty() || loads_.front().step > step) return false;
    std::vector<Load> now;
    for (; !loads_.empty() && loads_.front().step <= step; loads_.pop_front())
      now.push_back(loads_.front());
    tasks_.start(run_loads(std::move(now), std::move(resume)));
    return true;
  }

  void completed(KvSequence& sequence, std::int64_t full_blocks, std::int64_t step) override {
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
    if (prompt_done && options_.save_unfull_chunk && !visit.saved_rest) {
      visit.saved_rest = true;
      if (visit.saved < sequence.prompt_tokens) save.chunks.push_back(cut_.rest(sequence));
    }
    if (!save.chunks.empty()) saves_.push_back(std::move(save));
  }

  bool hold_end(std::int64_t step, std::function<void()> resume) override {
    std::vector<ChunkPart> now;
    for (; !saves_.empty() && saves_.front().step <= step; saves_.pop_front())
      for (const ChunkPart& chunk : admit(saves_.front().chunks)) now.push_back(chunk);
    if (now.empty() && !overlapped_) return false;
    tasks_.start(run_saves(std::move(now), std::move(resume)));
    return true;
  }

  bool storing() const override { return !saves_.empty() || !loads_.empty() || overlapped_; }
  bool stores_generated() const override { return options_.save_decode_cache; }
  void allocated(std::span<const BlockId>, std::int64_t) override {}
  void step_begins(std::int64_t) override {}

  bool holds(KvSequence& sequence, std::function<void()>) override {
    const auto at = visits_.find(sequence.number);
    if (at == visits_.end()) return false;
    unpin(at->second);
    visits_.erase(at);
    return false;
  }

  std::vector<TierUse> tiers() const override;
  Bytes dram() const override { return options_.max_local_cpu * context_.ranks; }
  std::vector<std::string> warnings() const override {
    const Json& serde = options_.serde;
    return codec_->warnings(serde.is_object() ? serde["kind"].get<std::string>()
                                              : serde.get<std::string>());
  }
  std::vector<ResourceUse> resources() const override {
    std::vector<ResourceUse> out;
    for (const auto& tier : lower_)
      for (ResourceUse& use : tier->resources()) out.push_back(std::move(use));
    return out;
  }

 private:
  // What is known of a request since it was first asked for.
  struct Visit {
    KvSequence* sequence = nullptr;
    std::int64_t serial = 0;  // tells visits of one request apart
    bool asked = false;
    bool answered = false;
    std::vector<ChunkPart> chunks;  // of its prompt
    // How many of them each tier holds: first DRAM, then the tiers below, one after the other.
    std::array<std::int64_t, kLowerTiers> by_tier{};
    std::int64_t pinned = 0;  // leading chunks that are pinned in DRAM
    std::int64_t saved = 0;   // tokens that need no saving any more
    bool saved_rest = false;
  };
  struct Load {
    std::int64_t step;
    std::int64_t number;
    std::int64_t visit;
    std::int64_t from;
    std::int64_t to;
  };
  struct Save {
    std::int64_t step;
    std::vector<ChunkPart> chunks;
  };

  std::unique_ptr<Eviction> make_eviction() const {
    const std::int64_t entries =
        options_.max_local_cpu /
        (context_.block_bytes * options_.chunk_tokens / context_.block_tokens);
    return Registry<Eviction>::instance().make(ConfigNode(options_.cache_policy, "cache_policy"),
                                               {entries});
  }
  Visit* visit_of(std::int64_t number, std::int64_t serial);
  Task look_up(std::int64_t number, std::int64_t serial);
  Task prefetch(std::int64_t number, std::int64_t serial);
  Match found(const Visit& visit, std::int64_t local_tokens, std::int64_t limit_tokens);
  bool worth_loading(const Visit& visit, std::int64_t local_tokens, std::int64_t tokens) const;
  void pin(Visit& visit, std::int64_t chunks);
  void unpin(Visit& visit);

  Task run_loads(std::vector<Load> loads, std::function<void()> resume);
  Task run_load(Load load);
  Task to_device(Bytes bytes, std::size_t chunks, StageTimes& times);
  void keep_or_release(const std::vector<ChunkPart>& chunks);

  std::vector<ChunkPart> admit(const std::vector<ChunkPart>& chunks);
  Task run_saves(std::vector<ChunkPart> chunks, std::function<void()> resume);
  void hand_down(const std::vector<ChunkPart>& chunks);

  Options options_;
  Context context_;
  Tasks& tasks_;
  LmcacheChunks cut_;
  std::unique_ptr<Codec> codec_;
  HostPool pool_;
  std::vector<std::unique_ptr<LmcacheBackend>> lower_;
  std::unordered_map<std::int64_t, Visit> visits_;
  std::int64_t last_visit_ = 0;
  std::deque<Load> loads_;
  std::deque<Save> saves_;
  bool overlapped_ = false;  // a layerwise load goes on beside the step
  std::unique_ptr<Signal> overlap_done_;
  std::int64_t dropped_tokens_ = 0;
  std::int64_t declined_ = 0;  // loads that recomputing was predicted to beat
};

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
  visit->answered = true;
  context_.changed();
}

// Async loading: lower tiers into DRAM, before the request is admitted.
Task Lmcache::prefetch(std::int64_t number, std::int64_t serial) {
  const Seconds began = tasks_.now();
  StageTimes times;
  for (std::size_t tier = 0; tier < lower_.size(); ++tier) {
    Visit& visit = visits_.at(number);
    const std::int64_t wanted = visit.by_tier[tier + 1];
    if (wanted == 0) continue;
    const auto first = visit.chunks.begin() + visit.pinned;
    std::vector<ChunkPart> part(first, first + wanted);
    std::int64_t fetched = 0;
    co_await lower_[tier]->fetch(part, fetched, times);
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
  visits_.at(number).sequence->fetched.add(times.split_over(tasks_.now() - began));
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
  for (std::int64_t i = 0; i < visit.pinned; ++i)
    pool_.unpin(visit.chunks[static_cast<std::size_t>(i)].key);
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
  if (options_.load_policy == "when-faster" && !worth_loading(visit, local_tokens, tokens)) {
    ++declined_;
    return {};
  }
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
  for (std::size_t tier = 0; tier < lower_.size(); ++tier)
    fetch += lower_[tier]->estimate(visit.by_tier[tier + 1], cut_.bytes_of(options_.chunk_tokens));
  const Seconds compute(static_cast<double>(gained) /
                        static_cast<double>(context_.recompute_tokens_per_s));
  return fetch < compute;
}

// --- load ---

Task Lmcache::run_loads(std::vector<Load> loads, std::function<void()> resume) {
  overlap_done_.reset();
  for (const Load& load : loads) co_await run_load(load);
  resume();
}

Task Lmcache::run_load(Load load) {
  Visit* known = visit_of(load.number, load.visit);
  if (known == nullptr) co_return;
  Visit& visit = *known;  // stays: nobody leaves while a step begins
  const auto chunk_of = [this](std::int64_t token) { return token / options_.chunk_tokens; };
  // Whole chunks are fetched, also where HBM holds their beginning.
  const std::int64_t first = chunk_of(load.from);
  const std::int64_t end = groups_of(load.to, options_.chunk_tokens);
  StageTimes times;
  std::vector<ChunkPart> staged;
  std::int64_t ready = visit.pinned;
  std::int64_t begin = visit.by_tier[0];
  for (std::size_t tier = 0; tier < lower_.size() && ready >= begin; ++tier) {
    const std::int64_t stop = std::min(begin + visit.by_tier[tier + 1], end);
    const std::int64_t from = std::max({begin, first, ready});
    begin = stop;
    if (from >= stop) continue;
    const std::vector<ChunkPart> part(visit.chunks.begin() + from, visit.chunks.begin() + stop);
    std::int64_t fetched = 0;
    co_await lower_[tier]->fetch(cut_.values(part, 0, context_.layers), fetched, times);
    if (options_.use_layerwise) fetched /= context_.layers;
    staged.insert(staged.end(), part.begin(), part.begin() + fetched);
    ready = from + fetched;
    if (from + fetched < stop) break;
  }
  ready = std::min(ready, end);
  Bytes bytes{0};
  for (std::int64_t i = first; i < ready; ++i)
    bytes += visit.chunks[static_cast<std::size_t>(i)].bytes;
  if (ready > first) co_await to_device(bytes, static_cast<std::size_t>(ready - first), times);
  keep_or_release(staged);
  unpin(visit);
  visit.sequence->fetched.add(times);
  const std::int64_t valid =
      std::clamp(std::max(ready, first) * options_.chunk_tokens, load.from, load.to);
  if (valid < load.to) context_.missed(*visit.sequence, valid);
}

// Kernels read pinned memory and scatter into pages: below the copy engine's rate.
Task Lmcache::to_device(Bytes bytes, std::size_t chunks, StageTimes& times) {
  const Seconds began = tasks_.now();
  Lane::Job job;
  job.setup =
      options_.kernel * static_cast<double>(chunks) + Codec::time(bytes, codec_->gpu_decode());
  job.bytes = bytes;
  job.rate_limit = context_.to_device_rate * options_.load_efficiency;
  co_await copy_over(tasks_, context_.to_device, std::move(job));
  times[Stage::kCopy] += tasks_.now() - began;
}

// Fetched chunks stay in DRAM when it is a tier.
void Lmcache::keep_or_release(const std::vector<ChunkPart>& chunks) {
  for (const ChunkPart& chunk : chunks) {
    if (!options_.local_cpu || pool_.contains(chunk.key)) {
      pool_.release(chunk.bytes);
      continue;
    }
    pool_.keep(chunk.key, chunk.bytes);
    pool_.unpin(chunk.key);
  }
}

// --- store ---

// Takes memory for chunks to save; what finds none is dropped, and all behind it.
std::vector<ChunkPart> Lmcache::admit(const std::vector<ChunkPart>& chunks) {
  std::vector<ChunkPart> out;
  for (const ChunkPart& chunk : chunks) {
    if (pool_.contains(chunk.key)) continue;
    if (!pool_.reserve(chunk.bytes)) {
      for (auto left = &chunk; left != chunks.data() + chunks.size(); ++left)
        dropped_tokens_ += left->bytes / (context_.block_bytes / context_.block_tokens);
      break;
    }
    out.push_back(chunk);
  }
  return out;
}

Task Lmcache::run_saves(std::vector<ChunkPart> chunks, std::function<void()> resume) {
  Bytes bytes{0};
  for (const ChunkPart& chunk : chunks) bytes += chunk.bytes;
  if (bytes > Bytes(0)) {
    Lane::Job job;
    // Layerwise, all layers but the last are copied while the next ones compute.
    const std::int64_t exposed = options_.use_layerwise ? context_.layers : 1;
    job.setup = (options_.kernel + options_.sync) * static_cast<double>(chunks.size()) +
                Codec::time(bytes, codec_->gpu_encode());
    job.bytes = std::max(Bytes(1), bytes / exposed);
    co_await copy_over(tasks_, context_.to_host, std::move(job));
  }
  resume();
  hand_down(chunks);
}

// Write-through: every tier below gets the chunks now; DRAM keeps them at least until they have.
void Lmcache::hand_down(const std::vector<ChunkPart>& chunks) {
  std::vector<ChunkPart> kept;
  for (const ChunkPart& chunk : chunks) {
    if (pool_.contains(chunk.key)) {
      pool_.release(chunk.bytes);  // two requests computed the same
      continue;
    }
    if (options_.local_cpu) pool_.keep(chunk.key, chunk.bytes);
    kept.push_back(chunk);
  }
  const auto left = std::make_shared<std::size_t>(lower_.size());
  const auto done = [this, kept, left] {
    if (*left > 1) {
      --*left;
      return;
    }
    for (const ChunkPart& chunk : kept)
      options_.local_cpu ? pool_.unpin(chunk.key) : pool_.release(chunk.bytes);
  };
  if (lower_.empty() || kept.empty()) {
    *left = 1;
    done();
    return;
  }
  for (const auto& tier : lower_) tier->put(cut_.values(kept, 0, context_.layers), done);
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
    use.failed_loads = lower_[tier]->failed();
    use.bypassed = lower_[tier]->bypassed();
    out.push_back(use);
  }
  return out;
}

const Register<Connector, Lmcache> kRegistered("lmcache", "LMCache in vLLM's worker processes.");

}  // namespace
}  // namespace kvsim
