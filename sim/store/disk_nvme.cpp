// A solid-state drive behind a kernel. Its time is one resource: a second of it moves so many bytes
// of reads or so many of writes, or so many small requests, and all callers share it
// (r / bw_r + w / bw_w <= 1: spec/kvrocks_rocksdb.md section 9). Before its bytes move a call waits
// for the device's latency; one that keeps little in flight is bound by in flight / latency.
//
// Beyond that sum, small requests pay a penalty while the other direction is active (70/30 mixes of
// spec/perf_model.md section 4.2); large ones do not: the 75/25 rows of a Micron 7450 come out
// within 8 % without one (tests/oracle/fio_test.cpp).
//
// An emulated disk takes and completes the requests in its ring one after the other, in a thread of
// its hypervisor (serial_share). What is in flight before a request then delays it even while the
// device is not full: a virtio disk's 4 KiB reads took 45, 53, 100 and 300 us with 1, 2, 4 and 16
// in flight. And a request's handling and its bytes' copies are one after the other, where a
// drive's controller and its channels work side by side.
//
// Leaves out: that drives answer writes from their own memory ahead of reads in the queue (their
// throughput comes out, the split of waiting does not), garbage collection beside the sustained
// write rate, temperature.
#include <array>
#include <cmath>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/des/shared_server.hpp"
#include "sim/store/disk_parts.hpp"
#include "sim/store/disk_profile.hpp"

