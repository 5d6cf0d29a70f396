// SGLang's HiCache (spec/sglang_trtllm.md section 3): L1 is HBM, L2 host memory, L3 a store.
//
//   down   write_through: a block goes to L2 when it has been inserted or hit once,
//          write_through_selective: twice, write_back: when HBM evicts it; from L2 it goes to L3
//   up     L2 into HBM layer by layer beside the step, all that continues HBM's prefix or nothing;
//          L3 into L2 from a request's arrival on, if enough is there. The request waits for that
//          until it is complete or a time-out, or not at all, and uses what has arrived.
//
// A page is a block of the engine, and prefixes are whole blocks, where SGLang's tree has single
// tokens; a request arrives when the scheduler first considers it. Generated tokens are inserted as
// their blocks fill; SGLang inserts them when the request ends. Left out: L2's preference to evict
// what HBM does not hold, the copy kernels' use of SMs.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <unordered_map>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/kv/conn_chunk_store.hpp"
#include "sim/kv/conn_host_tier.hpp"
#include "sim/kv/conn_offload_queue.hpp"
#include "sim/store/store_client.hpp"

namespace kvsim {
namespace {

struct HicacheOptions {
  double ratio = 2;
  std::optional<Bytes> size;
  std::string storage;
  std::string write_policy = "write_through";
  std::string prefetch_policy = "timeout";
  std::string eviction = "lru";
  std::int64_t load_back_least = 10;
  std::int64_t prefetch_least = 256;
  Seconds timeout_base{2};
  Seconds timeout_per_ki_token{0.1};
  Seconds timeout_most{30};
  std::int64_t batch = 128;
  ClientOptions client{8, true, Seconds(50e-6), Bandwidth(0), Bandwidth(0)};
  ChunkStoreOptions limits;

  template <class F>
  void fields(F& f) {
    f.optional("hicache_ratio", ratio, Range{0, 1e6}, "L2 over HBM's KV memory.");
    f.optional("size_bytes", size, Range{0, 1e15}, "L2 of one rank, instead of the ratio.");
    f.optional("storage", storage, "L3: name of a store.");
    f.choice("write_policy", write_policy,
             {"write_through", "write_through_selective", "write_back"}, "What goes to L2 when.");
    f.choice("prefetch_policy", prefetch_policy, {"timeout", "best_effort", "wait_complete"},
             "How long a request waits for L3.");
    f.optional("eviction", eviction, "An eviction plug-in, for L2.");
    f.optional("load_back_tokens", load_back_least, Range{1, 1e9}, "Load no less from L2.");
    f.optional("prefetch_tokens", prefetch_least, Range{1, 1e9}, "Fetch no less from L3.");
    f.optional("prefetch_timeout_base_s", timeout_base, Range{0, 1e6}, "Of a prefetch.");
    f.optional("prefetch_timeout_per_ki_token_s", timeout_per_ki_token, Range{0, 1e6},
               "More for each 1,024 tokens of it.");
    f.optional("prefetch_timeout_max_s", timeout_most, Range{1e-6, 1e6}, "At most.");
    f.optional("batch_pages", batch, Range{1, 1e6}, "Blocks of one transfer to or from L3.");
    f.optional("client", client, "CPU of L3's client. Default: assumed.");
    limits.fields(f);
  }
};

class Hicache final : public HostTierConnector {
 public:
  using Options = HicacheOptions;

  Hicache(const Options& options, const Context& context)
      : HostTierConnector(
            context, protocol(options), blocks(options, context),
            Registry<Eviction>::instance().make(ConfigNode(Json(options.eviction), "eviction"),
                                                {blocks(options, context)})),
        options_(options),
        salt_(mix64(hash_name(context.model) + static_cast<std::uint64_t>(context.ranks))),
        hits_wanted_(options.write_policy == "write_through" ? 1 : 2),
        to_storage_(tasks(), {1, options.batch}, [this](auto pages) { return write(pages); }) {
    if (!options.storage.empty() && cache().capacity() > 0) open_storage();
  }

