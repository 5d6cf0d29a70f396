// Reads and writes of a disk: whole requests of one size at random places of a file of its own, so
// many in flight (at_once). One submitter with io_uring and O_DIRECT; where the kernel forbids
// io_uring, one thread a request; where the file system refuses O_DIRECT, through the page cache,
// of which the file's pages are dropped before each read. identity() says which.
//
//   read, write            requests of `bytes` (rounded up to whole blocks of 4 KiB)
//   mix/70                 so many of a hundred are reads; extra: the median of each kind
//   read/value, write/value   one blocking call of a thread for a whole value: the kernel cuts it
//   write/sustained        writes until the rate falls, `bytes` are written or a minute is over
//
// Every file is written once and synced before, data come back as they went (some blocks of each
// request are looked at), and a device is only ever read. What a device or a hypervisor caches of a
// file so small is measured as the disk: choose file_bytes above it where that matters.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/probe/bench.hpp"
#include "sim/probe/bench_disk_identity.hpp"
#include "sim/probe/bench_disk_submitter.hpp"
#include "sim/probe/bench_disk_sustained.hpp"

namespace kvsim {

namespace {

struct DiskBenchOptions {
  std::vector<std::string> folders;
  std::string device;
  Bytes file{1'073'741'824};
  Bytes chunk{524'288};
  std::string queue = "auto";

  template <class F>
  void fields(F& f) {
    f.optional("folders", folders,
               "Where its files lie, striped over all of them; empty = the scratch folder.");
    f.optional("device", device, "A block device to read instead; it is never written.");
    f.optional("file_bytes", file, Range{1 << 20, 1e15}, "Size of its files together.");
    f.optional("chunk_bytes", chunk, Range{4096, 1e9}, "Stripe over several folders.");
    f.choice("queue", queue, {"auto", "io_uring", "threads"},
             "How requests get in flight; auto = io_uring where it is allowed.");
    if constexpr (std::same_as<F, FieldReader>)
      if (chunk.count() % static_cast<std::int64_t>(DiskFile::kBlock) != 0)
        throw ConfigError(fmt::format("chunk_bytes: found {}; allowed: whole blocks of {}",
                                      chunk.count(), DiskFile::kBlock));
  }
};

std::size_t whole_blocks(Bytes bytes) {
  constexpr auto kBlock = static_cast<std::int64_t>(DiskFile::kBlock);
  return static_cast<std::size_t>(std::max(groups_of(bytes.count(), kBlock) * kBlock, kBlock));
}

// Share of reads among the requests of an operation; below 0 when there is no such operation.
double reads_of(const std::string& name) {
  if (name == "read" || name == "read/value") return 1;
  if (name == "write" || name == "write/value" || name == "write/sustained") return 0;
  if (!name.starts_with("mix/")) return -1;
  int percent = -1;
  const char* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data() + 4, end, percent);
  return error == std::errc() && at == end && percent >= 0 && percent <= 100 ? percent / 100.0 : -1;
}

// Random requests, and where they are done.
class Traffic {
 public:
  Traffic(DiskFile& file, const BenchOperation& operation, std::uint64_t caller)
      : rng_(stream(caller, "probe/disk/" + operation.name)),
        reads_(reads_of(operation.name)),
        bytes_(whole_blocks(operation.bytes)),
        places_(static_cast<std::uint64_t>(file.bytes().count()) / bytes_) {}
  DiskSubmitter::Request next() {
    return {.write = rng_.uniform() >= reads_, .position = rng_.below(places_) * bytes_};
  }

 private:
  Rng rng_;
  double reads_;
  std::uint64_t bytes_;
  std::uint64_t places_;
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Times of one submitter until they are stable; as measure(), for requests instead of callers.
class QueueTimes {
 public:
  QueueTimes(const BenchOperation& operation, const Patience& patience)
      : operation_(operation), patience_(patience) {}

  // False: enough.
  bool add(bool write, Seconds now, Seconds took) {
    if (!counting_) {
      ++warm_;
      if (now < patience_.warm_up || warm_ < 2 * operation_.at_once) return true;
      counting_ = true;
      began_ = now;
      look_ = now + patience_.least;
      return true;
    }
    if (stopped_) return false;
    times_.push_back(took.count());
    by_kind_[write ? 1 : 0].push_back(took.count());
    if (now < look_) return true;
    // Looking costs time that requests wait for: seldom.
    constexpr double kLater = 0.3;
    look_ = now + (now - began_) * kLater;
    const bool enough = static_cast<std::int64_t>(times_.size()) >= patience_.operations;
    stable_ = enough && summarise(operation_, times_).noise <= patience_.noise;
    stopped_ = stable_ || now - began_ >= patience_.most;
    return !stopped_;
  }
  [[nodiscard]] Sample sample() const {
    Sample out = summarise(operation_, times_);
    out.noisy = !stable_;
    if (by_kind_[0].empty() || by_kind_[1].empty()) return out;
    out.extra = {{"read_p50_s", median(by_kind_[0])}, {"write_p50_s", median(by_kind_[1])}};
    return out;
  }

 private:
  BenchOperation operation_;
  Patience patience_;
  bool counting_ = false;
  bool stopped_ = false;
  bool stable_ = false;
  std::int64_t warm_ = 0;
  Seconds began_{0};
  Seconds look_{0};
  std::vector<double> times_;
  std::vector<double> by_kind_[2];
};

// Blocking calls of one thread.
class BlockingCaller {
 public:
  BlockingCaller(DiskFile& file, const BenchOperation& operation, std::uint64_t caller)
      : file_(file),
        traffic_(file, operation, caller),
        bytes_(whole_blocks(operation.bytes)),
        buffers_(1, bytes_) {}

