#include "sim/kv/conn_chunked.hpp"

#include <algorithm>
#include <limits>

namespace kvsim {

ChunkedConnector::Visit& ChunkedConnector::visit_of(const KvSequence& sequence) {
  Visit& visit = visits_[sequence.number];
  if (visit.serial == 0) {
    visit.serial = ++last_visit_;
    visit.sequence = const_cast<KvSequence*>(&sequence);
  }
  return visit;
}

// --- lookup ---

Connector::Match ChunkedConnector::match(const KvSequence& sequence, std::int64_t local_tokens,
                                         std::int64_t limit_tokens) {
  if (protocol_.off || (sequence.preempted && !protocol_.load_preempted)) return {};
  Visit& visit = visit_of(sequence);
  if (!visit.lookup) {
    visit.lookup = std::make_shared<ChunkLookup>();
    visit.lookup->chunks = keys_.between(sequence, 0, limit_tokens / keys_.tokens());
    visit.answered = visit.lookup->chunks.empty();
    if (!visit.answered) tasks().start(look_up(sequence.number, visit.lookup));
  }
  if (!visit.answered) return {.ask_again = true, .pause = protocol_.in_step};
  return found(visit, local_tokens, limit_tokens);
}

Task ChunkedConnector::look_up(std::int64_t number, std::shared_ptr<ChunkLookup> lookup) {
  const Seconds began = tasks().now();
  co_await find(lookup);
  if (lookup->gone) {
    let_go(*lookup);
    co_return;
  }
  Visit& visit = visits_.at(number);
  visit.sequence->lookup_time += tasks().now() - began;
  visit.answered = true;
  std::int64_t chunks = 0;
  for (const std::int64_t here : lookup->by_tier) chunks += here;
  visit.stored = std::max(visit.stored, chunks * keys_.tokens());
  context_.changed();
}

Connector::Match ChunkedConnector::found(Visit& visit, std::int64_t local_tokens,
                                         std::int64_t limit_tokens) {
  std::int64_t chunks = 0;
  for (const std::int64_t here : visit.lookup->by_tier) chunks += here;
  std::int64_t tokens = std::min(chunks * keys_.tokens(), limit_tokens);
  // A step that loads must have something to compute.
  if (protocol_.in_step && tokens == limit_tokens) --tokens;
  if (tokens <= local_tokens) {
    let_go(*visit.lookup);
    return {};
  }
  Match match;
  match.tokens = tokens - local_tokens;
  match.in_step = protocol_.in_step;
  std::int64_t begin = 0;
  for (std::size_t tier = 0; tier < kLowerTiers; ++tier) {
    const std::int64_t end = std::min(begin + visit.lookup->by_tier[tier] * keys_.tokens(), tokens);
    match.by_tier[tier] = std::max<std::int64_t>(0, end - std::max(begin, local_tokens));
    begin = end;
  }
  return match;
}

// --- load ---

void ChunkedConnector::load(KvSequence& sequence, std::int64_t from, std::int64_t to,
                            std::int64_t step) {
  Load load{step, &sequence, visit_of(sequence).lookup, from, to};
  if (protocol_.in_step) {
    loads_.push_back(std::move(load));
  } else {
    tasks().start(run_load(std::move(load)));
  }
}

Task ChunkedConnector::run_load(Load load) {
  // Whole chunks are brought, also where HBM holds their beginning.
  const std::int64_t first = load.from / keys_.tokens();
  const std::int64_t end = groups_of(load.to, keys_.tokens());
  Brought brought;
  brought.ready = first;
  co_await bring(load.lookup, first, end, brought);
  load.sequence->fetched.add(brought.times);
  const std::int64_t valid = std::clamp(brought.ready * keys_.tokens(), load.from, load.to);
  if (valid < load.to) {
    Visit& visit = visits_.at(load.sequence->number);
    visit.stored = std::min(visit.stored, brought.ready * keys_.tokens());
  }
  if (!protocol_.in_step) {
    context_.loaded(*load.sequence, valid);
  } else if (valid < load.to) {
    context_.missed(*load.sequence, valid);
  }
}

bool ChunkedConnector::hold_begin(std::int64_t step, std::function<void()> resume) {
  if (loads_.empty() || loads_.front().step > step) return false;
  std::vector<Load> now;
  for (; !loads_.empty() && loads_.front().step <= step; loads_.pop_front())
    if (!loads_.front().lookup->gone) now.push_back(std::move(loads_.front()));
  tasks().start(load_in_turn(std::move(now), std::move(resume)));
  return true;
}

Task ChunkedConnector::load_in_turn(std::vector<Load> loads, std::function<void()> resume) {
  for (Load& load : loads) co_await run_load(std::move(load));
  resume();
}

// --- store ---

void ChunkedConnector::completed(KvSequence& sequence, std::int64_t full_blocks,
                                 std::int64_t step) {
  if (protocol_.off) return;
  Visit& visit = visit_of(sequence);
  std::int64_t tokens = full_blocks * context_.block_tokens;
  if (!protocol_.store_generated) tokens = std::min(tokens, sequence.prompt_tokens);
  const std::int64_t first = visit.stored / keys_.tokens();
  const std::int64_t last = tokens / keys_.tokens();
  if (first >= last) return;
  visit.stored = last * keys_.tokens();
  ++saving_[visit.serial].left;
  saves_.push_back({step, visit.serial, keys_.between(sequence, first, last)});
}

void ChunkedConnector::step_begins(std::int64_t done) {
  if (protocol_.in_step) {
    if (done < std::numeric_limits<std::int64_t>::max()) return;
    // Nothing computes: what is left belongs to steps that were planned and then had nobody in
    // them.
    for (Save& save : saves_) save.chunks.clear();
  }
  for (; !saves_.empty() && saves_.front().step <= done; saves_.pop_front())
    tasks().start(run_save(std::move(saves_.front())));
}

bool ChunkedConnector::hold_end(std::int64_t step, std::function<void()> resume) {
  if (!protocol_.in_step || saves_.empty() || saves_.front().step > step) return false;
  std::vector<Save> now;
  for (; !saves_.empty() && saves_.front().step <= step; saves_.pop_front())
    now.push_back(std::move(saves_.front()));
  tasks().start(save_in_step(std::move(now), std::move(resume)));
  return true;
}

Task ChunkedConnector::save_in_step(std::vector<Save> saves, std::function<void()> resume) {
  for (Save& save : saves) co_await run_save(std::move(save));
  resume();
}

Task ChunkedConnector::run_save(Save save) {
  co_await this->save(std::move(save.chunks));
  saved(save.serial);
}

void ChunkedConnector::saved(std::int64_t serial) {
  const auto at = saving_.find(serial);
  if (--at->second.left > 0) return;
  const std::function<void()> release = std::move(at->second.release);
  saving_.erase(at);
  if (!release) return;
  release();
  context_.changed();  // free blocks may let somebody in
}

bool ChunkedConnector::storing() const { return !saving_.empty() || !loads_.empty(); }

bool ChunkedConnector::holds(KvSequence& sequence, std::function<void()> release_later) {
  const auto at = visits_.find(sequence.number);
  if (at == visits_.end()) return false;
  const Visit visit = std::move(at->second);
  visits_.erase(at);
  if (visit.lookup) {
    visit.lookup->gone = true;
    if (visit.answered) let_go(*visit.lookup);
  }
  const auto saving = saving_.find(visit.serial);
  if (saving == saving_.end()) return false;
  saving->second.release = std::move(release_later);
  return true;
}

}  // namespace kvsim