  Match match(const KvSequence& sequence, std::int64_t local_tokens,
              std::int64_t limit_tokens) override;
  void load(KvSequence& sequence, std::int64_t from, std::int64_t to, std::int64_t step) override {
    HostTierConnector::load(sequence, from, to, step);
    if (storage_) let_go(*visit_of(sequence).prefetch);
  }
  void completed(KvSequence& sequence, std::int64_t full_blocks, std::int64_t step) override;
  void step_begins(std::int64_t done) override {
    for (; !saves_.empty() && saves_.front().step <= done; saves_.pop_front())
      tasks().start(run_save(std::move(saves_.front())));
  }
  bool storing() const override { return HostTierConnector::storing() || !saving_.empty(); }
  bool holds(KvSequence& sequence, std::function<void()> release_later) override;
  void crashed() override {
    HostTierConnector::crashed();
    for (Save& save : saves_) save.blocks.clear();
    to_storage_.clear();
    hits_ = {};
  }

  std::vector<TierUse> tiers() const override {
    std::vector<TierUse> out = HostTierConnector::tiers();
    if (!storage_) return out;
    TierUse use;
    use.name = options_.storage;
    use.stored_bytes = storage_->stored().count();
    use.failed_loads = storage_->failed();
    use.bypassed = storage_->bypassed();
    out.push_back(use);
    return out;
  }
  std::vector<ResourceUse> resources() const override {
    return client_ ? std::vector<ResourceUse>{client_->use()} : std::vector<ResourceUse>{};
  }

 private:
  // Blocks on their way from L3 for one request.
  struct Prefetch {
    explicit Prefetch(Tasks& tasks) : began(tasks.now()), done(tasks) {}
    std::vector<BlockHash> wanted;
    std::set<BlockHash> came;
    std::vector<BlockHash> kept;  // in L2, for the request
    bool over = false;            // the request does not wait for more
    Seconds began;
    Signal done;
  };
  struct Visit {
    KvSequence* sequence = nullptr;
    std::int64_t serial = 0;
    std::shared_ptr<Prefetch> prefetch;
  };
  struct Save {
    std::int64_t step;
    std::int64_t serial;  // of the visit
    std::vector<BlockHash> blocks;
  };
  struct Saving {
    std::int64_t left = 0;
    std::function<void()> release;
  };

  static Protocol protocol(const Options& options) {
    return {.write_back = options.write_policy == "write_back",
            .by_layer = true,
            .least_tokens = options.load_back_least};
  }
  static std::int64_t blocks(const Options& options, const Context& context) {
    if (options.size) return *options.size / context.block_bytes;
    return static_cast<std::int64_t>(options.ratio * (context.pool.total() - 1));
  }
  ChunkPart page(BlockHash block) const {
    return {mix64(block + salt_) | 1, context().block_bytes, block, context().block_tokens};
  }
  Visit& visit_of(const KvSequence& sequence) {
    Visit& visit = visits_[sequence.number];
    if (visit.serial == 0) {
      visit.serial = ++last_visit_;
      visit.sequence = const_cast<KvSequence*>(&sequence);
    }
    return visit;
  }

  void open_storage();
  void start_prefetch(const KvSequence& sequence, std::int64_t first, std::int64_t last);
  void end_wait(KvSequence& sequence, Prefetch& prefetch);
  void let_go(Prefetch& prefetch);
  Seconds timeout_of(std::int64_t tokens) const;
  Task prefetch(std::shared_ptr<Prefetch> prefetch);
  Task fetch_batch(Prefetch& prefetch, std::size_t first, std::size_t last, bool& whole);
  Task watch(std::int64_t number, std::int64_t serial, std::shared_ptr<Prefetch> prefetch);

  Task run_save(Save save);
  Task write(std::vector<ChunkPart> blocks);
  void written_back(const std::vector<BlockHash>& blocks) override { to_storage(blocks); }
  void to_storage(const std::vector<BlockHash>& blocks);
  void evicted_from_device(BlockHash block) override { hits_.erase(block); }

