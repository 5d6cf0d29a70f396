// Dynamo's KV block manager in vLLM (spec/dynamo.md section 5): G1 is HBM, G2 pinned host memory,
// G3 a local disk, G4 a remote store.
//
//   down   a block that its step has completed goes into G2 (queued, 4 batches of 16 blocks at a
//          time); once there, into G3 if it passes the frequency filter, and into G4
//   up     the leading blocks of a prompt that G2 has, then G3, then G4, loaded while their request
//          waits outside the batch; G3 straight into HBM (GPUDirect storage) or by way of DRAM
//
// Whatever finds no room in a tier is dropped there. Blocks that nobody reads leave in order of an
// eviction plug-in. With latent attention every rank holds and copies all of a block, unless one
// rank does and broadcasts it.
//
// Left out: priorities of blocks (all are offloaded in order of asking), disk-only mode, the
// broadcast's time over NVLink, retries. Assumed: G4 gets every block of G2 and gives blocks to HBM
// by way of DRAM without keeping them in G2.
#include <fmt/format.h>

#include <map>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/kv/chain_listener.hpp"
#include "sim/kv/conn_chunk_store.hpp"
#include "sim/kv/conn_chunked.hpp"
#include "sim/kv/conn_copy.hpp"
#include "sim/kv/conn_offload_queue.hpp"
#include "sim/kv/frequency_filter.hpp"
#include "sim/kv/host_cache.hpp"
#include "sim/store/store_client.hpp"

namespace kvsim {
namespace {

struct KvbmOptions {
  Bytes cpu{0};
  std::string disk;
  Bytes disk_bytes{0};
  std::string remote;
  std::string eviction = "lru";
  bool disk_filter = true;
  Seconds filter_period{600};
  bool gpu_direct = true;
  bool broadcast = false;
  std::int64_t transfers = 4;
  std::int64_t batch = 16;
  Seconds setup{100e-6};
  ClientOptions client{8, true, Seconds(50e-6), Bandwidth(0), Bandwidth(0)};
  ChunkStoreOptions limits;

  template <class F>
  void fields(F& f) {
    f.required("cpu_bytes", cpu, Range{0, 1e15}, "G2, over all ranks of a replica.");
    f.optional("disk", disk, "G3: a disk of the node.");
    f.optional("disk_bytes", disk_bytes, Range{0, 1e16}, "G3, over all ranks of a replica.");
    f.optional("remote", remote, "G4: name of a store.");
    f.optional("eviction", eviction, "An eviction plug-in, for G2 and G3.");
    f.optional("disk_filter", disk_filter, "Only blocks offloaded twice go to G3.");
    f.optional("filter_period_s", filter_period, Range{1e-3, 1e9},
               "The filter's counts fall by 1.");
    f.optional("gpu_direct", gpu_direct, "G3 is read straight into HBM.");
    f.optional("broadcast", broadcast, "Latent attention: one rank loads for all.");
    f.optional("transfers", transfers, Range{1, 1024}, "Batches offloaded at a time.");
    f.optional("transfer_blocks", batch, Range{1, 4096}, "Blocks of a batch.");
    f.optional("transfer_setup_s", setup, Range{0, 1},
               "Preparing one transfer's descriptors: 50 to 200 us. Default: assumed.");
    f.optional("client", client, "CPU of G4's client. Default: assumed.");
    limits.fields(f);
  }
};

class Kvbm final : public ChunkedConnector {
 public:
  using Options = KvbmOptions;

  Kvbm(const Options& options, const Context& context)
      : ChunkedConnector(context, context.block_tokens, protocol(options, context)),
        options_(options),
        ranks_(context.one_rank_holds_all && options.broadcast ? 1 : context.ranks),
        block_(context.block_bytes * ranks_),
        host_(cache_options(options.cpu), eviction(options.cpu)),
        disk_cache_(cache_options(options.disk_bytes), eviction(options.disk_bytes)),
        filter_({.period = options.filter_period}),
        to_host_(tasks(), queue(), [this](auto blocks) { return offload_to_host(blocks); }),
        to_disk_(tasks(), queue(), [this](auto blocks) { return offload_to_disk(blocks); }),
        to_remote_(tasks(), queue(), [this](auto blocks) { return offload_to_remote(blocks); }) {
    if (options.cpu == Bytes(0) && !(options.disk.empty() && options.remote.empty()))
      throw ConfigError("cpu_bytes: found 0 with tiers below; allowed: more than 0");
    host_.add_listener(&host_told_);
    disk_cache_.add_listener(&disk_told_);
    if (!options.disk.empty()) open_disk();
    if (!options.remote.empty()) open_remote();
  }

