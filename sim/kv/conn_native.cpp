// vLLM's OffloadingConnector (spec/vllm.md section 9): a DRAM tier of chunks, filled after each
// step and read asynchronously before a request is scheduled.
//
// Copies of one direction never overlap: each is one job of the copy engine's lane, whatever the
// number of blocks; a tensor-parallel rank copies its part over its own link at the same time, so
// one rank's bytes tell the time. The chunk's key is the hash of its last block.
//
// Until batched copies (`Context::plain_copies`) every descriptor is a call of its own by the
// thread that runs the model: loads are submitted before a step begins and delay it. A step's
// stores are submitted behind it: a stream takes some thousand operations and then blocks its
// caller until one has run, and copies run only when the step has computed what they read. So
// stores of more descriptors than that hold the step's results back (per-layer layouts: 160
// descriptors a block of a 70B model), fewer cost nothing.
//
// Before stores completed one by one (vllm-project/vllm#39186), the scheduler learned of them when
// their request had ended: until the end of the step after that its chunks are no hits and cannot
// be evicted, and its blocks stay in HBM. A chunk that finds no room is tried again in every step,
// and until evictable chunks were in a list of their own (#46216) each try walked over all chunks,
// on the scheduler's thread. So a DRAM tier that holds less than the requests that run costs time
// in every step.
//
// Tiers below DRAM (`secondary`): conn_secondary_tiers.hpp.
//
// Left out: submitting loads beside an earlier step's kernels (asynchronous scheduling), where it
// costs little; storing again what hits in HBM but has left DRAM; the lazy mode, kernel copies of
// small pages (all copies use copy engines), and the host's memory bandwidth.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <unordered_map>
#include <utility>

#include "sim/base/check.hpp"
#include "sim/base/registry.hpp"
#include "sim/des/lane.hpp"
#include "sim/kv/conn_secondary_tiers.hpp"
#include "sim/kv/connector.hpp"
#include "sim/kv/host_cache.hpp"

namespace kvsim {
namespace {

// Submitting one cudaMemcpyAsync (taco-project/FlexKV#193, chunks of 256 bytes on H20).
constexpr Seconds kPlainCopy{2.3e-6};
// Operations that a CUDA stream takes before it blocks its caller (NVIDIA developer forum, "CUDA
// stream are blocked when launch lots of kernels": about a thousand; not documented).
constexpr std::int64_t kStreamDepth = 1024;
// Walking over one entry of the table of chunks, and what it takes more for each entry that the
// table has (caches). Measured with CPython 3.11 on an ordered dictionary as requests leave it, one
// walk after the other, as they are within a step: 48 ns of 2,000 entries, 51 of 5,500, 65 of
// 20,000, 86 of 40,000; twice that from cold caches.
constexpr Seconds kScanned{48e-9};
constexpr Seconds kScannedOfMore{0.9e-12};
constexpr double kWorthTelling = 0.01;  // of the time: walks in vain
constexpr std::int64_t kNoStep = std::numeric_limits<std::int64_t>::max();

class NativeOffload final : public Connector {
 public:
  struct Options {
    Bytes capacity{0};
    std::int64_t blocks_per_chunk = 1;
    std::int64_t store_threshold = 0;
    Json eviction = "lru";
    std::optional<bool> prompt_only;
    std::optional<bool> deferred_stores;
    std::string layout = "cross-layer";
    std::optional<bool> plain_copies;
    std::optional<bool> ready_at_end;
    std::optional<bool> scans_to_evict;
    std::vector<SecondaryTierOptions> secondary;
    template <class F>
    void fields(F& f) {
      f.required("cpu_bytes", capacity, Range{0, 1e15},
                 "DRAM of the tier, over all tensor-parallel ranks of a replica.");
      f.optional("blocks_per_chunk", blocks_per_chunk, Range{1, 4096}, "GPU blocks of one chunk.");
      f.optional("store_threshold", store_threshold, Range{0, 1e6},
                 "Store a chunk only when it has been looked up that often.");
      f.optional("eviction", eviction, "An eviction plug-in.");
      f.optional("prompt_only", prompt_only, "Do not store generated tokens. Default: version.");
      f.optional("deferred_stores", deferred_stores,
                 "Stores leave when the next step begins and reused blocks wait for them; false: "
                 "blocks are held until stored. Default: version.");
      f.choice("layout", layout, {"cross-layer", "per-layer"},
               "One copy descriptor per block, or two per block and layer: its keys, its values "
               "(with MLA: one).");
      f.optional("plain_copies", plain_copies,
                 "One call per copy descriptor by the thread that runs the model, instead of one "
                 "per batch. Default: version.");
      f.optional("ready_at_end", ready_at_end,
                 "Chunks become readable and evictable when the request that stored them has "
                 "ended. Default: version; never with tiers below.");
      f.optional("scans_to_evict", scans_to_evict,
                 "Looking for something to evict walks over all chunks. Default: version.");
      f.optional("secondary", secondary,
                 "Tiers below DRAM, two at most: they get every chunk; hits go through DRAM.");
    }
  };

