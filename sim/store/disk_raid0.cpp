// Striping over disks, as Linux md RAID0: byte b lies on member (b / chunk) mod n
// (spec/kvrocks_rocksdb.md section 9; mdadm's default chunk is 512 KiB). Every member serves its
// part of a call; the call ends with the last. What striping gains follows from that: nothing for
// one small request or for a window below a chunk, n for large ones, n times the small requests
// only when callers keep enough in flight.
//
// Leaves out: members of different size (the smallest counts n times), and the processor time of
// the striping layer.
#include <fmt/format.h>

#include "sim/base/check.hpp"
#include "sim/base/registry.hpp"
#include "sim/des/waiting.hpp"
#include "sim/store/disk_parts.hpp"

namespace kvsim {

namespace {

struct Raid0Options {
  std::vector<Json> members;
  std::int64_t count = 2;
  Json of;
  Bytes chunk{524'288};

  template <class F>
  void fields(F& f) {
    f.optional("members", members, "Disks, each as its kind and options.");
    f.optional("count", count, Range{1, 256}, "How many equal ones, instead of members.");
    f.optional("of", of, "The disk that `count` counts.");
    f.optional("chunk_bytes", chunk, Range{4096, 1e9}, "Consecutive bytes on one member.");
    if constexpr (std::same_as<F, FieldReader>) resolve();
  }

 private:
  // Members are checked, and echoed with what they take by default.
  void resolve() {
    if (members.empty() == of.is_null())
      throw ConfigError("disk of kind raid0: found both or none of members and of; allowed: one");
    const auto full = [](Json& json, const std::string& path) {
      const ConfigNode node(json, "disk of kind raid0", path);
      json = Registry<Disk>::instance().find(node).resolve(node);
    };
    for (std::size_t i = 0; i < members.size(); ++i)
      full(members[i], fmt::format("/members/{}", i));
    if (!of.is_null()) full(of, "/of");
  }
};

class Raid0 : public Disk {
 public:
  using Options = Raid0Options;

  Raid0(const Options& options, const Context& context)
      : tasks_(context.tasks),
        chunk_(options.chunk.count()),
        members_(make_members(options, context)),
        count_(static_cast<std::int64_t>(members_.size())),
        space_(smallest() * count_) {}

  Task io(DiskIo io) override {
    if (io.bytes <= Bytes(0)) co_return;
    (io.write ? written_ : read_) += io.bytes;
    const Share share(io, chunk_, count_);
    std::int64_t hit = 0;
    for (std::int64_t i = 0; i < count_; ++i) hit += part_of(io, i) > Bytes(0) ? 1 : 0;
    if (hit == 1 || share.one_at_a_time) {
      for (std::int64_t i = 0; i < count_; ++i)
        if (part_of(io, i) > Bytes(0)) co_await member(i).io(on_member(io, share, i, 1));
      co_return;
    }
    Countdown left(tasks_, hit);
    for (std::int64_t i = 0; i < count_; ++i)
      if (part_of(io, i) > Bytes(0)) tasks_.start(part(i, on_member(io, share, i, hit), left));
    (void)co_await left.wait();
  }

  bool take_space(Bytes bytes) override { return space_.take(bytes); }
  void give_space(Bytes bytes) override { space_.give(bytes); }
  void set_speed(double share) override {
    for (const auto& member : members_) member->set_speed(share);
  }
  [[nodiscard]] Bytes dram() const override {
    Bytes sum{0};
    for (const auto& member : members_) sum += member->dram();
    return sum;
  }
  [[nodiscard]] Bandwidth rate(bool write) const override {
    Bandwidth sum{0};
    for (const auto& member : members_) sum += member->rate(write);
    return sum;
  }
  [[nodiscard]] DiskUse use() const override {
    DiskUse out{.read = read_,
                .written = written_,
                .capacity = space_.capacity(),
                .used = space_.used(),
                .rated_drive_writes_per_day = members_[0]->use().rated_drive_writes_per_day};
    for (const auto& member : members_) {
      const DiskUse use = member->use();
      out.written_flash += use.written_flash;
      // A stripe lasts as long as its weakest member.
      out.rated_drive_writes_per_day =
          std::min(out.rated_drive_writes_per_day, use.rated_drive_writes_per_day);
    }
    return out;
  }
  [[nodiscard]] std::vector<ResourceUse> resources() const override {
    std::vector<ResourceUse> out;
    for (const auto& member : members_)
      for (ResourceUse& use : member->resources()) out.push_back(std::move(use));
    return out;
  }