  std::vector<TierUse> tiers() const override {
    std::vector<TierUse> out = {use_of("dram", host_)};
    if (disk_ != nullptr) out.push_back(use_of(options_.disk, disk_cache_));
    if (!remote_) return out;
    TierUse use;
    use.name = options_.remote;
    use.stored_bytes = remote_->stored().count();
    use.failed_loads = remote_->failed();
    use.bypassed = remote_->bypassed();
    out.push_back(use);
    return out;
  }
  Bytes dram() const override { return options_.cpu; }
  void add_listener(std::size_t tier, BlockListener* listener) override {
    if (tier == 0) host_told_.add(listener);
    if (tier == 1 && disk_ != nullptr) disk_told_.add(listener);
  }
  std::int64_t told_blocks(std::size_t tier) const override {
    return tier == 0 || (tier == 1 && disk_ != nullptr) ? 1 : 0;
  }
  // G3 goes too: its file has no name, its index lies in the process. Assumed.
  void crashed() override {
    ChunkedConnector::crashed();
    for (OffloadQueue* queue : {&to_host_, &to_disk_, &to_remote_}) queue->clear();
    for (HostCache* cache : {&host_, &disk_cache_}) cache->clear();
    filter_ = FrequencyFilter({.period = options_.filter_period});
  }
  std::vector<ResourceUse> resources() const override {
    return client_ ? std::vector<ResourceUse>{client_->use()} : std::vector<ResourceUse>{};
  }

 private:
  static Protocol protocol(const Options& options, const Context& context) {
    return {.off = options.cpu == Bytes(0), .store_generated = !context.prompt_only};
  }
  HostCache::Options cache_options(Bytes capacity) const {
    HostCache::Options out;
    out.capacity = capacity / block_;
    return out;
  }
  std::unique_ptr<Eviction> eviction(Bytes capacity) const {
    return Registry<Eviction>::instance().make(ConfigNode(Json(options_.eviction), "eviction"),
                                               {capacity / block_});
  }
  OffloadQueue::Options queue() const { return {options_.transfers, options_.batch}; }
  TierUse use_of(const std::string& name, const HostCache& cache) const {
    TierUse use;
    use.name = name;
    use.stored_bytes = cache.stores() * block_.count();
    use.evicted_tokens = cache.evicted() * keys().tokens();
    use.dropped_tokens = cache.dropped() * keys().tokens();
    return use;
  }
  void open_disk();
  void open_remote();

  Task find(std::shared_ptr<ChunkLookup> lookup) override;
  void let_go(ChunkLookup& lookup) override;
  Task bring(std::shared_ptr<ChunkLookup> lookup, std::int64_t first, std::int64_t end,
             Brought& brought) override;
  Task save(std::vector<ChunkPart> blocks) override;

  void hold_local(ChunkLookup& lookup);
  std::int64_t hold_leading(HostCache& cache, const ChunkLookup& lookup, std::int64_t first);
  Task copy(Lane& lane, std::int64_t blocks);
  Task disk_io(std::vector<ChunkPart> blocks, bool write, Countdown& left);
  Task copy_beside(Lane& lane, std::int64_t blocks, Countdown& left);
  Task bring_from_disk(std::vector<ChunkPart> blocks, StageTimes& times, Countdown& left);
  Task bring_from_host(std::int64_t blocks, StageTimes& times, Countdown& left);

  Task offload_to_host(std::vector<ChunkPart> blocks);
  Task offload_to_disk(std::vector<ChunkPart> blocks);
  Task offload_to_remote(std::vector<ChunkPart> blocks);
  std::vector<ChunkPart> read_from_host(const std::vector<ChunkPart>& blocks);