  Seconds once() {
    const DiskSubmitter::Request request = traffic_.next();
    if (!request.write) file_.forget(request.position, bytes_);
    std::byte* data = request.write ? file_.content(request.position, bytes_) : buffers_.take();
    file_.parts_of(request.position, bytes_, parts_);
    const Stopwatch watch;
    move(request.write, data);
    const Seconds took = watch.elapsed();
    if (request.write) return took;
    file_.check(data, request.position, bytes_);
    buffers_.give(data);
    return took;
  }

 private:
  void move(bool write, std::byte* data) const {
    const DiskFile::Part& part = parts_.front();
    for (std::size_t done = 0; done < bytes_;) {
      const auto at = static_cast<off_t>(part.position + done);
      const ssize_t moved = write ? pwrite(part.file, data + done, bytes_ - done, at)
                                  : pread(part.file, data + done, bytes_ - done, at);
      if (moved < 0 && errno == EINTR) continue;
      if (moved <= 0)
        throw EnvironmentError(fmt::format("{} of {} bytes: {}", write ? "write" : "read", bytes_,
                                           moved == 0 ? "end of file" : std::strerror(errno)));
      done += static_cast<std::size_t>(moved);
    }
  }
  DiskFile& file_;
  Traffic traffic_;
  std::size_t bytes_;
  ReadBuffers buffers_;
  std::vector<DiskFile::Part> parts_;
};

class DiskBench : public Bench {
 public:
  using Options = DiskBenchOptions;

  DiskBench(const Options& options, const Context& context)
      : options_(options),
        io_uring_(options.queue == "io_uring" || (options.queue == "auto" && DiskQueue::works())) {
    if (options_.folders.empty()) options_.folders = {context.scratch.path()};
    if (options_.folders.size() > 1 && !io_uring_)
      throw EnvironmentError("striping over folders needs io_uring, which is forbidden here");
    file_ = std::make_unique<DiskFile>(DiskFile::Plan{.folders = options_.folders,
                                                      .device = options_.device,
                                                      .bytes = options_.file,
                                                      .chunk = options_.chunk});
  }

  [[nodiscard]] std::vector<std::string> operations() const override {
    return {"read", "write", "mix/70", "read/value", "write/value", "write/sustained"};
  }

  [[nodiscard]] Json identity() const override {
    Json out = {{"kernel", kernel_release()},
                {"queue", io_uring_ ? "io_uring" : "threads"},
                {"direct", file_->direct()},
                {"file_bytes", file_->bytes().count()}};
    std::vector<std::string> places = options_.folders;
    if (!options_.device.empty()) places = {options_.device};
    for (const std::string& place : places) out["storage"].push_back(storage_identity(place));
    if (file_->striped()) out["chunk_bytes"] = options_.chunk.count();
    return out;
  }

  Sample measure(const BenchOperation& operation, const Patience& patience) override {
    check(operation);
    if (!filled_) file_->fill();
    filled_ = true;
    if (operation.name == "write/sustained") return write_until_slow(*file_, operation);
    const bool blocking = operation.name.ends_with("/value") && !file_->striped();
    const Sample out =
        blocking || !io_uring_ ? by_threads(operation, patience) : by_queue(operation, patience);
    // What it wrote must not burden what is measured next.
    if (reads_of(operation.name) < 1) file_->settle();
    return out;
  }

  [[nodiscard]] Bytes needs(const BenchOperation&) const override {
    return options_.device.empty() ? options_.file : Bytes(0);
  }

 private:
  void check(const BenchOperation& operation) const {
    if (reads_of(operation.name) < 0)
      throw EnvironmentError(fmt::format("disk: found operation \"{}\"; allowed: {}",
                                         operation.name, join_names(operations())));
    if (reads_of(operation.name) < 1 && !file_->writable())
      throw EnvironmentError(options_.device + ": a device is only read");
    if (operation.name == "write/sustained") {
      if (!io_uring_) throw EnvironmentError("write/sustained needs io_uring");
    } else if (Bytes(static_cast<std::int64_t>(whole_blocks(operation.bytes))) > file_->bytes()) {
      throw EnvironmentError(
          fmt::format("disk: found requests of {} bytes; allowed: at most "
                      "file_bytes, {}",
                      operation.bytes.count(), file_->bytes().count()));
    }
  }

  Sample by_queue(const BenchOperation& operation, const Patience& patience) {
    DiskSubmitter submitter(*file_, operation.at_once, whole_blocks(operation.bytes));
    Traffic traffic(*file_, operation, 0);
    QueueTimes times(operation, patience);
    submitter.run([&traffic] { return traffic.next(); },
                  [&times](const DiskSubmitter::Request& request, Seconds now, Seconds took) {
                    return times.add(request.write, now, took);
                  });
    return times.sample();
  }

  Sample by_threads(const BenchOperation& operation, const Patience& patience) {
    // Made before the threads: they only look at it.
    (void)file_->content(0, whole_blocks(operation.bytes));
    std::vector<std::unique_ptr<BlockingCaller>> callers;
    for (std::int64_t i = 0; i < operation.at_once; ++i)
      callers.push_back(
          std::make_unique<BlockingCaller>(*file_, operation, static_cast<std::uint64_t>(i)));
    return kvsim::measure(operation, patience, [&callers](std::int64_t caller) {
      return callers[static_cast<std::size_t>(caller)]->once();
    });
  }

  Options options_;
  bool io_uring_;
  bool filled_ = false;
  std::unique_ptr<DiskFile> file_;
};

const Register<Bench, DiskBench> kRegistered("disk", "Reads and writes of a file's disk, direct.");

}  // namespace

}  // namespace kvsim
