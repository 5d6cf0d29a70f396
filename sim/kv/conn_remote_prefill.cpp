#include "sim/kv/conn_remote_prefill.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/check.hpp"
#include "sim/kv/conn_copy.hpp"

namespace kvsim {

namespace {

// Leading blocks [first, first + count) of both, in runs of neighbours.
std::int64_t runs_of(const std::vector<BlockId>& mine, const std::vector<BlockId>& theirs,
                     std::size_t first, std::size_t count) {
  std::int64_t runs = count > 0 ? 1 : 0;
  for (std::size_t i = first + 1; i < first + count; ++i)
    if (mine[i] != mine[i - 1] + 1 || theirs[i] != theirs[i - 1] + 1) ++runs;
  return runs;
}

Task beside(Task task, Countdown& ends) {
  co_await std::move(task);
  ends.one_less();
}

}  // namespace

RemotePrefillConnector::RemotePrefillConnector(KvTransferHub& hub, std::int32_t replica,
                                               std::unique_ptr<Connector> inner,
                                               const Context& context)
    : hub_(hub),
      replica_(replica),
      inner_(std::move(inner)),
      context_(context),
      tier_(std::min(inner_ ? inner_->tiers().size() : 0, kLowerTiers - 1)),
      timer_(context.tasks.world(), Priority::kDeliver, call<&RemotePrefillConnector::give_up>(),
             this) {}

// --- the decode side ---

Connector::Match RemotePrefillConnector::match(const KvSequence& sequence,
                                               std::int64_t local_tokens,
                                               std::int64_t limit_tokens) {
  if (sequence.remote_number >= 0) {
    const RemotePrefillConnector& source = *hub_.replica(sequence.prefill_replica);
    if (const Held* there = source.held(sequence.remote_number)) {
      Match out;
      out.tokens = std::max<std::int64_t>(0, std::min(there->tokens, limit_tokens) - local_tokens);
      out.by_tier[tier_] = out.tokens;
      return out;
    }
    if (source.expected(sequence.remote_number)) {
      asked_ = true;
      return {.ask_again = true};
    }
  }
  if (inner_ == nullptr) return {};
  return inner_->match(sequence, local_tokens, limit_tokens);
}

void RemotePrefillConnector::load(KvSequence& sequence, std::int64_t from, std::int64_t to,
                                  std::int64_t step) {
  if (sequence.remote_number >= 0) {
    RemotePrefillConnector& source = *hub_.replica(sequence.prefill_replica);
    if (const Held* there = source.held(sequence.remote_number)) {
      Read read{.source = &source,
                .number = sequence.remote_number,
                .source_life = source.life(),
                .from = from,
                .to = to,
                .runs = 0};
      read.runs = runs_of(sequence.blocks, there->blocks,
                          static_cast<std::size_t>(from / context_.block_tokens),
                          static_cast<std::size_t>(blocks_of(read)));
      source.begin_read(read.number);
      return context_.tasks.start(fetch(sequence, read));
    }
  }
  KV_CHECK(inner_ != nullptr);
  inner_->load(sequence, from, to, step);
}

Task RemotePrefillConnector::fetch(KvSequence& sequence, Read read) {
  const Seconds prepare = preparing(*read.source, blocks_of(read), read.runs);
  co_await context_.tasks.sleep(prepare);
  const Seconds began = context_.tasks.now();
  const auto moved = std::make_shared<Signal>(context_.tasks);
  context_.tasks.start(move(read, moved));
  const bool arrived = co_await moved->wait(hub_.options().timeout);
  const bool there = read.source->life() == read.source_life;
  if (there) read.source->end_read(read.number, arrived);
  const bool whole = there && arrived;
  if (!whole) ++failed_;
  sequence.fetched[Stage::kClient] += prepare;
  sequence.fetched[Stage::kNetwork] += context_.tasks.now() - began;
  context_.loaded(sequence, whole ? read.to : read.from);
}

Task RemotePrefillConnector::move(Read read, std::shared_ptr<Signal> moved) {
  if (hub_.options().staged) {
    co_await stage(read);
  } else {
    co_await hub_.move(read.source->replica_, replica_, bytes(read.to - read.from));
  }
  moved->fire();
}

// In pieces small enough that the three legs overlap: the slowest tells the time.
Task RemotePrefillConnector::stage(const Read& read) {
  Tasks& tasks = context_.tasks;
  const std::int64_t blocks = blocks_of(read);
  Countdown legs(tasks, 3);
  const Context& there = read.source->context_;
  Lane::Job out;
  out.bytes = there.block_bytes * blocks;
  Lane::Job in;
  in.bytes = context_.block_bytes * blocks;
  tasks.start(beside(copy_over(tasks, there.to_host, std::move(out)), legs));
  tasks.start(beside(hub_.move(read.source->replica_, replica_, bytes(read.to - read.from)), legs));
  tasks.start(beside(copy_over(tasks, context_.to_device, std::move(in)), legs));
  co_await legs.wait();
}

std::int64_t RemotePrefillConnector::blocks_of(const Read& read) const {
  return groups_of(read.to, context_.block_tokens) - read.from / context_.block_tokens;
}

Bytes RemotePrefillConnector::bytes(std::int64_t tokens) const {
  return context_.block_bytes * (groups_of(tokens, context_.block_tokens) * context_.ranks);
}

Seconds RemotePrefillConnector::preparing(const RemotePrefillConnector& prefill,
                                          std::int64_t tokens) const {
  return preparing(prefill, groups_of(tokens, context_.block_tokens), 1);
}

// With fewer ranks than the prefill replica, each reads parts of a block from several; parts of
// blocks are no neighbours.
Seconds RemotePrefillConnector::preparing(const RemotePrefillConnector& prefill,
                                          std::int64_t blocks, std::int64_t runs) const {
  const KvTransferOptions& options = hub_.options();
  const bool same = context_.one_rank_holds_all || prefill.context_.ranks == context_.ranks;
  const std::int64_t parts = same ? 1 : groups_of(prefill.context_.ranks, context_.ranks);
  const std::int64_t pieces = options.coalesce && same ? runs : blocks;
  const std::int64_t kinds = context_.one_rank_holds_all ? 1 : 2;  // keys and values
  const std::int64_t each = options.granularity == "layer" ? context_.layers * kinds : 1;
  return options.setup + options.descriptor * static_cast<double>(pieces * each * parts);
}

void RemotePrefillConnector::may_know() {
  if (!asked_) return;
  asked_ = false;
  context_.changed();
}

std::string RemotePrefillConnector::mismatch(const RemotePrefillConnector& prefill) const {
  const Context& there = prefill.context_;
  if (there.block_tokens != context_.block_tokens)
    return fmt::format("found blocks of {} and {} tokens; allowed: equal ones", there.block_tokens,
                       context_.block_tokens);
  if (there.model != context_.model)
    return fmt::format("found KV of {} and {}; allowed: equal ones", there.model, context_.model);
  return "";
}

// --- the prefill side ---

bool RemotePrefillConnector::holds(KvSequence& sequence, std::function<void()> release_later) {
  if (!sequence.kept_for_remote || !sequence.finished)
    return inner_ != nullptr && inner_->holds(sequence, std::move(release_later));
  const auto users = std::make_shared<std::int32_t>(2);
  const std::function<void()> one_less = [users, release_later] {
    if (--*users == 0) release_later();
  };
  if (inner_ == nullptr || !inner_->holds(sequence, one_less)) *users = 1;
  const std::int64_t number = sequence.number;
  const Seconds until = context_.tasks.now() + hub_.options().hold_timeout;
  const bool fresh =
      held_.try_emplace(number, Held{sequence.blocks, sequence.prompt_tokens, until, 0, one_less})
          .second;
  KV_CHECK(fresh, "sequence {} ended twice", number);
  expected_.erase(number);
  deadlines_.push_back({until, number});
  if (!timer_.pending()) timer_.set(until);
  hub_.tell_askers();
  return true;
}

const RemotePrefillConnector::Held* RemotePrefillConnector::held(std::int64_t number) const {
  const auto at = held_.find(number);
  return at == held_.end() ? nullptr : &at->second;
}

void RemotePrefillConnector::begin_read(std::int64_t number) { ++held_.at(number).readers; }

void RemotePrefillConnector::end_read(std::int64_t number, bool whole) {
  const auto at = held_.find(number);
  KV_CHECK(at != held_.end(), "sequence {} gone while it was read", number);
  if (--at->second.readers > 0) return;
  const bool late = at->second.until <= context_.tasks.now();
  if (!whole && late) ++given_up_;
  if (whole || late) release(at);
}

void RemotePrefillConnector::cancel(std::int64_t number) {
  const auto at = held_.find(number);
  if (at != held_.end() && at->second.readers == 0) release(at);
  if (expected_.erase(number) > 0) hub_.tell_askers();
}

void RemotePrefillConnector::release(std::unordered_map<std::int64_t, Held>::iterator at) {
  const std::function<void()> release = std::move(at->second.release);
  held_.erase(at);
  if (held_.empty()) {
    deadlines_.clear();
    timer_.cancel();
  }
  release();
  context_.changed();  // somebody may wait for blocks
}

void RemotePrefillConnector::give_up(Seconds now) {
  while (!deadlines_.empty() && deadlines_.front().at <= now) {
    const auto at = held_.find(deadlines_.front().number);
    deadlines_.pop_front();
    if (at == held_.end() || at->second.readers > 0) continue;
    ++given_up_;
    release(at);
  }
  if (!deadlines_.empty()) timer_.set(deadlines_.front().at);
}

void RemotePrefillConnector::crashed() {
  ++life_;
  // The engine gets its blocks back; in order of numbers, whatever the table's.
  std::vector<std::int64_t> numbers;
  for (const auto& [number, held] : held_) numbers.push_back(number);
  std::sort(numbers.begin(), numbers.end());
  for (const std::int64_t number : numbers) held_.at(number).release();
  held_.clear();
  expected_.clear();
  deadlines_.clear();
  timer_.cancel();
  asked_ = false;
  if (inner_ != nullptr) inner_->crashed();
  hub_.tell_askers();
}

// --- what the inner connector does alone ---

void RemotePrefillConnector::completed(KvSequence& sequence, std::int64_t full_blocks,
                                       std::int64_t step) {
  if (inner_ != nullptr) inner_->completed(sequence, full_blocks, step);
}

void RemotePrefillConnector::allocated(std::span<const BlockId> blocks, std::int64_t step) {
  if (inner_ != nullptr) inner_->allocated(blocks, step);
}

bool RemotePrefillConnector::stores_generated() const {
  return inner_ != nullptr && inner_->stores_generated();
}

void RemotePrefillConnector::step_begins(std::int64_t done) {
  if (inner_ != nullptr) inner_->step_begins(done);
}

bool RemotePrefillConnector::storing() const { return inner_ != nullptr && inner_->storing(); }

bool RemotePrefillConnector::hold_begin(std::int64_t step, std::function<void()> resume) {
  return inner_ != nullptr && inner_->hold_begin(step, std::move(resume));
}

bool RemotePrefillConnector::hold_end(std::int64_t step, std::function<void()> resume) {
  return inner_ != nullptr && inner_->hold_end(step, std::move(resume));
}

std::vector<TierUse> RemotePrefillConnector::tiers() const {
  std::vector<TierUse> out;
  if (inner_ != nullptr) out = inner_->tiers();
  if (out.size() <= tier_) out.push_back({.name = kRemotePrefillTier});
  out[tier_].failed_loads += failed_;
  return out;
}

void RemotePrefillConnector::add_listener(std::size_t tier, BlockListener* listener) {
  if (inner_ != nullptr && tier < inner_->tiers().size()) inner_->add_listener(tier, listener);
}

std::int64_t RemotePrefillConnector::told_blocks(std::size_t tier) const {
  if (inner_ == nullptr || tier >= inner_->tiers().size()) return 0;
  return inner_->told_blocks(tier);
}

Bytes RemotePrefillConnector::dram() const { return inner_ ? inner_->dram() : Bytes(0); }

std::vector<ResourceUse> RemotePrefillConnector::resources() const {
  if (inner_ == nullptr) return {};
  return inner_->resources();
}

std::vector<std::string> RemotePrefillConnector::warnings() const {
  std::vector<std::string> out;
  if (inner_ != nullptr) out = inner_->warnings();
  if (given_up_ > 0)
    out.push_back(fmt::format("{}: KV of {} prompts was never read by a decode replica",
                              context_.name, given_up_));
  return out;
}

}  // namespace kvsim
