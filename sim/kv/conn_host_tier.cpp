#include "sim/kv/conn_host_tier.hpp"

#include <algorithm>

#include "sim/kv/conn_copy.hpp"

namespace kvsim {

namespace {

HostCache::Options of_capacity(std::int64_t blocks) {
  HostCache::Options out;
  out.capacity = blocks;
  return out;
}

}  // namespace

HostTierConnector::HostTierConnector(const Context& context, const Protocol& protocol,
                                     std::int64_t blocks, std::unique_ptr<Eviction> eviction)
    : context_(context), protocol_(protocol), cache_(of_capacity(blocks), std::move(eviction)) {
  if (blocks > 0) context_.pool.add_listener(this);
}

// --- lookup ---

std::vector<BlockHash> HostTierConnector::leading(const KvSequence& sequence, std::int64_t first,
                                                  std::int64_t last) const {
  std::vector<BlockHash> out;
  for (std::int64_t i = first; i < last; ++i) {
    const BlockHash block = sequence.hashes[static_cast<std::size_t>(i)];
    if (!cache_.ready(block)) break;
    out.push_back(block);
  }
  return out;
}

Connector::Match HostTierConnector::match(const KvSequence& sequence, std::int64_t local_tokens,
                                          std::int64_t limit_tokens) {
  const std::int64_t first = local_tokens / context_.block_tokens;
  const std::vector<BlockHash> here =
      leading(sequence, first, limit_tokens / context_.block_tokens);
  (void)cache_.lookup(here);  // counts as their use
  std::int64_t tokens = (first + static_cast<std::int64_t>(here.size())) * context_.block_tokens;
  // The step must have something to compute.
  if (tokens == limit_tokens) --tokens;
  if (tokens - local_tokens < protocol_.least_tokens) return {};
  Match match;
  match.tokens = match.by_tier[0] = tokens - local_tokens;
  match.in_step = true;
  return match;
}

// --- load ---

void HostTierConnector::load(KvSequence& sequence, std::int64_t from, std::int64_t to,
                             std::int64_t step) {
  Load load{step, &sequence,
            leading(sequence, from / context_.block_tokens, groups_of(to, context_.block_tokens))};
  for (const BlockHash block : load.blocks) cache_.begin_load(block);
  loads_.push_back(std::move(load));
}

bool HostTierConnector::holds(KvSequence& sequence, std::function<void()>) {
  // It goes before the step that it was planned for has begun.
  for (const Load& load : loads_)
    if (load.sequence == &sequence)
      for (const BlockHash block : load.blocks) cache_.end_load(block);
  std::erase_if(loads_, [&](const Load& load) { return load.sequence == &sequence; });
  return false;
}

bool HostTierConnector::hold_begin(std::int64_t step, std::function<void()> resume) {
  std::vector<BlockHash> down;
  for (; !write_backs_.empty() && write_backs_.front().step <= step; write_backs_.pop_front()) {
    const BlockHash block = write_backs_.front().block;
    if (cache_.begin_store(block)) down.push_back(block);
  }
  std::vector<Load> up;
  for (; !loads_.empty() && loads_.front().step <= step; loads_.pop_front())
    up.push_back(std::move(loads_.front()));
  if (down.empty() && up.empty()) return false;
  tasks().start(begin(std::move(down), std::move(up), std::move(resume)));
  return true;
}

// What is loaded goes where something was evicted, so it waits for the copies down.
Task HostTierConnector::begin(std::vector<BlockHash> down, std::vector<Load> up,
                              std::function<void()> resume) {
  const Seconds began = tasks().now();
  if (!down.empty()) co_await copy(context_.to_host, static_cast<std::int64_t>(down.size()));
  for (const BlockHash block : down) cache_.end_store(block);
  if (!down.empty()) written_back(down);
  std::vector<KvSequence*> sequences;
  for (const Load& load : up) sequences.push_back(load.sequence);
  if (!up.empty()) co_await bring(std::move(up));
  for (KvSequence* sequence : sequences) sequence->fetched[Stage::kCopy] += tasks().now() - began;
  resume();
}

Task HostTierConnector::bring(std::vector<Load> loads) {
  std::int64_t blocks = 0;
  for (const Load& load : loads) blocks += static_cast<std::int64_t>(load.blocks.size());
  const Bytes bytes = context_.block_bytes * blocks;
  const std::int64_t layers = protocol_.by_layer ? context_.layers : 1;
  const Bytes first = std::max(Bytes(1), bytes / layers);
  co_await copy_bytes(context_.to_device, blocks, first);
  rest_ = std::make_unique<Signal>(tasks());
  tasks().start(bring_rest(std::move(loads), bytes - first));
}

Task HostTierConnector::bring_rest(std::vector<Load> loads, Bytes bytes) {
  if (bytes > Bytes(0)) co_await copy_bytes(context_.to_device, 0, bytes);
  for (const Load& load : loads)
    for (const BlockHash block : load.blocks) cache_.end_load(block);
  rest_->fire();
}

bool HostTierConnector::hold_end(std::int64_t, std::function<void()> resume) {
  if (!rest_ || rest_->fired()) {
    rest_.reset();
    return false;
  }
  tasks().start(finish(std::move(resume)));
  return true;
}

Task HostTierConnector::finish(std::function<void()> resume) {
  co_await rest_->wait();
  rest_.reset();
  resume();
}

Task HostTierConnector::copy(Lane& lane, std::int64_t blocks) {
  return copy_bytes(lane, blocks, context_.block_bytes * blocks);
}

Task HostTierConnector::copy_bytes(Lane& lane, std::int64_t blocks, Bytes bytes) {
  Lane::Job job;
  job.setup = context_.descriptor * static_cast<double>(blocks);
  job.bytes = bytes;
  job.rate_limit = context_.rate_limit(context_.block_bytes);
  co_await copy_over(tasks(), lane, std::move(job));
}

// --- store ---

void HostTierConnector::evicted(BlockHash block) {
  if (protocol_.write_back && keeps(block)) just_evicted_.push_back(block);
  evicted_from_device(block);
}

void HostTierConnector::allocated(std::span<const BlockId>, std::int64_t step) {
  for (const BlockHash block : just_evicted_) write_backs_.push_back({step, block});
  just_evicted_.clear();
}

bool HostTierConnector::storing() const {
  return !write_backs_.empty() || !loads_.empty() || rest_ != nullptr;
}

std::vector<TierUse> HostTierConnector::tiers() const {
  TierUse use;
  use.name = "dram";
  use.stored_bytes = (context_.block_bytes * cache_.stores() * context_.ranks).count();
  use.evicted_tokens = cache_.evicted() * context_.block_tokens;
  use.dropped_tokens = cache_.dropped() * context_.block_tokens;
  return {use};
}

}  // namespace kvsim
