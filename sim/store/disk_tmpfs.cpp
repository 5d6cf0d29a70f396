// A file system in DRAM: a call costs one copy between the file and the caller's buffer, made by
// the caller's own thread at the host's copy rate. Its capacity counts against the host's DRAM;
// who assembles the host says so to Dram.
//
// Leaves out: that copies share the memory's bandwidth (a host's copy() does that), page faults.
#include "sim/base/check.hpp"
#include "sim/base/registry.hpp"
#include "sim/store/disk_parts.hpp"

namespace kvsim {

namespace {

struct TmpfsOptions {
  Bytes capacity{0};
  template <class F>
  void fields(F& f) {
    f.required("capacity_bytes", capacity, Range{1, 1e15}, "Bytes of DRAM that it may take.");
  }
};

class Tmpfs : public Disk {
 public:
  using Options = TmpfsOptions;

  Tmpfs(const Options& options, const Context& context)
      : tasks_(context.tasks), rate_(context.memory * context.speed), space_(options.capacity) {
    KV_CHECK(rate_ > Bandwidth(0), "tmpfs {} without its host's copy rate", context.name);
    resource_.name = context.name;
    resource_.kind = "disk";
  }

  Task io(DiskIo io) override {
    if (io.bytes <= Bytes(0)) co_return;
    const Bandwidth whole = rate_ * share_;
    const Bandwidth rate = io.most > Bandwidth(0) ? std::min(io.most, whole) : whole;
    co_await tasks_.sleep(io.bytes / rate);
    resource_.busy += io.bytes / whole;
    resource_.bytes += io.bytes;
    (io.write ? written_ : read_) += io.bytes;
  }

  bool take_space(Bytes bytes) override { return space_.take(bytes); }
  void give_space(Bytes bytes) override { space_.give(bytes); }
  // Calls under way are copies that nothing slows any more.
  void set_speed(double share) override { share_ = share; }
  [[nodiscard]] Bytes dram() const override { return space_.capacity(); }
  [[nodiscard]] Bandwidth rate(bool) const override { return rate_ * share_; }
  [[nodiscard]] DiskUse use() const override {
    return {
        .read = read_, .written = written_, .capacity = space_.capacity(), .used = space_.used()};
  }
  [[nodiscard]] std::vector<ResourceUse> resources() const override { return {resource_}; }

 private:
  Tasks& tasks_;
  Bandwidth rate_;
  double share_ = 1;  // of it, which a fault leaves
  DiskSpace space_;
  Bytes read_{0};
  Bytes written_{0};
  ResourceUse resource_;
};

const Register<Disk, Tmpfs> kRegistered("tmpfs", "Files in the host's DRAM: copies, no latency.");

}  // namespace

}  // namespace kvsim
