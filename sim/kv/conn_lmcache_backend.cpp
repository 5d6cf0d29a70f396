#include "sim/kv/conn_lmcache_backend.hpp"

#include <algorithm>

#include "sim/base/rng.hpp"

namespace kvsim {

namespace {

// length, shapes, dtypes, format: a small fixed struct.
constexpr Bytes kMetadata{64};
constexpr Seconds kAllocationRetry{0.1};
constexpr std::uint64_t kBodyPart = 1;
constexpr std::uint64_t kMetadataPart = 2;

}  // namespace

LmcacheBackend::Rank::Rank(const Connector::Context& context, const Options& options,
                           const StoreRoute& route, std::int32_t number)
    : salt(mix64(hash_name(context.model) + static_cast<std::uint64_t>(number) * 0x9e37 +
                 static_cast<std::uint64_t>(context.ranks))) {
  const std::string name = context.name + (context.ranks > 1 ? "." + std::to_string(number) : "");
  Tasks& tasks = context.tasks;
  client = std::make_unique<StoreClient>(
      tasks, context.host, route, name + ".client", options.client,
      static_cast<std::int64_t>(mix64(hash_name(name)) % 1'000'000) * 1000);
  jobs = std::make_unique<Threads>(tasks, name + ".jobs", "slots",
                                   static_cast<std::int32_t>(options.workers));
  connections = std::make_unique<Threads>(tasks, name + ".connections", "slots",
                                          static_cast<std::int32_t>(options.connections));
}

LmcacheBackend::LmcacheBackend(const Connector::Context& context, const Options& options,
                               const Codec& codec, HostPool& pool)
    : tasks_(context.tasks),
      host_(context.host),
      options_(options),
      route_(context.stores.find(options.store)),
      codec_(codec),
      pool_(pool) {
  const std::int32_t ranks = context.one_rank_holds_all ? 1 : context.ranks;
  for (std::int32_t rank = 0; rank < ranks; ++rank)
    ranks_.emplace_back(context, options, route_, rank);
}

Command LmcacheBackend::command(Verb verb, const Rank& rank, BlockHash key, std::uint64_t part,
                                Bytes bytes) const {
  Command out;
  out.verb = verb;
  out.key = mix64(key + rank.salt + part * 0x632be59bd9b4e019ULL);
  out.bytes = bytes;
  return out;
}

bool LmcacheBackend::holds(BlockHash key) const {
  return std::all_of(ranks_.begin(), ranks_.end(), [&](const Rank& rank) {
    const StoreKey body = command(Verb::kGet, rank, key, kBodyPart, Bytes(0)).key;
    return route_.of(body).store->contains(body);
  });
}

Seconds LmcacheBackend::waiting() const {
  return under_way_.empty() ? Seconds(0) : tasks_.now() - *under_way_.begin();
}

void LmcacheBackend::fail() {
  ++failed_;
  unhealthy_until_ = tasks_.now() + options_.reconnect;
}

// --- lookup ---

struct LmcacheBackend::Peek {
  explicit Peek(Tasks& tasks) : done(tasks) {}
  std::vector<ChunkPart> chunks;
  std::int64_t found = 0;
  std::int64_t ranks_left = 0;
  bool failed = false;
  Signal done;
};

Task LmcacheBackend::lookup(std::vector<ChunkPart> chunks, std::int64_t& found) {
  found = 0;
  if (!healthy()) {
    ++bypassed_;
    co_return;
  }
  const auto peeked = std::make_shared<Peek>(tasks_);
  peeked->found = static_cast<std::int64_t>(chunks.size());
  peeked->chunks = std::move(chunks);
  peeked->ranks_left = static_cast<std::int64_t>(ranks_.size());
  for (Rank& rank : ranks_) tasks_.start(peek(rank, peeked));
  const bool in_time = co_await peeked->done.wait(options_.lookup_timeout);
  if (!in_time || peeked->failed) {
    fail();
  } else {
    found = peeked->found;
  }
}

Task LmcacheBackend::peek(Rank& rank, std::shared_ptr<Peek> peek) {
  const Hold job = co_await rank.jobs->acquire(kPeek);
  std::int64_t here = 0;
  for (const ChunkPart& chunk : peek->chunks) {
    if (here >= peek->found) break;  // another rank found fewer
    Command exists = command(Verb::kExists, rank, chunk.key,
                             options_.two_keys ? kMetadataPart : kBodyPart, Bytes(0));
    co_await rank.client->run(exists);
    if (exists.answer == Answer::kFailed) peek->failed = true;
    if (exists.answer != Answer::kFound) break;
    ++here;
  }
  peek->found = std::min(peek->found, here);
  if (--peek->ranks_left == 0) peek->done.fire();
}

// --- get ---

struct LmcacheBackend::Get {
  Get(Tasks& tasks, ChunkPart chunk) : chunk(chunk), done(tasks) {}
  ChunkPart chunk;
  bool holds_memory = false;  // of the pool: the first rank's part stands for all
  bool accounts = false;      // for that memory
  bool cancelled = false;
  bool came = false;
  Hold job;
  StageTimes times;
  Signal done;
};

Task LmcacheBackend::fetch(std::vector<ChunkPart> chunks, std::int64_t& fetched,
                           StageTimes& times) {
  fetched = 0;
  std::vector<std::shared_ptr<Get>> gets;
  for (const ChunkPart& chunk : chunks) {
    for (Rank& rank : ranks_) {
      gets.push_back(std::make_shared<Get>(tasks_, chunk));
      gets.back()->accounts = &rank == &ranks_.front();
      tasks_.start(get(rank, gets.back()));
    }
  }
  // Results are awaited in order; after the first failure the rest is cancelled.
  bool failed = false;
  for (std::size_t i = 0; i < gets.size(); ++i) {
    Get& one = *gets[i];
    if (!failed) {
      const bool in_time = co_await one.done.wait(options_.blocking_timeout);
      failed = !in_time || !one.came;
      if (!in_time) fail();
    }
    times.add(one.times);
    const bool last_rank = (i + 1) % ranks_.size() == 0;
    if (!failed && last_rank) ++fetched;
    if (!failed) continue;
    one.cancelled = true;
    one.job.give_back();
  }
  for (std::size_t i = static_cast<std::size_t>(fetched) * ranks_.size(); i < gets.size(); ++i)
    if (std::exchange(gets[i]->holds_memory, false)) pool_.release(gets[i]->chunk.bytes);
}

Task LmcacheBackend::get(Rank& rank, std::shared_ptr<Get> get) {
  const Seconds entered = tasks_.now();
  const auto under_way = under_way_.insert(entered);
  get->job = co_await rank.jobs->acquire(kGet);
  get->times[Stage::kClient] += tasks_.now() - entered;
  if (!get->cancelled) co_await get_value(rank, get);
  under_way_.erase(under_way);
  get->job.give_back();
  get->done.fire();
}

Task LmcacheBackend::get_value(Rank& rank, std::shared_ptr<Get> get) {
  if (options_.two_keys) {
    Command metadata = command(Verb::kGet, rank, get->chunk.key, kMetadataPart, kMetadata);
    co_await rank.client->run(metadata);
    get->times.add(metadata.times);
    if (metadata.answer == Answer::kFailed) fail();
    if (metadata.answer != Answer::kFound) co_return;
  }
  if (get->accounts) co_await allocate(rank, get);
  const Bytes stored = codec_.encoded(get->chunk.bytes);
  Command body = command(Verb::kGet, rank, get->chunk.key, kBodyPart, Bytes(0));
  co_await rank.client->run(body);
  get->times.add(body.times);
  if (body.answer == Answer::kFailed) fail();
  if (body.answer != Answer::kFound || get->cancelled) co_return;
  // Out of the client's own buffer into pinned memory, decoding on the way.
  co_await rank.client->work(host_.copy_time(stored, 1), get->times);
  co_await code(rank, "decode/", codec_.decode(), get->chunk.bytes, get->times);
  get->came = !get->cancelled;
}

// One of the client's threads encodes or decodes.
Task LmcacheBackend::code(Rank& rank, const char* way, Bandwidth rate, Bytes bytes,
                          StageTimes& times) {
  if (rate <= Bandwidth(0)) co_return;
  const std::string name = codec_.bench_name();
  const bool live = !name.empty() && host_.live().drives(LiveLane::kCodec);
  LiveFlight flight(tasks_, host_.live(), LiveLane::kCodec);
  if (!live) co_await rank.client->work(Codec::time(bytes, rate), times);
  if (!name.empty()) co_await flight.end(way + name, bytes);
}

Task LmcacheBackend::allocate(Rank& rank, std::shared_ptr<Get> get) {
  while (!get->cancelled && !pool_.reserve(get->chunk.bytes))
    // It sleeps inside the event loop: nothing else of this process moves.
    co_await rank.client->pause(kAllocationRetry, get->times);
  get->holds_memory = !get->cancelled;
}

// --- put ---

void LmcacheBackend::put(std::vector<ChunkPart> chunks, std::function<void()> done) {
  if (!healthy()) {
    ++bypassed_;
    done();
    return;
  }
  tasks_.start(put_all(std::move(chunks), std::move(done)));
}

Task LmcacheBackend::put_all(std::vector<ChunkPart> chunks, std::function<void()> done) {
  const auto under_way = under_way_.insert(tasks_.now());
  Countdown left(tasks_, static_cast<std::int64_t>(ranks_.size()));
  for (Rank& rank : ranks_) tasks_.start(put_batch(rank, chunks, left));
  co_await left.wait();
  under_way_.erase(under_way);
  done();
}

Task LmcacheBackend::put_batch(Rank& rank, const std::vector<ChunkPart>& chunks, Countdown& left) {
  {
    const Hold job = co_await rank.jobs->acquire(kPut);
    Countdown values(tasks_, static_cast<std::int64_t>(chunks.size()));
    for (const ChunkPart& chunk : chunks) tasks_.start(put_chunk(rank, chunk, values));
    co_await values.wait();
  }
  left.one_less();
}

Task LmcacheBackend::put_chunk(Rank& rank, ChunkPart chunk, Countdown& left) {
  {
    const Hold connection = co_await rank.connections->acquire();
    StageTimes times;
    co_await code(rank, "encode/", codec_.encode(), chunk.bytes, times);
    const Bytes stored = codec_.encoded(chunk.bytes);
    Command body = command(Verb::kPut, rank, chunk.key, kBodyPart, stored);
    body.content = {chunk.chain, chunk.tokens};
    co_await rank.client->run(body);
    if (body.answer == Answer::kFailed) fail();
    const bool ok = body.answer == Answer::kStored;
    if (ok) stored_ += stored;
    if (ok && options_.two_keys) {
      Command metadata = command(Verb::kPut, rank, chunk.key, kMetadataPart, kMetadata);
      co_await rank.client->run(metadata);
    }
  }
  left.one_less();
}

Seconds LmcacheBackend::estimate(std::int64_t chunks, Bytes each) const {
  if (chunks <= 0) return Seconds(0);
  const Bytes stored = codec_.encoded(each);
  const StoreClient& client = *ranks_.front().client;
  const ClientOptions& costs = options_.client;
  const Seconds copying =
      client.estimate_work(host_.copy_time(stored, 1) + Codec::time(each, codec_.decode()));
  Seconds one = client.estimate_get(stored) + copying;
  Seconds work = client.estimate_work(costs.command + Codec::time(stored, costs.receive)) + copying;
  if (options_.two_keys) {
    one += client.estimate_get(kMetadata);
    work += client.estimate_work(costs.command);
  }
  // What is under way at a time shares the client's threads; a blocking one is taken by each.
  const std::int64_t at_once =
      costs.blocking ? std::min(options_.workers, costs.threads) : options_.workers;
  const auto times = [](std::int64_t count) { return static_cast<double>(count); };
  return std::max(one + work * times(groups_of(chunks, costs.threads) - 1),
                  one * times(groups_of(chunks, at_once)));
}

std::vector<ResourceUse> LmcacheBackend::resources() const {
  std::vector<ResourceUse> out;
  for (const Rank& rank : ranks_) out.push_back(rank.client->use());
  return out;
}

}  // namespace kvsim
