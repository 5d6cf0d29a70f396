// Copies between buffers in this machine's memory: what one thread's memcpy does, what all together
// do, and what pages cost that were never touched before.
//
// "copy" goes through buffers that are larger than the last-level cache, those of as many callers
// together as have a core at a time, so that source and destination are cold; their pages were
// touched before. "copy/fresh" copies into pages that it gets from the system and gives back, as a
// buffer made for one value does. "copy/numa-A-B" is "copy" by a core of node A, into memory of
// node B. Copies shorter than a scheduler's slice are timed by the batch (batch.hpp).
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <span>
#include <utility>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/probe/batch.hpp"
#include "sim/probe/bench.hpp"
#include "sim/probe/kv_bytes.hpp"
#include "sim/probe/machine.hpp"

namespace kvsim {
namespace {

constexpr const char* kFresh = "copy/fresh";

// Pages of its own, not touched yet.
class Pages {
 public:
  explicit Pages(std::size_t bytes)
      : bytes_(bytes),
        start_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (start_ == MAP_FAILED)
      throw EnvironmentError(
          fmt::format("cannot get {} bytes of memory: {}", bytes, std::strerror(errno)));
  }
  Pages(Pages&& other) noexcept
      : bytes_(other.bytes_), start_(std::exchange(other.start_, MAP_FAILED)) {}
  Pages& operator=(Pages&&) = delete;
  ~Pages() {
    if (start_ != MAP_FAILED) munmap(start_, bytes_);
  }
  [[nodiscard]] std::byte* at(std::size_t offset) const {
    return static_cast<std::byte*>(start_) + offset;
  }
  [[nodiscard]] std::span<std::byte> all() const { return {at(0), bytes_}; }

 private:
  std::size_t bytes_;
  void* start_;
};

// One caller's buffers, through which it goes round and round.
class Window {
 public:
  Window(Pages from, Pages to, std::size_t bytes, std::size_t each)
      : from_(std::move(from)), to_(std::move(to)), bytes_(bytes), each_(each) {}

  void copy() {
    step();
    std::memcpy(to_.at(at_), from_.at(at_), each_);
  }
  void copy_fresh() {
    step();
    const Pages fresh(each_);
    std::memcpy(fresh.at(0), from_.at(at_), each_);
    intact_ = intact_ && *fresh.at(each_ - 1) == *from_.at(at_ + each_ - 1);
  }
  // What was copied last is there.
  [[nodiscard]] bool intact(bool fresh) const {
    return intact_ && (fresh || std::memcmp(to_.at(at_), from_.at(at_), each_) == 0);
  }

 private:
  void step() { at_ = at_ + 2 * each_ > bytes_ ? 0 : at_ + each_; }
  Pages from_;
  Pages to_;
  std::size_t bytes_;
  std::size_t each_;
  std::size_t at_ = 0;
  bool intact_ = true;
};

// Where the threads and the destination are; the source is with the threads.
struct Placing {
  std::vector<int> threads;
  std::vector<int> memory;
};

class HostCopyBench final : public Bench {
 public:
  struct Options {
    Bytes cold{0};
    template <class F>
    void fields(F& f) {
      f.optional(
          "cold_bytes", cold, Range{0, 1e12},
          "Buffers of callers that run at a time. Default: 0 = four times the largest cache.");
    }
  };
  HostCopyBench(const Options& options, const Context&)
      : cold_(options.cold > Bytes(0) ? options.cold : last_level_cache() * 4),
        cores_(usable_cores()),
        nodes_(memory_nodes()) {}

  std::vector<std::string> operations() const override {
    std::vector<std::string> out = {"copy", kFresh};
    if (nodes_.size() < 2) return out;
    for (const MemoryNode& from : nodes_)
      for (const MemoryNode& to : nodes_)
        out.push_back(fmt::format("copy/numa-{}-{}", from.number, to.number));
    return out;
  }

  Json identity() const override {
    return {{"processor", processor_name()},
            {"cores", cores_},
            {"largest_cache_bytes", last_level_cache().count()},
            {"numa_nodes", nodes_.size()}};
  }

  Bytes needs(const BenchOperation&) const override { return Bytes(0); }

  Sample measure(const BenchOperation& operation, const Patience& patience) override {
    const Placing placing = place(operation);
    const bool fresh = operation.name == kFresh;
    std::deque<Window> windows;
    make_windows(operation, placing, windows);
    const Seconds span = batch_span(operation.at_once, cores_);
    CoreTime core_time;
    Sample sample = kvsim::measure(operation, patience, [&](std::int64_t caller) {
      if (!placing.threads.empty()) pin_to(placing.threads);
      Window& window = windows[static_cast<std::size_t>(caller)];
      return mean_of_batch(span, core_time, [&] { fresh ? window.copy_fresh() : window.copy(); });
    });
    core_time.add_to(sample);
    for (const Window& window : windows)
      if (!window.intact(fresh))
        throw EnvironmentError(operation.name + ": copied bytes differ from their source");
    sample.extra.emplace_back("cores", static_cast<double>(cores_));
    return sample;
  }

 private:
  [[nodiscard]] Placing place(const BenchOperation& operation) const {
    if (operation.name == "copy" || operation.name == kFresh) return {};
    for (const MemoryNode& from : nodes_)
      for (const MemoryNode& to : nodes_)
        if (operation.name == fmt::format("copy/numa-{}-{}", from.number, to.number))
          return {from.cpus, to.cpus};
    throw EnvironmentError(fmt::format("host_copy: found operation {}; allowed here: {}",
                                       operation.name, join_names(operations())));
  }

  void make_windows(const BenchOperation& operation, const Placing& placing,
                    std::deque<Window>& out) const {
    const auto each = static_cast<std::size_t>(operation.bytes.count());
    const auto share =
        static_cast<std::size_t>(cold_.count() / 2 / std::min(operation.at_once, cores_));
    const std::size_t bytes = std::max(each, share / each * each);
    const double needed = 2.0 * static_cast<double>(bytes) * static_cast<double>(operation.at_once);
    constexpr double kMost = 0.8;
    if (needed > kMost * available_memory().real())
      throw EnvironmentError(fmt::format(
          "{} of {} bytes by {} callers: needs {:.3g} GB of memory; available: {:.3g} GB",
          operation.name, each, operation.at_once, needed / 1e9, available_memory().real() / 1e9));
    const std::vector<int> allowed = allowed_cpus();
    for (std::int64_t caller = 0; caller < operation.at_once; ++caller) {
      if (!placing.threads.empty()) pin_to(placing.threads);
      Pages from(bytes);
      fill_kv_bytes(from.all(), "bf16", static_cast<std::uint64_t>(caller));
      if (!placing.memory.empty()) pin_to(placing.memory);
      Pages to(bytes);
      if (operation.name != kFresh) std::memset(to.at(0), 0, bytes);
      out.emplace_back(std::move(from), std::move(to), bytes, each);
    }
    if (!placing.threads.empty()) pin_to(allowed);
  }

  Bytes cold_;
  std::int64_t cores_;
  std::vector<MemoryNode> nodes_;
};

const Register<Bench, HostCopyBench> kRegistered("host_copy",
                                                 "memcpy between buffers in main memory.");

}  // namespace
}  // namespace kvsim