  NativeOffload(const Options& options, const Context& context)
      : options_(options),
        context_(context),
        chunk_tokens_(options.blocks_per_chunk * context.block_tokens),
        prompt_only_(options.prompt_only.value_or(context.prompt_only)),
        deferred_(options.deferred_stores.value_or(context.deferred_stores)),
        plain_copies_(options.plain_copies.value_or(context.plain_copies)),
        ready_at_end_(options.secondary.empty() &&
                      options.ready_at_end.value_or(context.ready_at_end)),
        scans_(options.scans_to_evict.value_or(context.scans_to_evict)),
        cache_(cache_options(), make_eviction()),
        pending_(static_cast<std::size_t>(context.pool.total()), 0),
        below_(context, options.secondary, context.block_bytes * options.blocks_per_chunk, cache_) {
  }

  Match match(const KvSequence& sequence, std::int64_t local_tokens,
              std::int64_t limit_tokens) override {
    const std::int64_t first = local_tokens / chunk_tokens_;
    const std::int64_t last = limit_tokens / chunk_tokens_;
    if (cache_.capacity() == 0 || first >= last) return {};
    const ChunkPrefix found = cache_.lookup(keys(sequence, first, last));
    if (ready_at_end_) return found_tokens(local_tokens, (first + found.ready) * chunk_tokens_, {});
    if (found.pending || found.loading) {
      somebody_asks_ = true;
      return {.ask_again = true};
    }
    const SecondaryTiers::Promotion* more = nullptr;
    if (!options_.secondary.empty() && first + found.chunks < last) {
      const std::int64_t behind = first + found.chunks;
      more = below_.promote(sequence, behind, keys(sequence, behind, last));
      if (more == nullptr) return {.ask_again = true};
    }
    return found_tokens(local_tokens, (first + found.chunks) * chunk_tokens_, more);
  }

  void load(KvSequence& sequence, std::int64_t from, std::int64_t to, std::int64_t) override {
    const std::int64_t first = from / context_.block_tokens;
    const std::int64_t last = to / context_.block_tokens;
    const std::vector<BlockHash> loading = keys(sequence, first / options_.blocks_per_chunk,
                                                groups_of(last, options_.blocks_per_chunk));
    for (const BlockHash hash : loading) cache_.begin_load(hash);
    // What was loaded needs no storing.
    sequence.stored_blocks = std::max(sequence.stored_blocks, last);
    const Seconds began = context_.tasks.now();
    if (plain_copies_) occupy_thread((last - first) * pieces());
    context_.to_device.submit(job(last - first, [this, &sequence, loading, began, to](Seconds now) {
      for (const BlockHash hash : loading) cache_.end_load(hash);
      sequence.fetched[Stage::kCopy] += now - began;
      context_.loaded(sequence, to);
      tell_askers();
    }));
  }

  void completed(KvSequence& sequence, std::int64_t full_blocks, std::int64_t step) override {
    if (prompt_only_)
      full_blocks = std::min(full_blocks, sequence.prompt_tokens / context_.block_tokens);
    const std::int64_t first = sequence.stored_blocks / options_.blocks_per_chunk;
    const std::int64_t last = full_blocks / options_.blocks_per_chunk;
    if (cache_.capacity() == 0 || first >= last) return;
    const bool stored = store(sequence, full_blocks, step);
    const auto found = std::find_if(backlog_.begin(), backlog_.end(),
                                    [&](const Unstored& u) { return u.sequence == &sequence; });
    const bool waited = found != backlog_.end();
    if (stored) {
      if (waited) backlog_.erase(found);
      return;
    }
    // A chunk is dropped when it first finds no room, not with every try.
    dropped_chunks_ += last - (waited ? found->full_blocks / options_.blocks_per_chunk : first);
    if (!waited) return backlog_.push_back({&sequence, full_blocks, step});
    *found = {&sequence, full_blocks, step};
  }

