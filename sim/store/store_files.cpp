// One file a value in a directory of a disk: what LMCache's local disk backend and vLLM's file
// system tier do, inside the process that uses it. No server, no protocol.
//
// Source: spec/vllm.md section 9 (a file per chunk, 16 threads to read and 16 to write, O_DIRECT if
// possible, temporary file and rename) and spec/lmcache.md section 4. `index`: "files", a key is
// there when its file is; "memory", a table of the process knows, and after a restart the files
// are still there, take room, and nobody knows them (LMCache).
// CPU of the file system's calls is assumed. Left out: its directories, metadata and journal.
#include <fmt/format.h>

#include <optional>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/store/byte_cache.hpp"
#include "sim/store/page_cache.hpp"
#include "sim/store/store_base.hpp"
#include "sim/store/write_back.hpp"

namespace kvsim {
namespace {

constexpr Bytes kPage{4096};
constexpr Bytes kWriteBackPiece{8LL << 20};

class Files final : public StoreBase {
 public:
  struct Options {
    std::string disk;
    std::string io = "direct";
    std::string index = "files";
    std::string eviction = "none";
    Bytes capacity{0};
    std::int64_t read_threads = 16;
    std::int64_t write_threads = 16;
    std::optional<Bytes> page_cache;
    double buffered_read = 0.65;
    Seconds look_up{2e-6};
    Seconds open{20e-6};
    OutageOptions outages;
    template <class F>
    void fields(F& f) {
      f.required("disk", disk, "Which disk of the host holds the files.");
      f.choice("io", io, {"direct", "buffered"},
               "Past the page cache (O_DIRECT), or through it with a copy.");
      f.choice("index", index, {"files", "memory"},
               "A key is there when its file is, or when the process remembers it.");
      f.choice("eviction", eviction, {"none", "lru"}, "Which files go when it is full.");
      f.optional("capacity_bytes", capacity, Range{0, 1e16}, "Of values; 0 = the disk's.");
      f.optional("read_threads", read_threads, Range{1, 4096}, "Reads at a time.");
      f.optional("write_threads", write_threads, Range{1, 4096}, "Writes at a time.");
      f.optional("page_cache_bytes", page_cache, Range{0, 1e15},
                 "The kernel's cache of these files. Default: what is left of the host's DRAM.");
      f.optional("buffered_read_share", buffered_read, Range{0.01, 1},
                 "Of the device's rate, what one buffered read reaches: 0.5 to 0.8; assumed.");
      f.optional("look_up_s", look_up, Range{0, 1}, "CPU to see whether a file is there; assumed.");
      f.optional("open_s", open, Range{0, 1},
                 "CPU of opening and closing, or creating and renaming; assumed.");
      outages.fields(f);
    }
  };
  Files(const Options& options, const Context& context);

  bool contains(StoreKey key) const override { return files_.contains(key); }
  bool preload(StoreKey key, Bytes bytes) override;
  void restart(bool warm) override {
    if (warm || options_.index != "memory") return;
    files_.clear();
    tell_cleared();
  }
  Bytes dram() const override { return Bytes(0); }
  Seconds estimate_get(Bytes bytes) const override;
  bool local() const override { return true; }
  StoreUse use() const override;
  std::vector<ResourceUse> resources() const override { return {readers_.use(), writers_.use()}; }

 private:
  Task run(Command& command) override;
  Task put(Command& command, std::int64_t life);
  Task get(Command& command);
  Task read(StoreKey key, Bytes bytes, Seconds& disk);
  Task write(StoreKey key, Bytes bytes, Seconds& disk);
  Task work(Seconds time) {
    if (!context().free_server) co_await host().compute(time);
  }
  void settle();
  bool make_room(Bytes bytes);
  void unlink(StoreKey key);
  static Bytes on_disk(Bytes bytes) {
    return Bytes(groups_of(bytes.count(), kPage.count()) * kPage.count());
  }
  [[nodiscard]] bool direct() const { return options_.io == "direct"; }

