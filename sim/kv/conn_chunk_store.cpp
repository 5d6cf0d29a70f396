#include "sim/kv/conn_chunk_store.hpp"

#include <algorithm>

#include "sim/base/rng.hpp"

namespace kvsim {

// Commands of one operation, in groups that travel together. Outlives who gave up on it.
struct ChunkStore::Batch {
  struct Group {
    std::vector<Command> commands;
    Seconds waited{0};
    std::unique_ptr<Signal> done;
  };
  std::vector<Group> groups;
  bool given_up = false;
};

ChunkStore::ChunkStore(Tasks& tasks, const std::string& name, const ChunkStoreOptions& options,
                       Way reads, Way writes)
    : tasks_(tasks), options_(options) {
  const auto lane = [&](Way way, const char* what) {
    const auto slots = static_cast<std::int32_t>(way.in_flight);
    return Lane{std::move(way), std::make_unique<Threads>(tasks, name + what, "slots", slots)};
  };
  reads_ = lane(std::move(reads), ".reads");
  writes_ = lane(std::move(writes), ".writes");
}

bool ChunkStore::bypass() {
  if (healthy()) return false;
  ++bypassed_;
  return true;
}

void ChunkStore::fail() {
  ++failed_;
  unhealthy_until_ = tasks_.now() + options_.reconnect;
}

Task ChunkStore::lookup(std::vector<ChunkPart> chunks, std::int64_t& found) {
  found = 0;
  if (chunks.empty() || bypass()) co_return;
  const auto batch = begin(Verb::kExists, chunks, reads_);
  co_await finish(batch, options_.lookup_timeout);
  if (!batch->given_up) found = leading(*batch, Answer::kFound);
}

Task ChunkStore::fetch(std::vector<ChunkPart> chunks, std::int64_t& fetched, StageTimes& times) {
  fetched = 0;
  if (chunks.empty() || bypass()) co_return;
  const auto batch = begin(Verb::kGet, chunks, reads_);
  co_await finish(batch, options_.timeout);
  fetched = leading(*batch, Answer::kFound);
  const bool short_of = fetched < static_cast<std::int64_t>(chunks.size());
  if (short_of && !batch->given_up) ++failed_;  // gone since the lookup
  for (const Batch::Group& group : batch->groups) {
    times[Stage::kClient] += group.waited;
    for (const Command& command : group.commands) times.add(command.times);
  }
}

Task ChunkStore::put(std::vector<ChunkPart> chunks) {
  if (chunks.empty() || bypass()) co_return;
  const auto batch = begin(Verb::kPut, chunks, writes_);
  co_await finish(batch, options_.timeout);
  for (const Batch::Group& group : batch->groups)
    for (const Command& command : group.commands)
      if (command.answer == Answer::kStored) stored_ += command.bytes;
}

std::shared_ptr<ChunkStore::Batch> ChunkStore::begin(Verb verb,
                                                     const std::vector<ChunkPart>& chunks,
                                                     Lane& lane) {
  auto batch = std::make_shared<Batch>();
  const auto together = static_cast<std::size_t>(std::max<std::int64_t>(1, lane.way.together));
  for (const ChunkPart& chunk : chunks) {
    for (std::int64_t rank = 0; rank < options_.ranks; ++rank) {
      if (batch->groups.empty() || batch->groups.back().commands.size() == together)
        batch->groups.push_back({{}, Seconds(0), std::make_unique<Signal>(tasks_)});
      Command command;
      command.verb = verb;
      command.key = mix64(chunk.key + static_cast<std::uint64_t>(rank) * 0x632be59bd9b4e019ULL);
      if (verb == Verb::kPut) {
        command.bytes = Bytes(static_cast<std::int64_t>(chunk.bytes.real() / options_.ratio));
        command.content = {chunk.chain, chunk.tokens};
      }
      batch->groups.back().commands.push_back(command);
    }
  }
  for (std::size_t i = 0; i < batch->groups.size(); ++i) tasks_.start(carry(lane, batch, i));
  return batch;
}

Task ChunkStore::carry(Lane& lane, std::shared_ptr<Batch> batch, std::size_t group) {
  Batch::Group& own = batch->groups[group];
  const Seconds entered = tasks_.now();
  const Hold slot = co_await lane.slots->acquire();
  own.waited = tasks_.now() - entered;
  if (batch->given_up) co_return;
  co_await lane.way.carry(own.commands);
  own.done->fire();
}

Task ChunkStore::finish(std::shared_ptr<Batch> batch, Seconds timeout) {
  for (const Batch::Group& group : batch->groups) {
    const bool in_time = co_await group.done->wait(timeout);
    batch->given_up =
        !in_time || std::any_of(group.commands.begin(), group.commands.end(),
                                [](const Command& c) { return c.answer == Answer::kFailed; });
    if (!batch->given_up) continue;
    fail();
    break;
  }
}

std::int64_t ChunkStore::leading(const Batch& batch, Answer answer) const {
  std::int64_t parts = 0;
  for (const Batch::Group& group : batch.groups) {
    for (const Command& command : group.commands) {
      if (!group.done->fired() || command.answer != answer) return parts / options_.ranks;
      ++parts;
    }
  }
  return parts / options_.ranks;
}

}  // namespace kvsim