  Seconds planned(std::int64_t step) override {
    std::erase_if(backlog_, [&](Unstored& waiting) {
      if (waiting.tried == step) return false;
      waiting.tried = step;
      return store(*waiting.sequence, waiting.full_blocks, step);
    });
    return std::exchange(planning_, Seconds(0));
  }

  void allocated(std::span<const BlockId> blocks, std::int64_t step) override {
    std::int64_t until = 0;
    for (const BlockId block : blocks)
      until = std::max(until, pending_[static_cast<std::size_t>(block)]);
    if (until > stored_batches_) flushes_.push_back({step, until});
  }

  bool stores_generated() const override { return !prompt_only_; }

  void step_begins(std::int64_t done) override {
    step_ended(done);
    send_until(done);
  }

  bool storing() const override {
    return last_batch_ > stored_batches_ || !held_.empty() || !backlog_.empty();
  }

  bool hold_begin(std::int64_t step, std::function<void()> resume) override {
    for (; !flushes_.empty() && flushes_.front().step <= step; flushes_.pop_front())
      flush_until_ = std::max(flush_until_, flushes_.front().until);
    if (flush_until_ <= stored_batches_ && submitting_ == 0) return false;
    // Blocks that a request has just given up may wait for the step after this one: their content
    // is complete, and nobody must overwrite it.
    while (!batches_.empty() && batches_.front().number <= flush_until_) send_first();
    resume_ = std::move(resume);
    return true;
  }

  bool hold_end(std::int64_t step, std::function<void()> resume) override {
    step_ended(step);
    if (!plain_copies_) return false;
    std::int64_t descriptors = 0;
    for (const Batch& batch : batches_)
      if (batch.step <= step)
        descriptors += static_cast<std::int64_t>(batch.blocks.size()) * pieces();
    if (descriptors <= kStreamDepth) return false;
    send_until(step);
    occupy_thread(descriptors - kStreamDepth);
    resume_ = std::move(resume);
    return true;
  }

  bool holds(KvSequence& sequence, std::function<void()> release_later) override {
    below_.forget(sequence);
    std::erase_if(backlog_, [&](const Unstored& u) { return u.sequence == &sequence; });
    const bool told = ready_at_end_ && unready_.contains(&sequence);
    if (deferred_ && !told) return false;
    Held held{0, 0, {}, std::move(release_later)};
    for (const BlockId block : sequence.blocks)
      held.until = std::max(held.until, pending_[static_cast<std::size_t>(block)]);
    if (told) {
      if (sequence.finished && ended_ != kNoStep) held.step = ended_ + 1;
      held.keys = std::move(unready_.extract(&sequence).mapped());
    }
    if (held.until <= stored_batches_ && held.step <= ended_) {
      finish_store(held.keys);
      return false;
    }
    held_.push_back(std::move(held));
    return true;
  }

  std::vector<TierUse> tiers() const override {
    TierUse use;
    use.name = "dram";
    use.stored_bytes = cache_.stores() * chunk_bytes().count();
    use.evicted_tokens = cache_.evicted() * chunk_tokens_;
    use.dropped_tokens = dropped_chunks_ * chunk_tokens_;
    std::vector<TierUse> out = {use};
    for (TierUse& below : below_.tiers()) out.push_back(std::move(below));
    return out;
  }
  std::vector<ResourceUse> resources() const override { return below_.resources(); }
  Bytes dram() const override { return options_.capacity; }
  std::vector<std::string> warnings() const override {
    if (in_vain_ <= context_.tasks.now() * kWorthTelling) return {};
    return {fmt::format(
        "native offload: {} chunks of DRAM were full of what running requests had stored; each one "
        "that found no room was tried again in every step, by a walk over all chunks "
        "(vllm-project/vllm#46216)",
        cache_.capacity())};
  }
  void add_listener(std::size_t tier, BlockListener* listener) override {
    if (tier == 0) cache_.add_listener(listener);
  }
  std::int64_t told_blocks(std::size_t tier) const override {
    return tier == 0 ? options_.blocks_per_chunk : 0;
  }
  void crashed() override { cache_.clear(); }

