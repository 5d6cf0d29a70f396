// A provider's block volume: what it sells is caps, operations a second and bytes a second, fixed
// or by size, behind a latency that is mostly network. Optional burst credit: a budget of bytes at
// a higher rate, which comes back while the volume is idle.
//
// Several calls at a time share the caps. Not evenly where a service of many servers is behind it:
// a call's latency and work are drawn with a mean of 1 (`read_spread`, `write_spread`).
//
// Leaves out: the caps of the machine it is attached to, and noisy neighbours.
#include <cmath>
#include <limits>

#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/des/shared_server.hpp"
#include "sim/store/disk_parts.hpp"
#include "sim/store/disk_profile.hpp"

namespace kvsim {

namespace {

struct VolumeOptions {
  std::string profile;
  VolumeFigures figures;

  template <class F>
  void fields(F& f) {
    f.optional("profile", profile, "A volume of models/disk, or a .json file; empty = none.");
    if constexpr (std::same_as<F, FieldReader>)
      if (!profile.empty()) figures = load_volume(profile);
    figures.fields(f);  // those given replace the profile's
    if constexpr (std::same_as<F, FieldReader>) figures.check("disk of kind cloud-volume");
  }
};

class CloudVolume : public Disk {
 public:
  using Options = VolumeOptions;

  CloudVolume(const Options& options, const Context& context)
      : tasks_(context.tasks),
        figures_(options.figures),
        speed_(context.speed),
        iops_(figures_.iops_cap() * speed_),
        rate_(figures_.rate_cap() * speed_),
        space_(figures_.capacity),
        credit_(figures_.burst_credit, rate_),
        deterministic_(context.deterministic),
        rng_(stream(context.seed, "disk/" + context.name)),
        device_(tasks_, context.name, "disk", 1) {}

  Task io(DiskIo io) override {
    if (io.bytes <= Bytes(0)) co_return;
    const InFlight flight(io, figures_.operation);
    const double luck = draw(io.write ? figures_.write_spread : figures_.read_spread);
    const Seconds latency =
        (io.write ? figures_.write_latency : figures_.read_latency) * (luck / (speed_ * share_));
    co_await tasks_.sleep(latency);
    const double work = device_seconds(io, flight) * luck;
    const Seconds service(work / share_ * flight.request.real() / io.bytes.real());
    double cap = flight.cap(io.bytes, latency, service).count();
    if (io.most > Bandwidth(0)) cap = cap > 0 ? std::min(cap, io.most.count()) : io.most.count();
    co_await device_.use(work, work * cap / io.bytes.real());
    credit_.end(tasks_.now());
    (io.write ? written_ : read_) += io.bytes;
    device_.count_bytes(io.bytes);
  }

  bool take_space(Bytes bytes) override { return space_.take(bytes); }
  void give_space(Bytes bytes) override { space_.give(bytes); }
  void set_speed(double share) override {
    share_ = share;
    device_.set_capacity(share);
  }
  [[nodiscard]] Bandwidth rate(bool write) const override {
    const double by_iops =
        iops_ > 0 ? iops_ * figures_.operation.real() : std::numeric_limits<double>::infinity();
    const Bandwidth moving = std::max(figures_.burst * speed_, moving_rate(write));
    const Bandwidth rate =
        moving > Bandwidth(0) ? std::min(Bandwidth(by_iops), moving) : Bandwidth(by_iops);
    return rate * share_;
  }
  [[nodiscard]] DiskUse use() const override {
    return {
        .read = read_, .written = written_, .capacity = space_.capacity(), .used = space_.used()};
  }
  [[nodiscard]] std::vector<ResourceUse> resources() const override {
    return {device_.use_so_far()};
  }

 private:
  // 0 = no cap.
  [[nodiscard]] Bandwidth moving_rate(bool write) const {
    return write && figures_.write_rate > Bandwidth(0) ? figures_.write_rate * speed_ : rate_;
  }
  // Of mean 1, so that draws leave the throughput as it is.
  double draw(double spread) {
    constexpr double kQuantile99 = 2.3263478740408408;  // of the standard normal
    const double deviation = std::log(spread) / kQuantile99;
    return deterministic_ || spread <= 1 ? 1
                                         : rng_.lognormal(-deviation * deviation / 2, deviation);
  }
  double device_seconds(const DiskIo& io, const InFlight& flight) {
    const double paid = credit_.begin(io.bytes, tasks_.now());
    const Bandwidth rate = moving_rate(io.write);
    double moving = 0;
    if (paid > 0) moving += paid / (figures_.burst.count() * speed_);
    if (rate > Bandwidth(0)) moving += (io.bytes.real() - paid) / rate.count();
    return std::max(moving, iops_ > 0 ? static_cast<double>(flight.requests) / iops_ : 0);
  }

  Tasks& tasks_;
  VolumeFigures figures_;
  double speed_;
  double share_ = 1;  // of its speed, which a fault leaves
  double iops_;
  Bandwidth rate_;
  DiskSpace space_;
  Reserve credit_;
  bool deterministic_;
  Rng rng_;
  SharedServer device_;
  Bytes read_{0};
  Bytes written_{0};
};

const Register<Disk, CloudVolume> kRegistered("cloud-volume",
                                              "A provider's volume: caps, latency, burst credit.");

}  // namespace

}  // namespace kvsim
