// What lies below a connector: something that keeps values under keys, in a process of its own or
// on files. This is the server's side; sim/store/store_client.hpp is the client's.
//
// A store is a state machine in simulated time: an operation holds one of its threads, spends time
// on its host's cores, memory and disks, and answers. Background work (flushes, compactions,
// evictions) goes on beside it and competes for the same.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "sim/des/lane.hpp"
#include "sim/des/tasks.hpp"
#include "sim/des/waiting.hpp"
#include "sim/store/host.hpp"

namespace kvsim {

using StoreKey = std::uint64_t;

enum class Verb : std::uint8_t { kExists, kGet, kPut, kRemove };

enum class Answer : std::uint8_t {
  kNone,     // not answered
  kFound,    // kExists, kGet
  kMissing,  // kExists, kGet, kRemove
  kStored,   // kPut
  kRefused,  // kPut: no room, or too large; nothing changed
  kFailed,   // the store is dead, or it lost the connection
};

// Where the time of fetching KV goes.
enum class Stage : std::uint8_t {
  kClient,   // the client's threads: queueing for them, serialising, copies
  kNetwork,  // between client and store
  kServer,   // the store's threads: queueing for them, parsing, copies
  kDisk,     // reads and waits for the device
  kCodec,    // decompressing, unpacking
  kCopy,     // between DRAM and HBM
  kCount
};
constexpr std::size_t kStages = static_cast<std::size_t>(Stage::kCount);
constexpr std::array<const char*, kStages> kStageNames = {"client", "network", "server",
                                                          "disk",   "codec",   "copy"};

// Seconds by stage. What runs side by side is counted for each, so the sum may exceed the time that
// passed: split_over() scales it to what passed.
struct StageTimes {
  std::array<Seconds, kStages> seconds{};
  Seconds& operator[](Stage stage) { return seconds[static_cast<std::size_t>(stage)]; }
  void add(const StageTimes& other);
  // The same proportions, adding up to `elapsed`.
  [[nodiscard]] StageTimes split_over(Seconds elapsed) const;
};

// A value on its way while both ends work on it, in pieces: what has left the one may be taken by
// the other.
class ValueStream {
 public:
  ValueStream(Tasks& tasks, std::int64_t pieces) {
    for (std::int64_t i = 0; i < pieces; ++i) left_.emplace_back(tasks);
  }
  [[nodiscard]] std::int64_t pieces() const { return static_cast<std::int64_t>(left_.size()); }
  // The index-th has left.
  void leave(std::int64_t index) { left_[static_cast<std::size_t>(index)].fire(); }
  void leave_all() {
    for (Signal& piece : left_) piece.fire();
  }
  auto left(std::int64_t index) { return left_[static_cast<std::size_t>(index)].wait(); }
  Bytes bytes{0};  // of the value; known when the first has left

 private:
  std::deque<Signal> left_;
};

// What a value is, for who watches: which KV, by the chain hash of its last token's block.
struct StoreContent {
  std::uint64_t name = 0;  // 0 = not KV, or not told
  std::int64_t tokens = 0;
};

struct Command {
  Verb verb = Verb::kGet;
  StoreKey key = 0;
  Bytes bytes{0};               // of the value, for kGet filled in by the store
  std::int64_t connection = 0;  // of which client: a server may pin connections to threads
  Answer answer = Answer::kNone;
  StoreContent content;  // of a kPut; no store looks at it
  StageTimes times;
  ValueStream* stream = nullptr;  // of a client that streams the value, while it waits
};

// What a store holds and did, for the summary.
struct StoreUse {
  Bytes live{0};     // values that can be read
  Bytes stored{0};   // taken in from clients
  Bytes evicted{0};  // dropped to make room
  Bytes refused{0};
  std::int64_t gets = 0;
  std::int64_t hits = 0;
  std::int64_t puts = 0;
  double write_amplification = 0;  // bytes written to disk per byte taken in; 0 = no disk
};

// Hears what a store holds. What was put there before time started is not told.
class StoreListener {
 public:
  virtual ~StoreListener() = default;
  // A put has been answered; again for a key: in the place of the value before it.
  virtual void stored(const Command& put) = 0;
  virtual void read(StoreKey key) = 0;
  // Evicted, removed.
  virtual void gone(StoreKey key) = 0;
  virtual void cleared() = 0;
};

class Store {
 public:
  static constexpr const char* kPlugin = "store";
  struct Context {
    Tasks& tasks;
    Host& host;
    std::string name;
    bool deterministic = true;
    std::uint64_t seed = 1;
    // What-if: these are free.
    bool free_server = false;
    bool free_disk = false;
  };

  virtual ~Store() = default;
  // The command's bytes have arrived; comes back with its answer, when the reply is complete in the
  // server (what it spends on sending it included). The command outlives the call.
  [[nodiscard]] virtual Task serve(Command& command) = 0;
  // Whether a get would find it: for tests and estimates, no time.
  [[nodiscard]] virtual bool contains(StoreKey key) const = 0;
  // Puts a value there before time starts. False when there is no room.
  virtual bool preload(StoreKey key, Bytes bytes) = 0;
  // A restart: a cold one forgets everything that is not on disk; warm is as it was.
  virtual void restart(bool warm) = 0;
  // The process is away from now on, and back: as it was, or with what was on disk only.
  virtual void go_down() = 0;
  virtual void come_up(bool warm) = 0;
  // DRAM that the process takes on its host.
  [[nodiscard]] virtual Bytes dram() const = 0;
  // Takes values in and sends them while the client works on them: looks at Command::stream.
  [[nodiscard]] virtual bool streams() const { return false; }
  // Predicted, not spent: server seconds and disk seconds to serve a get of this size.
  [[nodiscard]] virtual Seconds estimate_get(Bytes bytes) const = 0;
  // True for an in-process library or a file system: on its own machine no round trip away.
  [[nodiscard]] virtual bool local() const { return false; }
  // A live RESP server can stand for its front.
  [[nodiscard]] virtual bool speaks_resp() const { return false; }
  [[nodiscard]] virtual StoreUse use() const = 0;
  // One more who hears. Not owned.
  virtual void add_listener(StoreListener* listener) = 0;
  [[nodiscard]] virtual std::vector<ResourceUse> resources() const = 0;
};

}  // namespace kvsim