 private:
  struct Batch {
    std::int64_t number;  // batches are stored in this order, from 1
    std::int64_t step;    // whose results it holds
    std::vector<BlockHash> keys;
    std::vector<BlockId> blocks;
  };
  struct Flush {
    std::int64_t step;   // must not begin before ...
    std::int64_t until;  // ... this batch is stored
  };
  struct Held {
    std::int64_t until;           // batch
    std::int64_t step;            // that must have ended
    std::vector<BlockHash> keys;  // ready then
    std::function<void()> release;
  };
  struct Unstored {
    KvSequence* sequence;
    std::int64_t full_blocks;
    std::int64_t tried;  // in this step
  };

  // All of a sequence's chunks that are complete and not stored yet, or none. `step` is planned.
  bool store(KvSequence& sequence, std::int64_t full_blocks, std::int64_t step) {
    const std::int64_t first = sequence.stored_blocks / options_.blocks_per_chunk;
    const std::int64_t last = full_blocks / options_.blocks_per_chunk;
    const std::vector<BlockHash> wanted = keys(sequence, first, last);
    begun_.clear();
    const std::int64_t evicted = cache_.evicted();
    const bool room = cache_.begin_store(wanted, begun_);
    const Seconds walked = walk(room ? cache_.evicted() - evicted : cache_.size());
    planning_ += walked;
    if (!room) in_vain_ += walked;
    if (!room) return false;
    auto begun = begun_.begin();
    for (std::int64_t chunk = first; chunk < last && begun != begun_.end(); ++chunk)
      if (wanted[static_cast<std::size_t>(chunk - first)] == *begun)
        add_to_batch(sequence, chunk, *begun++, step);
    sequence.stored_blocks = last * options_.blocks_per_chunk;
    return true;
  }

  // Tokens [from, to) are in DRAM, those that were fetched for it by the tier that had them.
  Match found_tokens(std::int64_t from, std::int64_t to,
                     const SecondaryTiers::Promotion* more) const {
    if (to <= from) return {};
    Match match;
    match.tokens = match.by_tier[0] = to - from;
    std::int64_t begin = more == nullptr ? 0 : more->first * chunk_tokens_;
    for (std::size_t tier = 1; tier < kLowerTiers && more != nullptr; ++tier) {
      const std::int64_t end = begin + more->by_tier[tier] * chunk_tokens_;
      const std::int64_t here =
          std::max<std::int64_t>(0, std::min(end, to) - std::max(begin, from));
      match.by_tier[tier] = here;
      match.by_tier[0] -= here;
      begin = end;
    }
    return match;
  }

  Bytes chunk_bytes() const {
    return context_.block_bytes * options_.blocks_per_chunk * context_.ranks;
  }
  HostCache::Options cache_options() const {
    HostCache::Options out;
    out.capacity = options_.capacity / chunk_bytes();
    out.store_threshold = options_.store_threshold;
    return out;
  }
  std::unique_ptr<Eviction> make_eviction() const {
    return Registry<Eviction>::instance().make(ConfigNode(options_.eviction, "eviction"),
                                               {cache_options().capacity});
  }
  std::vector<BlockHash> keys(const KvSequence& sequence, std::int64_t first,
                              std::int64_t last) const {
    std::vector<BlockHash> out;
    for (std::int64_t chunk = first; chunk < last; ++chunk)
      out.push_back(
          sequence.hashes[static_cast<std::size_t>((chunk + 1) * options_.blocks_per_chunk - 1)]);
    return out;
  }

  // Descriptors of a block. FlashAttention's cache holds the keys of all blocks of a layer, then
  // the values.
  std::int64_t pieces() const {
    if (options_.layout != "per-layer") return 1;
    return context_.layers * (context_.one_rank_holds_all ? 1 : 2);
  }
  Lane::Job job(std::int64_t blocks, World::Done done) const {
    Lane::Job out;
    out.setup = context_.descriptor * static_cast<double>(blocks * pieces());
    out.bytes = context_.block_bytes * blocks;
    out.rate_limit = context_.rate_limit(context_.block_bytes / pieces());
    out.done = std::move(done);
    return out;
  }