  Options options_;
  std::int64_t ranks_;  // that keep a block each
  Bytes block_;         // over those
  ChainListener host_told_;
  ChainListener disk_told_;
  HostCache host_;
  HostCache disk_cache_;
  Disk* disk_ = nullptr;
  std::unique_ptr<StoreClient> client_;
  std::unique_ptr<ChunkStore> remote_;
  FrequencyFilter filter_;
  OffloadQueue to_host_;
  OffloadQueue to_disk_;
  OffloadQueue to_remote_;
};

void Kvbm::open_disk() {
  Host& host = context().host;
  disk_ = host.disk(options_.disk);
  if (disk_ == nullptr)
    throw ConfigError(fmt::format("disk: found \"{}\"; allowed: one of the node's {}",
                                  options_.disk, join_names(host.disk_names())));
  // Its file is allocated at once.
  if (!disk_->take_space(options_.disk_bytes))
    throw ConfigError(fmt::format("disk_bytes: found {}; allowed: what \"{}\" has left",
                                  options_.disk_bytes.count(), options_.disk));
}

void Kvbm::open_remote() {
  const std::string name = context().name + ".kvbm";
  client_ = std::make_unique<StoreClient>(
      tasks(), context().host, context().stores.find(options_.remote), name, options_.client,
      static_cast<std::int64_t>(hash_name(name) % 1'000'000) * 1000);
  ChunkStoreOptions limits = options_.limits;
  limits.ranks = ranks_;
  const ChunkStore::Way way{[this](std::vector<Command>& one) { return client_->run(one.front()); },
                            options_.client.threads, 1};
  remote_ = std::make_unique<ChunkStore>(tasks(), name, limits, way, way);
}

// --- up ---

// Blocks from `first` on that are there: they stay until let go.
std::int64_t Kvbm::hold_leading(HostCache& cache, const ChunkLookup& lookup, std::int64_t first) {
  std::vector<BlockHash> here;
  for (auto i = static_cast<std::size_t>(first); i < lookup.chunks.size(); ++i) {
    if (!cache.ready(lookup.chunks[i].key)) break;
    here.push_back(lookup.chunks[i].key);
  }
  (void)cache.lookup(here);  // counts as their use
  for (const BlockHash block : here) cache.begin_load(block);
  return static_cast<std::int64_t>(here.size());
}

void Kvbm::hold_local(ChunkLookup& lookup) {
  lookup.held = lookup.by_tier[0] = hold_leading(host_, lookup, 0);
  if (disk_ == nullptr) return;
  lookup.by_tier[1] = hold_leading(disk_cache_, lookup, lookup.held);
  lookup.held += lookup.by_tier[1];
}

Task Kvbm::find(std::shared_ptr<ChunkLookup> lookup) {
  hold_local(*lookup);
  if (remote_)
    co_await remote_->lookup({lookup->chunks.begin() + lookup->held, lookup->chunks.end()},
                             lookup->by_tier[disk_ != nullptr ? 2 : 1]);
}

void Kvbm::let_go(ChunkLookup& lookup) {
  while (lookup.held > 0) {
    const BlockHash block = lookup.chunks[static_cast<std::size_t>(--lookup.held)].key;
    (lookup.held < lookup.by_tier[0] ? host_ : disk_cache_).end_load(block);
  }
}

// A rank's part of so many blocks; the ranks copy side by side, one lane stands for all.
Task Kvbm::copy(Lane& lane, std::int64_t blocks) {
  Lane::Job job;
  job.setup = options_.setup + context().descriptor * static_cast<double>(blocks);
  job.bytes = context().block_bytes * blocks;
  job.rate_limit = context().rate_limit(context().block_bytes);
  co_await copy_over(tasks(), lane, std::move(job));
}

Task Kvbm::copy_beside(Lane& lane, std::int64_t blocks, Countdown& left) {
  co_await copy(lane, blocks);
  left.one_less();
}

// One request a block and rank, all of them in flight.
Task Kvbm::disk_io(std::vector<ChunkPart> blocks, bool write, Countdown& left) {
  const auto count = static_cast<std::int64_t>(blocks.size());
  DiskIo io;
  io.write = write;
  io.bytes = block_ * count;
  const auto places = static_cast<std::uint64_t>(disk_cache_.capacity());
  io.position = blocks.front().key % places * static_cast<std::uint64_t>(block_.count());
  io.request = context().block_bytes;
  io.depth = count * ranks_;
  co_await disk_->io(io);
  left.one_less();
}

Task Kvbm::bring_from_host(std::int64_t blocks, StageTimes& times, Countdown& left) {
  const Seconds began = tasks().now();
  co_await copy(context().to_device, blocks);
  times[Stage::kCopy] += tasks().now() - began;
  left.one_less();
}

Task Kvbm::bring_from_disk(std::vector<ChunkPart> blocks, StageTimes& times, Countdown& left) {
  const Seconds began = tasks().now();
  const auto count = static_cast<std::int64_t>(blocks.size());
  Countdown both(tasks(), options_.gpu_direct ? 2 : 1);
  if (options_.gpu_direct) tasks().start(copy_beside(context().to_device, count, both));
  tasks().start(disk_io(std::move(blocks), false, both));
  co_await both.wait();
  times[Stage::kDisk] += tasks().now() - began;
  if (options_.gpu_direct) {
    left.one_less();
  } else {
    co_await bring_from_host(count, times, left);
  }
}

Task Kvbm::bring(std::shared_ptr<ChunkLookup> lookup, std::int64_t first, std::int64_t end,
                 Brought& brought) {
  const std::int64_t promised = lookup->by_tier[0] + (disk_ != nullptr ? lookup->by_tier[1] : 0);
  if (lookup->held < promised) {
    hold_local(*lookup);  // it let go meanwhile
    if (lookup->held < promised) end = std::clamp(lookup->held, first, end);
  }
  const auto part = [&](std::int64_t from, std::int64_t to) {
    from = std::max(from, first);
    to = std::max(from, std::min(to, end));
    return std::vector<ChunkPart>(lookup->chunks.begin() + from, lookup->chunks.begin() + to);
  };
  const std::vector<ChunkPart> hosts = part(0, lookup->by_tier[0]);
  const std::vector<ChunkPart> disks = part(lookup->by_tier[0], lookup->held);
  const std::vector<ChunkPart> remotes = part(lookup->held, end);
  brought.ready = first + static_cast<std::int64_t>(hosts.size() + disks.size());
  Countdown left(tasks(), (hosts.empty() ? 0 : 1) + (disks.empty() ? 0 : 1));
  if (!hosts.empty())
    tasks().start(bring_from_host(static_cast<std::int64_t>(hosts.size()), brought.times, left));
  if (!disks.empty()) tasks().start(bring_from_disk(disks, brought.times, left));
  std::int64_t fetched = 0;
  if (!remotes.empty()) co_await remote_->fetch(remotes, fetched, brought.times);
  co_await left.wait();
  let_go(*lookup);
  if (fetched == 0) co_return;
  Countdown copied(tasks(), 1);
  co_await bring_from_host(fetched, brought.times, copied);
  brought.ready += fetched;
}

// --- down ---

Task Kvbm::save(std::vector<ChunkPart> blocks) {
  const auto copied =
      std::make_shared<Countdown>(tasks(), static_cast<std::int64_t>(blocks.size()));
  to_host_.add(blocks, 0, copied);
  co_await copied->wait();
}

Task Kvbm::offload_to_host(std::vector<ChunkPart> blocks) {
  std::erase_if(blocks, [this](const ChunkPart& block) { return !host_.begin_store(block.key); });
  if (blocks.empty()) co_return;
  for (const ChunkPart& block : blocks) host_told_.name(block);
  co_await copy(context().to_host, static_cast<std::int64_t>(blocks.size()));
  std::vector<ChunkPart> twice;
  for (const ChunkPart& block : blocks) {
    host_.end_store(block.key);
    if (!options_.disk_filter || filter_.seen(block.key, tasks().now())) twice.push_back(block);
  }
  if (disk_ != nullptr) to_disk_.add(twice, 0);
  if (remote_) to_remote_.add(blocks, 0);
}

// Those still in G2, which stay there until they are let go.
std::vector<ChunkPart> Kvbm::read_from_host(const std::vector<ChunkPart>& blocks) {
  std::vector<ChunkPart> here;
  for (const ChunkPart& block : blocks) {
    if (!host_.ready(block.key)) continue;
    host_.begin_read(block.key);
    here.push_back(block);
  }
  return here;
}

Task Kvbm::offload_to_disk(std::vector<ChunkPart> blocks) {
  const std::vector<ChunkPart> reading = read_from_host(blocks);
  std::vector<ChunkPart> writing = reading;
  std::erase_if(writing,
                [this](const ChunkPart& block) { return !disk_cache_.begin_store(block.key); });
  for (const ChunkPart& block : writing) disk_told_.name(block);
  if (!writing.empty()) {
    Countdown written(tasks(), 1);
    co_await disk_io(writing, true, written);
  }
  for (const ChunkPart& block : writing) disk_cache_.end_store(block.key);
  for (const ChunkPart& block : reading) host_.end_read(block.key);
}

Task Kvbm::offload_to_remote(std::vector<ChunkPart> blocks) {
  const std::vector<ChunkPart> reading = read_from_host(blocks);
  co_await remote_->put(reading);
  for (const ChunkPart& block : reading) host_.end_read(block.key);
}

const Register<Connector, Kvbm> kRegistered(
    "kvbm", "Dynamo's KV block manager: host memory, local disk, a remote store.");

}  // namespace
}  // namespace kvsim