  Options options_;
  std::uint64_t salt_;
  std::int32_t hits_wanted_;
  std::unique_ptr<StoreClient> client_;
  std::unique_ptr<ChunkStore> storage_;
  OffloadQueue to_storage_;                         // keys are those of L2
  HashMap<std::int32_t> hits_;                      // of blocks in HBM
  std::unordered_map<std::int64_t, Visit> visits_;  // by number of the request
  std::int64_t last_visit_ = 0;
  std::deque<Save> saves_;                           // of steps that have not ended
  std::unordered_map<std::int64_t, Saving> saving_;  // by serial of the visit
};

void Hicache::open_storage() {
  const std::string name = context().name + ".hicache";
  client_ = std::make_unique<StoreClient>(
      tasks(), context().host, context().stores.find(options_.storage), name, options_.client,
      static_cast<std::int64_t>(hash_name(name) % 1'000'000) * 1000);
  ChunkStoreOptions limits = options_.limits;
  limits.ranks = context().one_rank_holds_all ? 1 : context().ranks;
  const ChunkStore::Way way{[this](std::vector<Command>& one) { return client_->run(one.front()); },
                            options_.client.threads, 1};
  storage_ = std::make_unique<ChunkStore>(tasks(), name, limits, way, way);
}

// --- up ---

Connector::Match Hicache::match(const KvSequence& sequence, std::int64_t local_tokens,
                                std::int64_t limit_tokens) {
  Match match = HostTierConnector::match(sequence, local_tokens, limit_tokens);
  if (!storage_) return match;
  const std::int64_t block = context().block_tokens;
  Visit& visit = visit_of(sequence);
  if (!visit.prefetch) {
    // The last token is computed in any case.
    start_prefetch(sequence, groups_of(local_tokens + match.tokens, block),
                   (limit_tokens - 1) / block);
  } else if (!visit.prefetch->over && options_.prefetch_policy == "best_effort") {
    end_wait(*visit.sequence, *visit.prefetch);
  }
  if (!visit.prefetch->over) return {.ask_again = true};
  std::int64_t came = 0;
  for (std::int64_t i = local_tokens / block; i * block < local_tokens + match.tokens; ++i)
    came += visit.prefetch->came.count(sequence.hashes[static_cast<std::size_t>(i)]) > 0 ? 1 : 0;
  match.by_tier[1] = std::min(match.tokens, came * block);
  match.by_tier[0] -= match.by_tier[1];
  return match;
}

void Hicache::start_prefetch(const KvSequence& sequence, std::int64_t first, std::int64_t last) {
  Visit& visit = visit_of(sequence);
  const auto prefetch = visit.prefetch = std::make_shared<Prefetch>(tasks());
  prefetch->over = (last - first) * context().block_tokens < options_.prefetch_least;
  if (prefetch->over) return;
  prefetch->wanted.assign(sequence.hashes.begin() + first, sequence.hashes.begin() + last);
  tasks().start(this->prefetch(prefetch));
  tasks().start(watch(sequence.number, visit.serial, prefetch));
  // A scheduler with nothing else to do asks again at once.
  if (options_.prefetch_policy == "best_effort") context().changed();
}

Seconds Hicache::timeout_of(std::int64_t tokens) const {
  return std::min(
      options_.timeout_most,
      options_.timeout_base + options_.timeout_per_ki_token * (static_cast<double>(tokens) / 1024));
}

Task Hicache::watch(std::int64_t number, std::int64_t serial, std::shared_ptr<Prefetch> prefetch) {
  const auto tokens = static_cast<std::int64_t>(prefetch->wanted.size()) * context().block_tokens;
  if (options_.prefetch_policy == "timeout") {
    (void)co_await prefetch->done.wait(timeout_of(tokens));
  } else {
    (void)co_await prefetch->done.wait();
  }
  const auto visit = visits_.find(number);
  if (visit == visits_.end() || visit->second.serial != serial || prefetch->over) co_return;
  end_wait(*visit->second.sequence, *prefetch);
  context().changed();
}

void Hicache::end_wait(KvSequence& sequence, Prefetch& prefetch) {
  prefetch.over = true;
  sequence.lookup_time += tasks().now() - prefetch.began;
}

void Hicache::let_go(Prefetch& prefetch) {
  prefetch.over = true;
  for (const BlockHash block : prefetch.kept) cache().end_load(block);
  prefetch.kept.clear();
}

Task Hicache::prefetch(std::shared_ptr<Prefetch> prefetch) {
  std::vector<ChunkPart> pages;
  for (const BlockHash block : prefetch->wanted) pages.push_back(page(block));
  std::int64_t found = 0;
  co_await storage_->lookup(std::move(pages), found);
  if (found * context().block_tokens < options_.prefetch_least) found = 0;
  const auto total = static_cast<std::size_t>(found);
  const auto batch = static_cast<std::size_t>(options_.batch);
  bool whole = true;
  for (std::size_t i = 0; i < total && whole && !prefetch->over; i += batch)
    co_await fetch_batch(*prefetch, i, std::min(i + batch, total), whole);
  prefetch->done.fire();
}

// Blocks that L2 has got meanwhile are skipped; without room in L2 it ends.
Task Hicache::fetch_batch(Prefetch& prefetch, std::size_t first, std::size_t last, bool& whole) {
  std::vector<BlockHash> blocks;
  std::vector<ChunkPart> pages;
  for (std::size_t i = first; i < last && whole; ++i) {
    const BlockHash block = prefetch.wanted[i];
    if (cache().contains(block)) continue;
    whole = cache().begin_store(block);
    if (!whole) break;
    blocks.push_back(block);
    pages.push_back(page(block));
  }
  std::int64_t came = 0;
  StageTimes times;
  co_await storage_->fetch(pages, came, times);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const bool here = static_cast<std::int64_t>(i) < came;
    cache().end_store(blocks[i], here);
    whole = whole && here;
    if (!here || prefetch.over || !cache().ready(blocks[i])) continue;
    prefetch.came.insert(blocks[i]);
    cache().begin_load(blocks[i]);
    prefetch.kept.push_back(blocks[i]);
  }
}

// --- down ---

void Hicache::completed(KvSequence& sequence, std::int64_t full_blocks, std::int64_t step) {
  if (options_.write_policy == "write_back" || cache().capacity() == 0) return;
  Save save{step, visit_of(sequence).serial, {}};
  for (std::int64_t& i = sequence.stored_blocks; i < full_blocks; ++i) {
    const BlockHash block = sequence.hashes[static_cast<std::size_t>(i)];
    if (++hits_[block] >= hits_wanted_ && !cache().contains(block)) save.blocks.push_back(block);
  }
  if (save.blocks.empty()) return;
  ++saving_[save.serial].left;
  saves_.push_back(std::move(save));
}

Task Hicache::run_save(Save save) {
  std::erase_if(save.blocks, [this](BlockHash block) { return !cache().begin_store(block); });
  if (!save.blocks.empty()) {
    co_await copy(context().to_host, static_cast<std::int64_t>(save.blocks.size()));
    for (const BlockHash block : save.blocks) cache().end_store(block);
    to_storage(save.blocks);
  }
  const auto at = saving_.find(save.serial);
  if (--at->second.left > 0) co_return;
  const std::function<void()> release = std::move(at->second.release);
  saving_.erase(at);
  if (!release) co_return;
  release();
  context().changed();  // free blocks may let somebody in
}

bool Hicache::holds(KvSequence& sequence, std::function<void()> release_later) {
  (void)HostTierConnector::holds(sequence, {});
  const auto at = visits_.find(sequence.number);
  if (at == visits_.end()) return false;
  const Visit visit = std::move(at->second);
  visits_.erase(at);
  if (visit.prefetch) let_go(*visit.prefetch);
  const auto saving = saving_.find(visit.serial);
  if (saving == saving_.end()) return false;
  saving->second.release = std::move(release_later);
  return true;
}

void Hicache::to_storage(const std::vector<BlockHash>& blocks) {
  if (!storage_) return;
  std::vector<ChunkPart> pages;
  for (const BlockHash block : blocks) pages.push_back({block, context().block_bytes});
  to_storage_.add(pages, 0);
}

Task Hicache::write(std::vector<ChunkPart> blocks) {
  std::vector<ChunkPart> pages;
  std::vector<BlockHash> reading;
  for (const ChunkPart& block : blocks) {
    if (!cache().ready(block.key)) continue;  // L2 has lost it already
    cache().begin_read(block.key);
    reading.push_back(block.key);
    pages.push_back(page(block.key));
  }
  co_await storage_->put(std::move(pages));
  for (const BlockHash block : reading) cache().end_read(block);
}

const Register<Connector, Hicache> kRegistered("hicache",
                                               "SGLang's HiCache: host memory and a store.");

}  // namespace
}  // namespace kvsim