 private:
  // What a caller keeps in flight, seen by one member.
  struct Share {
    Bytes request{0};
    std::int64_t depth = 0;
    // A window within a chunk moves from member to member and keeps one busy at a time.
    bool one_at_a_time = false;
    double members_at_once;

    Share(const DiskIo& io, std::int64_t chunk, std::int64_t count)
        : request(io.request), depth(io.depth), members_at_once(static_cast<double>(count)) {
      if (io.depth == 0) return;  // everything is in flight
      const std::int64_t size = io.request > Bytes(0) ? io.request.count() : chunk;
      const double window = static_cast<double>(size) * static_cast<double>(io.depth);
      one_at_a_time = window <= static_cast<double>(chunk);
      if (one_at_a_time) return;
      const auto members = static_cast<double>(count);
      members_at_once = std::min(members, window / static_cast<double>(chunk));
      request = Bytes(size <= chunk ? size : std::max(chunk, size / count));
      depth = static_cast<std::int64_t>(std::max(1.0, window / members / request.real() + 0.5));
    }
  };

  static std::vector<std::unique_ptr<Disk>> make_members(const Options& options,
                                                         const Context& context) {
    std::vector<Json> configs = options.members;
    if (configs.empty()) configs.assign(static_cast<std::size_t>(options.count), options.of);
    std::vector<std::unique_ptr<Disk>> out;
    for (std::size_t i = 0; i < configs.size(); ++i) {
      Context own = context;
      own.name = fmt::format("{}.{}", context.name, i);
      const ConfigNode node(configs[i], own.name);
      out.push_back(Registry<Disk>::instance().make(node, own));
    }
    return out;
  }
  [[nodiscard]] Bytes smallest() const {
    Bytes least = members_[0]->use().capacity;
    for (const auto& member : members_) least = std::min(least, member->use().capacity);
    return least;
  }
  [[nodiscard]] Disk& member(std::int64_t i) { return *members_[static_cast<std::size_t>(i)]; }

  // Bytes of [0, end) that lie on member i.
  [[nodiscard]] std::int64_t below(std::uint64_t end, std::int64_t i) const {
    const auto at = static_cast<std::int64_t>(end);
    const std::int64_t stripe = chunk_ * count_;
    return at / stripe * chunk_ + std::clamp(at % stripe - i * chunk_, std::int64_t{0}, chunk_);
  }
  [[nodiscard]] Bytes part_of(const DiskIo& io, std::int64_t i) const {
    const auto end = io.position + static_cast<std::uint64_t>(io.bytes.count());
    return Bytes(below(end, i) - below(io.position, i));
  }
  [[nodiscard]] DiskIo on_member(const DiskIo& io, const Share& share, std::int64_t i,
                                 std::int64_t hit) const {
    DiskIo own = io;
    own.bytes = part_of(io, i);
    own.position = static_cast<std::uint64_t>(below(io.position, i));
    own.request = share.request;
    own.depth = share.depth;
    if (io.most > Bandwidth(0)) own.most = io.most * (own.bytes.real() / io.bytes.real());
    if (share.one_at_a_time || hit == 1) own.most = io.most;
    // Fewer members at once than there are: each is busy for part of the time.
    const double busy = share.members_at_once / static_cast<double>(count_);
    if (busy < 1) {
      const Bandwidth turn = members_[static_cast<std::size_t>(i)]->rate(io.write) * busy;
      own.most = own.most > Bandwidth(0) ? std::min(own.most, turn) : turn;
    }
    return own;
  }
  Task part(std::int64_t i, DiskIo io, Countdown& left) {
    co_await member(i).io(io);
    left.one_less();
  }

  Tasks& tasks_;
  std::int64_t chunk_;
  std::vector<std::unique_ptr<Disk>> members_;
  std::int64_t count_;
  DiskSpace space_;
  Bytes read_{0};
  Bytes written_{0};
};

const Register<Disk, Raid0> kRegistered("raid0", "Disks striped in chunks, as Linux md does.");

}  // namespace

}  // namespace kvsim
