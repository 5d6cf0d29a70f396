#include "sim/store/memory_store.hpp"

#include <algorithm>
#include <bit>

namespace kvsim {

namespace {
// Redis keeps a value as a string with a header of up to 17 bytes and a closing zero (sds.h).
constexpr Bytes kHeader{18};
// With threads for the sockets, these parse and the main one executes: assumed equal.
constexpr double kHalf = 0.5;
}  // namespace

Bytes jemalloc_size(Bytes bytes) {
  const auto size = static_cast<std::uint64_t>(std::max<std::int64_t>(1, bytes.count()));
  const int doubling =
      std::max(6, static_cast<int>(std::bit_width(size - 1)));  // 2^doubling holds it
  const std::uint64_t step = std::uint64_t{1} << (doubling - 3);
  return Bytes(static_cast<std::int64_t>((size + step - 1) / step * step));
}

MemoryStore::MemoryStore(const Options& options, const Context& context)
    : StoreBase(context, options.outages),
      options_(options),
      server_(context.host, options.resp,
              context.free_server || context.host.live().drives(LiveLane::kResp)),
      keys_(options.policy, options.samples, stream(context.seed, "store/" + context.name)),
      loop_(context.host, context.name + ".main", "server", 1),
      main_(context.tasks, context.name + ".main", "server", 1),
      io_(context.tasks, context.name + ".io", "cpu",
          static_cast<std::int32_t>(std::max<std::int64_t>(1, options.io_threads - 1))) {}

Bytes MemoryStore::memory_of(Bytes value) const {
  const Bytes bytes = value + kHeader;
  return options_.entry_overhead + (options_.allocator == "exact" ? bytes : jemalloc_size(bytes));
}

Task MemoryStore::run(Command& command) {
  return options_.io_threads == 1 ? on_one_thread(command) : on_io_threads(command);
}

Task MemoryStore::on_one_thread(Command& command) {
  const Seconds began = tasks().now();
  const std::int64_t life = this->life();
  if (command.verb == Verb::kPut) {
    co_await take_in(command);
  } else {
    co_await loop_.compute(server_.handle_time());
  }
  if (life != this->life()) co_return;
  execute(command);
  if (command.answer == Answer::kFound && command.verb == Verb::kGet) co_await send_out(command);
  command.times[Stage::kServer] += tasks().now() - began;
}

Task MemoryStore::take_in(Command& command) {
  const Bytes value = readable(command.bytes);
  const std::int64_t pieces = command.stream != nullptr ? command.stream->pieces() : 1;
  Seconds work = server_.handle_time();
  for (std::int64_t i = 0; i < pieces; ++i) {
    if (command.stream != nullptr) co_await command.stream->left(i);
    work += server_.time_in(value) / static_cast<double>(pieces);
    co_await loop_.copy(work, value / pieces, server_.copies_in(value));
    work = Seconds(0);
  }
}

Task MemoryStore::send_out(Command& command) {
  const std::int64_t pieces = command.stream != nullptr ? command.stream->pieces() : 1;
  if (command.stream != nullptr) command.stream->bytes = command.bytes;
  const Seconds work = server_.time_out(command.bytes) / static_cast<double>(pieces);
  const double copies = server_.copies_out(command.bytes);
  for (std::int64_t i = 0; i < pieces; ++i) {
    co_await loop_.copy(work, command.bytes / pieces, copies);
    if (command.stream != nullptr) command.stream->leave(i);
  }
}

Task MemoryStore::on_io_threads(Command& command) {
  const Seconds began = tasks().now();
  const std::int64_t life = this->life();
  {
    const Hold io = co_await io_.acquire();
    if (life != this->life()) co_return;
    co_await server_.handle(kHalf);
    if (command.verb == Verb::kPut) co_await server_.from_socket(readable(command.bytes));
  }
  {
    const Hold main = co_await main_.acquire();
    if (life != this->life()) co_return;
    co_await server_.handle(kHalf);
    if (command.verb == Verb::kPut) co_await server_.take_from_socket(readable(command.bytes));
    if (life != this->life()) co_return;
    execute(command);
    if (command.answer == Answer::kFound && command.verb == Verb::kGet)
      co_await server_.give_to_socket(command.bytes);
  }
  if (command.answer == Answer::kFound && command.verb == Verb::kGet) {
    const Hold io = co_await io_.acquire();
    co_await server_.to_socket(command.bytes);
  }
  command.times[Stage::kServer] += tasks().now() - began;
}

void MemoryStore::execute(Command& command) {
  const SampledKeys::Entry* entry = keys_.find(command.key);
  switch (command.verb) {
    case Verb::kExists:
    case Verb::kGet:
      if (entry == nullptr) return answer(command, Answer::kMissing);
      command.bytes = entry->value;
      keys_.used(command.key, tasks().now());
      return answer(command, Answer::kFound);
    case Verb::kPut:
      return answer(command, put(command.key, command.bytes) ? Answer::kStored : Answer::kRefused);
    case Verb::kRemove:
      if (entry == nullptr) return answer(command, Answer::kMissing);
      keys_.erase(command.key);
      return answer(command, Answer::kFound);
  }
}

bool MemoryStore::put(StoreKey key, Bytes bytes) {
  const Bytes memory = memory_of(bytes);
  if (bytes > options_.resp.max_value || memory > options_.maxmemory) return false;
  // The new value is in memory before the old one of its key goes.
  while (keys_.memory() + memory > options_.maxmemory) {
    const std::optional<SampledKeys::Entry> victim = keys_.victim(tasks().now());
    if (!victim) return false;
    counts().evicted += victim->value;
    tell_gone(victim->key);
    keys_.erase(victim->key);
  }
  keys_.insert(key, bytes, memory, tasks().now());
  return true;
}

bool MemoryStore::preload(StoreKey key, Bytes bytes) {
  const Bytes memory = memory_of(bytes);
  if (bytes > options_.resp.max_value || keys_.memory() + memory > options_.maxmemory) return false;
  keys_.insert(key, bytes, memory, Seconds(0));
  return true;
}

void MemoryStore::restart(bool warm) {
  if (warm) return;
  keys_.clear();
  tell_cleared();
}

Seconds MemoryStore::estimate_get(Bytes bytes) const { return server_.get_time(bytes); }

StoreUse MemoryStore::use() const {
  StoreUse use = StoreBase::use();
  use.live = keys_.values();
  return use;
}

std::vector<ResourceUse> MemoryStore::resources() const {
  std::vector<ResourceUse> out = {options_.io_threads == 1 ? loop_.use_so_far() : main_.use()};
  if (options_.io_threads > 1) out.push_back(io_.use());
  return out;
}

}  // namespace kvsim