namespace kvsim {

namespace {

// Requests below this are small: random to the drive, its mixing penalty and small-write
// amplification hold. Assumed.
constexpr Bytes kSmall{65'536};
// Between these the wait for the slowest of many dies grows. Assumed; fitted from 1152 KiB on.
constexpr Bytes kOneDie{131'072};
constexpr Bytes kManyDies{1'048'576};
// The standard normal's 99 % quantile.
constexpr double kQuantile99 = 2.3263478740408408;

struct NvmeOptions {
  std::string profile = "nvme-15tb-pcie4";
  Bytes request{524'288};
  double serial_share = 0;
  NvmeFigures figures;

  template <class F>
  void fields(F& f) {
    f.optional("profile", profile, "A drive of models/disk, or a .json file; empty = none.");
    f.optional("request_bytes", request, Range{4096, 1e9},
               "The kernel cuts larger requests (max_sectors_kb). Default: assumed.");
    f.optional("serial_share", serial_share, Range{0, 1},
               "How much of a device's work is one after the other: handling a request and moving "
               "its bytes, and a request and those in flight before it (at most one of each call). "
               "0 = none (a drive), 1 = all (an emulated one).");
    if constexpr (std::same_as<F, FieldReader>)
      if (!profile.empty()) figures = load_nvme(profile);
    figures.fields(f);  // those given replace the profile's
    if constexpr (std::same_as<F, FieldReader>) figures.check("disk of kind nvme");
  }
};

class Nvme : public Disk {
 public:
  using Options = NvmeOptions;

  Nvme(const Options& options, const Context& context)
      : tasks_(context.tasks),
        figures_(options.figures),
        split_(options.request),
        serial_share_(options.serial_share),
        speed_(context.speed),
        deterministic_(context.deterministic),
        rng_(stream(context.seed, "disk/" + context.name)),
        ways_{Way(figures_.read, figures_.read_iops, figures_.read_latency, figures_.read_spread,
                  speed_),
              Way(figures_.write, figures_.write_iops, figures_.write_latency,
                  figures_.write_spread, speed_)},
        space_(figures_.capacity),
        buffer_(figures_.write_buffer, figures_.buffer_drain * speed_),
        device_(tasks_, context.name, "disk", 1) {}

  Task io(DiskIo io) override {
    if (io.bytes <= Bytes(0)) co_return;
    const Way& way = ways_[io.write ? 1 : 0];
    const InFlight flight(io, split_);
    const double luck = deterministic_ ? 1 : rng_.lognormal(way.log_mean, way.log_deviation);
    const Seconds latency = wait_for_first(io.write, flight.window) * (luck / share_);
    const Seconds ahead = in_flight_ * serial_share_;
    const Seconds one_request = time_of_one(io.write, flight.request) / share_;
    in_flight_ += one_request;
    ++active_[io.write ? 1 : 0];
    co_await tasks_.sleep(latency + ahead);
    const double work = device_seconds(io, flight) * luck;
    // A stream of requests waits for each by itself, and only at its end for the slowest of all.
    const Seconds each = wait_for_first(io.write, flight.request) * (luck / share_);
    co_await device_.use(work, rate_of_work(io, flight, each, work));
    in_flight_ -= one_request;
    count(io, flight);
  }

  bool take_space(Bytes bytes) override { return space_.take(bytes); }
  void give_space(Bytes bytes) override { space_.give(bytes); }
  void set_speed(double share) override {
    share_ = share;
    device_.set_capacity(share);
  }
  [[nodiscard]] Bandwidth rate(bool write) const override {
    return ways_[write ? 1 : 0].rate * share_;
  }
  [[nodiscard]] DiskUse use() const override {
    return {.read = moved_[0],
            .written = moved_[1],
            .written_flash = Bytes(std::llround(flash_)),
            .capacity = space_.capacity(),
            .used = space_.used(),
            .rated_drive_writes_per_day = figures_.drive_writes_per_day};
  }
  [[nodiscard]] std::vector<ResourceUse> resources() const override {
    return {device_.use_so_far()};
  }

 private:
  struct Way {
    Way(Bandwidth rate, double iops, Seconds latency, double spread, double speed)
        : rate(rate * speed),
          iops(iops * speed),
          latency(latency / speed),
          log_deviation(std::log(spread) / kQuantile99),
          // Of mean 1, so that draws leave the throughput as it is.
          log_mean(-log_deviation * log_deviation / 2) {}
    Bandwidth rate;
    double iops;
    Seconds latency;
    double log_deviation;
    double log_mean;
  };

  [[nodiscard]] Seconds wait_for_first(bool write, Bytes window) const {
    if (write) return ways_[1].latency;
    const double dies = (window - kOneDie).real() / (kManyDies - kOneDie).real();
    return ways_[0].latency + figures_.large_read * (std::clamp(dies, 0.0, 1.0) / speed_);
  }

  // Device time of bytes that move and of requests that are handled.
  [[nodiscard]] double together(double moving, double handling) const {
    return std::max(moving, handling) + serial_share_ * std::min(moving, handling);
  }

  // Device time of one request of a call that is alone on it.
  [[nodiscard]] Seconds time_of_one(bool write, Bytes request) const {
    const Way& way = ways_[write ? 1 : 0];
    return Seconds(together((std::min(request, split_) / way.rate).count(), 1 / way.iops));
  }

  // Device time of the whole call.
  double device_seconds(const DiskIo& io, const InFlight& flight) {
    const Way& way = ways_[io.write ? 1 : 0];
    double moving = (io.bytes / way.rate).count();
    if (io.write && buffer_.exists()) {
      const double buffered = buffer_.begin(io.bytes, tasks_.now());
      moving = buffered / way.rate.count() +
               (io.bytes.real() - buffered) / (figures_.sustained_write.count() * speed_);
    }
    const double work = together(moving, static_cast<double>(flight.requests) / way.iops);
    const bool mixed = flight.request < kSmall && active_[io.write ? 0 : 1] > 0;
    return mixed ? work * (1 + figures_.mixing_penalty) : work;
  }

  // The caller's caps, as device time of a whole device per second.
  [[nodiscard]] double rate_of_work(const DiskIo& io, const InFlight& flight, Seconds latency,
                                    double work) const {
    const Seconds service(work / share_ * flight.request.real() / io.bytes.real());
    double cap = flight.cap(io.bytes, latency, service).count();
    if (io.most > Bandwidth(0)) cap = cap > 0 ? std::min(cap, io.most.count()) : io.most.count();
    return work * cap / io.bytes.real();
  }

  void count(const DiskIo& io, const InFlight& flight) {
    --active_[io.write ? 1 : 0];
    moved_[io.write ? 1 : 0] += io.bytes;
    device_.count_bytes(io.bytes);
    if (!io.write) return;
    if (buffer_.exists()) buffer_.end(tasks_.now());
    flash_ += io.bytes.real() * (flight.request < kSmall ? figures_.random_write_amplification
                                                         : figures_.write_amplification);
  }

  Tasks& tasks_;
  NvmeFigures figures_;
  Bytes split_;
  double serial_share_;
  double speed_;
  double share_ = 1;  // of its speed, which a fault leaves
  bool deterministic_;
  Rng rng_;
  std::array<Way, 2> ways_;  // reads, writes
  DiskSpace space_;
  Reserve buffer_;
  SharedServer device_;
  std::array<std::int64_t, 2> active_{};
  Seconds in_flight_{0};  // one request of each call
  std::array<Bytes, 2> moved_{};
  double flash_ = 0;
};

const Register<Disk, Nvme> kRegistered("nvme", "A solid-state drive of models/disk.");

}  // namespace

}  // namespace kvsim
