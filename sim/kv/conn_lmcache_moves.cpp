// LMCache's loads and stores: conn_lmcache.cpp says what they represent.
#include <algorithm>

#include "sim/kv/conn_copy.hpp"
#include "sim/kv/conn_lmcache.hpp"

namespace kvsim {

// --- load ---

Task Lmcache::run_loads(std::vector<Load> loads, std::function<void()> resume) {
  constexpr std::int64_t kLayersAhead = 2;
  const std::int64_t layers = context_.layers;
  const std::int64_t awaited = options_.use_layerwise ? std::min(kLayersAhead, layers) : layers;
  std::vector<Arriving> arriving;
  for (const Load& load : loads)
    if (visit_of(load.number, load.visit) != nullptr)
      arriving.push_back({.load = load, .life = life_});
  for (Arriving& one : arriving) co_await bring(one, 0, awaited);
  if (awaited == layers) {
    for (Arriving& one : arriving) {
      shorten(one);
      arrived(one);
    }
    resume();
    co_return;
  }
  // The rest loads while the step computes; nobody leaves before its results are out.
  overlap_ = std::make_unique<Signal>(tasks_);
  for (Arriving& one : arriving) shorten(one);
  resume();
  for (Arriving& one : arriving) {
    co_await bring(one, awaited, layers);
    arrived(one);
  }
  overlap_->fire();
}

Task Lmcache::bring(Arriving& one, std::int64_t from_layer, std::int64_t to_layer) {
  Visit& visit = *visit_of(one.load.number, one.load.visit);
  const bool begins = from_layer == 0;
  // Whole chunks are fetched, also where HBM holds their beginning.
  one.first = one.load.from / options_.chunk_tokens;
  const std::int64_t end = groups_of(one.load.to, options_.chunk_tokens);
  const std::int64_t limit = begins ? end : one.ready;
  std::int64_t ready = std::min(visit.pinned, limit);
  std::int64_t begin = visit.by_tier[0];
  for (std::size_t tier = 0; tier < lower_.size() && ready >= begin; ++tier) {
    const std::int64_t stop = std::min(begin + visit.by_tier[tier + 1], limit);
    const std::int64_t from = std::max({begin, one.first, ready});
    begin = stop;
    if (from >= stop) continue;
    const std::vector<ChunkPart> part(visit.chunks.begin() + from, visit.chunks.begin() + stop);
    std::vector<ChunkPart> values = cut_.values(part, from_layer, to_layer);
    const auto wanted = static_cast<std::int64_t>(values.size());
    std::int64_t fetched = 0;
    co_await lower_[tier]->fetch(values, fetched, one.times);
    one.held.insert(one.held.end(), values.begin(), values.begin() + fetched);
    // Values of one layer after those of another: a chunk is whole when all are there.
    if (options_.use_layerwise) fetched = fetched == wanted ? stop - from : 0;
    if (begins) one.staged.insert(one.staged.end(), part.begin(), part.begin() + fetched);
    ready = from + fetched;
    if (ready < stop) break;
  }
  if (begins) one.ready = ready;
  Bytes bytes{0};
  for (std::int64_t i = one.first; i < one.ready; ++i)
    bytes += visit.chunks[static_cast<std::size_t>(i)].bytes;
  bytes = bytes * (to_layer - from_layer) / context_.layers;
  if (bytes > Bytes(0))
    co_await to_device(bytes, static_cast<std::size_t>(one.ready - one.first), one.times);
}

// Of what was promised, only the chunks that came: the step computes the rest.
void Lmcache::shorten(const Arriving& one) {
  Visit& visit = *visit_of(one.load.number, one.load.visit);
  visit.sequence->fetched.add(one.times);
  const std::int64_t valid = std::clamp(std::max(one.ready, one.first) * options_.chunk_tokens,
                                        one.load.from, one.load.to);
  if (valid < one.load.to) context_.missed(*visit.sequence, valid);
}

// Memory is given back, or becomes part of the DRAM tier.
void Lmcache::arrived(Arriving& one) {
  for (const ChunkPart& value : one.held) pool_.release(value.bytes);
  for (const ChunkPart& chunk : one.staged)
    if (options_.local_cpu && one.life == life_ && !pool_.contains(chunk.key) &&
        pool_.reserve(chunk.bytes))
      keep_or_release({chunk});
  unpin(*visit_of(one.load.number, one.load.visit));
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
  const std::int64_t life = life_;
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
  if (overlap_ != nullptr) {
    co_await overlap_->wait();
    overlap_.reset();
  }
  resume();
  if (life == life_) {
    hand_down(chunks);
  } else {
    for (const ChunkPart& chunk : chunks) pool_.release(chunk.bytes);
  }
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
  for (std::size_t tier = 0; tier < lower_.size(); ++tier) {
    const Seconds most = options_.skip_write_above;
    if (most > Seconds(0) && lower_[tier]->waiting() > most) {
      for (const ChunkPart& chunk : kept) skipped_tokens_[tier] += chunk.tokens;
      done();
      continue;
    }
    lower_[tier]->put(cut_.values(kept, 0, context_.layers), done);
  }
}

}  // namespace kvsim