  Options options_;
  Disk* disk_;
  ByteCache files_;  // by use; its own limit is none
  PageCache pages_;
  std::optional<WriteBack> dirty_;
  Threads readers_;
  Threads writers_;
  Bytes writing_{0};  // room promised to files under way
  Bytes written_{0};  // to the disk
  bool settled_ = false;
};

Files::Files(const Options& options, const Context& context)
    : StoreBase(context, options.outages),
      options_(options),
      disk_(context.host.disk(options.disk)),
      files_(Bytes(INT64_MAX / 2)),
      readers_(context.tasks, context.name + ".readers", "io",
               static_cast<std::int32_t>(options.read_threads)),
      writers_(context.tasks, context.name + ".writers", "io",
               static_cast<std::int32_t>(options.write_threads)) {
  if (disk_ == nullptr)
    throw ConfigError(fmt::format("store {}: disk: found \"{}\"; allowed: a disk of {}: one of {}",
                                  context.name, options.disk, context.host.name(),
                                  join_names(context.host.disk_names())));
  dirty_.emplace(context.tasks, *disk_, kWriteBackPiece);
}

// What is left of the DRAM is known when all others have taken theirs.
void Files::settle() {
  if (settled_) return;
  settled_ = true;
  pages_.set_capacity(direct() ? Bytes(0) : options_.page_cache.value_or(host().dram().left()));
  if (pages_.capacity() > Bytes(0)) dirty_->set_limit(pages_.capacity() / 5);
}

Task Files::run(Command& command) {
  settle();
  const Seconds began = tasks().now();
  const std::int64_t life = this->life();
  const Seconds disk_before = command.times[Stage::kDisk];
  if (command.verb == Verb::kPut) {
    co_await put(command, life);
  } else if (command.verb == Verb::kGet) {
    co_await get(command);
  } else {
    co_await work(options_.look_up);
    const auto file = files_.find(command.key);
    if (file) command.bytes = file->bytes;
    if (file && command.verb == Verb::kRemove) unlink(command.key);
    answer(command, file ? Answer::kFound : Answer::kMissing);
  }
  const Seconds disk = command.times[Stage::kDisk] - disk_before;
  command.times[Stage::kServer] += tasks().now() - began - disk;
}

Task Files::put(Command& command, std::int64_t life) {
  const Hold writer = co_await writers_.acquire();
  if (life != this->life()) co_return;
  co_await work(options_.open);
  const Bytes bytes = command.bytes;
  if (!make_room(bytes)) {
    answer(command, Answer::kRefused);
    co_return;
  }
  writing_ += bytes;
  co_await write(command.key, bytes, command.times[Stage::kDisk]);
  writing_ -= bytes;
  if (life != this->life()) {
    disk_->give_space(on_disk(bytes));  // a temporary file, deleted
    co_return;
  }
  // Renamed: it takes the place of one of that name.
  unlink(command.key);
  files_.insert({command.key, 0, bytes});
  if (!direct()) pages_.read(0, command.key, bytes);
  answer(command, Answer::kStored);
}

Task Files::get(Command& command) {
  const std::int64_t life = this->life();
  const Hold reader = co_await readers_.acquire();
  if (life != this->life()) co_return;
  const auto file = files_.find(command.key);
  co_await work(file ? options_.open : options_.look_up);
  if (!file) {
    answer(command, Answer::kMissing);
    co_return;
  }
  command.bytes = file->bytes;
  files_.touch(command.key);
  co_await read(command.key, file->bytes, command.times[Stage::kDisk]);
  if (life == this->life()) answer(command, Answer::kFound);
}

Task Files::read(StoreKey key, Bytes bytes, Seconds& disk) {
  const Seconds began = tasks().now();
  const std::uint64_t position = mix64(key) >> 16;
  if (direct()) {
    if (!context().free_disk) co_await disk_->io({.bytes = bytes, .position = position});
    disk += tasks().now() - began;
    co_return;
  }
  if (!pages_.touch(0, key, bytes)) {
    const Bandwidth most(disk_->rate(false).count() * options_.buffered_read);
    if (!context().free_disk)
      co_await disk_->io({.bytes = bytes, .position = position, .most = most});
    disk += tasks().now() - began;
    pages_.read(0, key, bytes);
  }
  if (!context().free_server) co_await host().copy(bytes, 1);
}

Task Files::write(StoreKey key, Bytes bytes, Seconds& disk) {
  written_ += bytes;
  if (direct()) {
    const Seconds began = tasks().now();
    if (!context().free_disk)
      co_await disk_->io({.write = true, .bytes = bytes, .position = mix64(key) >> 16});
    disk += tasks().now() - began;
    co_return;
  }
  co_await dirty_->room(disk);
  if (!context().free_server) co_await host().copy(bytes, 1);
  if (!context().free_disk) dirty_->add(bytes);
}

bool Files::make_room(Bytes bytes) {
  const auto fits = [&] {
    return options_.capacity == Bytes(0) || files_.bytes() + writing_ + bytes <= options_.capacity;
  };
  if (options_.capacity > Bytes(0) && bytes > options_.capacity) return false;
  if (bytes > disk_->use().capacity) return false;
  const bool evicts = options_.eviction == "lru";
  while (!fits() || !disk_->take_space(on_disk(bytes))) {
    const auto oldest = files_.oldest();
    if (!evicts || !oldest) return false;
    counts().evicted += oldest->bytes;
    tell_gone(oldest->key);
    unlink(oldest->key);
  }
  return true;
}

void Files::unlink(StoreKey key) {
  const auto file = files_.erase(key);
  if (!file) return;
  disk_->give_space(on_disk(file->bytes));
  pages_.forget(0, key);
}

bool Files::preload(StoreKey key, Bytes bytes) {
  if (options_.capacity > Bytes(0) && files_.bytes() + bytes > options_.capacity) return false;
  if (!disk_->take_space(on_disk(bytes))) return false;
  unlink(key);
  files_.insert({key, 0, bytes});
  return true;
}

Seconds Files::estimate_get(Bytes bytes) const {
  Seconds time{0};
  if (!context().free_server) time += options_.open + host().copy_time(bytes, direct() ? 0 : 1);
  const double share = direct() ? 1 : options_.buffered_read;
  const double cached = files_.bytes() > pages_.capacity()
                            ? pages_.capacity().real() / files_.bytes().real()
                            : (direct() ? 0 : 1);
  if (!context().free_disk)
    time += bytes / Bandwidth(disk_->rate(false).count() * share) * (1 - cached);
  return time;
}

StoreUse Files::use() const {
  StoreUse use = StoreBase::use();
  use.live = files_.bytes();
  if (use.stored > Bytes(0)) use.write_amplification = written_.real() / use.stored.real();
  return use;
}

const Register<Store, Files> kRegistered(
    "files", "One file a value on a disk of the host, in the process that uses it.");

}  // namespace
}  // namespace kvsim