  // The thread that runs the model submits that many copies, after what it does already.
  void occupy_thread(std::int64_t descriptors) {
    const Seconds now = context_.tasks.now();
    thread_free_at_ =
        std::max(now, thread_free_at_) + kPlainCopy * static_cast<double>(descriptors);
    ++submitting_;
    context_.tasks.start(submit_until(thread_free_at_ - now));
  }
  Task submit_until(Seconds time) {
    co_await context_.tasks.sleep(time);
    --submitting_;
    resume_if_free();
  }
  void resume_if_free() {
    if (!resume_ || flush_until_ > stored_batches_ || submitting_ > 0) return;
    const std::function<void()> resume = std::move(resume_);
    resume_ = nullptr;
    resume();
  }

  Seconds walk(std::int64_t entries) const {
    if (!scans_) return Seconds(0);
    return (kScanned + kScannedOfMore * static_cast<double>(cache_.size())) *
           static_cast<double>(entries);
  }

  void add_to_batch(const KvSequence& sequence, std::int64_t chunk, BlockHash hash,
                    std::int64_t step) {
    if (batches_.empty() || batches_.back().step != step)
      batches_.push_back({++last_batch_, step, {}, {}});
    Batch& batch = batches_.back();
    batch.keys.push_back(hash);
    if (ready_at_end_) unready_[&sequence].push_back(hash);
    for (std::int64_t i = 0; i < options_.blocks_per_chunk; ++i) {
      const auto at = static_cast<std::size_t>(chunk * options_.blocks_per_chunk + i);
      const BlockId block = sequence.blocks[at];
      batch.blocks.push_back(block);
      pending_[static_cast<std::size_t>(block)] = batch.number;
    }
  }

  void send_until(std::int64_t step) {
    while (!batches_.empty() && batches_.front().step <= step) send_first();
  }
  void send_first() {
    Batch batch = std::move(batches_.front());
    batches_.pop_front();
    const auto blocks = static_cast<std::int64_t>(batch.blocks.size());
    const std::int64_t number = batch.number;
    context_.to_host.submit(
        job(blocks, [this, batch = std::move(batch), number](Seconds) { stored(batch, number); }));
  }

  void stored(const Batch& batch, std::int64_t number) {
    KV_CHECK(number == stored_batches_ + 1);
    stored_batches_ = number;
    if (!ready_at_end_) finish_store(batch.keys);
    release_held();
    tell_askers();
    resume_if_free();
  }

  void finish_store(const std::vector<BlockHash>& keys) {
    for (const BlockHash hash : keys) cache_.end_store(hash);
    below_.store(keys);
  }

  void step_ended(std::int64_t step) {
    ended_ = step;
    if (release_held()) tell_askers();
  }

  bool release_held() {
    const std::size_t before = held_.size();
    for (std::size_t i = 0; i < held_.size();) {
      if (held_[i].until > stored_batches_ || held_[i].step > ended_) {
        ++i;
        continue;
      }
      const Held held = std::move(held_[i]);
      held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
      finish_store(held.keys);
      held.release();
      somebody_asks_ = true;  // free blocks may let somebody in
    }
    return held_.size() < before;
  }

  void tell_askers() {
    if (!somebody_asks_) return;
    somebody_asks_ = false;
    context_.changed();
  }

  Options options_;
  Context context_;
  std::int64_t chunk_tokens_;
  bool prompt_only_;
  bool deferred_;
  bool plain_copies_;
  bool ready_at_end_;
  bool scans_;
  HostCache cache_;
  std::vector<std::int64_t> pending_;  // per block: the last batch that reads it
  std::vector<BlockHash> begun_;
  std::deque<Batch> batches_;  // planned, not sent
  std::int64_t last_batch_ = 0;
  std::int64_t stored_batches_ = 0;
  std::deque<Flush> flushes_;  // of steps planned, not begun
  std::int64_t flush_until_ = 0;
  Seconds thread_free_at_{0};
  std::int64_t submitting_ = 0;  // loads and steps whose copies that thread still submits
  std::function<void()> resume_;
  std::vector<Held> held_;
  std::int64_t ended_ = kNoStep;  // the last step; kNoStep: none is under way
  std::vector<Unstored> backlog_;
  std::int64_t dropped_chunks_ = 0;
  std::unordered_map<const KvSequence*, std::vector<BlockHash>> unready_;  // stored for it
  Seconds in_vain_{0};   // walked without finding room
  Seconds planning_{0};  // since planned()
  bool somebody_asks_ = false;
  SecondaryTiers below_;
};

const Register<Connector, NativeOffload> kRegistered("native", "vLLM's native CPU offload.");

}  // namespace
}  // namespace kvsim
