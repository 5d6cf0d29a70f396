#include "sim/des/lane.hpp"

#include <algorithm>
#include <functional>

#include "sim/base/check.hpp"

namespace kvsim {

DuplexLink::DuplexLink(World& world, const std::string& name, Rates up, Rates down)
    : world_(world),
      links_{world.add_link(name + ".up", up.alone), world.add_link(name + ".down", down.alone)},
      rates_{up, down} {}

void DuplexLink::begin(Direction direction) {
  ++active_[direction];
  apply();
}

void DuplexLink::end(Direction direction) {
  --active_[direction];
  KV_CHECK(active_[direction] >= 0);
  apply();
}

void DuplexLink::apply() {
  const bool coupled = active_[kUp] > 0 && active_[kDown] > 0;
  if (coupled == coupled_) return;
  coupled_ = coupled;
  for (const Direction direction : {kUp, kDown}) {
    const Rates& rates = rates_[direction];
    if (rates.alone == rates.together) continue;
    world_.set_bandwidth(links_[direction], coupled ? rates.together : rates.alone);
  }
}

Lane::Lane(World& world, std::string name, std::string kind, std::vector<World::LinkId> links,
           DuplexLink* duplex, DuplexLink::Direction direction)
    : world_(world),
      limiter_(world.add_link(name + ".limit", Bandwidth(kUnlimited))),
      duplex_(duplex),
      direction_(direction),
      setup_(world, Priority::kDeliver, call<&Lane::move_bytes>(), this),
      real_end_(world, Priority::kDeliver, call<&Lane::finish>(), this) {
  links.push_back(limiter_);
  path_ = world.add_path(links);
  use_.name = std::move(name);
  use_.kind = std::move(kind);
}

void Lane::submit(Job job) {
  KV_CHECK(job.bytes > Bytes(0));
  jobs_.push_back(std::move(job));
  if (!busy_) start_next(world_.now());
}

void Lane::start_next(Seconds now) {
  if (jobs_.empty()) return;
  busy_ = true;
  started_ = now;
  if (jobs_.front().setup > Seconds(0)) {
    setup_.set(now + jobs_.front().setup);
  } else {
    move_bytes(now);
  }
}

void Lane::move_bytes(Seconds) {
  if (duplex_ != nullptr) duplex_->begin(direction_);
  const Job& job = jobs_.front();
  const Bandwidth limit = job.rate_limit > Bandwidth(0) ? job.rate_limit : Bandwidth(kUnlimited);
  if (limit != limit_) world_.set_bandwidth(limiter_, limit_ = limit);
  world_.transfer(path_, job.bytes, [this](Seconds now) { arrived(now); });
}

void Lane::arrived(Seconds now) {
  if (duplex_ != nullptr) duplex_->end(direction_);
  const Seconds longer = live_ ? live_(jobs_.front().bytes, now - started_) : Seconds(0);
  if (longer > Seconds(0)) {
    real_end_.set(now + longer);
  } else {
    finish(now);
  }
}

void Lane::finish(Seconds now) {
  Job job = std::move(jobs_.front());
  jobs_.pop_front();
  use_.busy += now - started_;
  use_.bytes += job.bytes;
  busy_ = false;
  start_next(now);
  job.done(now);
}

CpuLane::CpuLane(std::string name, std::int32_t servers)
    : free_at_(static_cast<std::size_t>(servers), Seconds(0)) {
  KV_CHECK(servers > 0);
  use_.name = std::move(name);
  use_.kind = "cpu";
  use_.servers = servers;
}

Seconds CpuLane::serve(Seconds now, Seconds work) {
  use_.busy += work;
  if (free_at_.size() == 1) return free_at_[0] = std::max(now, free_at_[0]) + work;
  std::pop_heap(free_at_.begin(), free_at_.end(), std::greater<>());
  Seconds& free_at = free_at_.back();
  const Seconds done = free_at = std::max(now, free_at) + work;
  std::push_heap(free_at_.begin(), free_at_.end(), std::greater<>());
  return done;
}

Seconds CpuLane::serve_by_all(Seconds now, Seconds work) {
  use_.busy += work;
  const Seconds part = work / static_cast<double>(free_at_.size());
  Seconds last = now;
  for (Seconds& free_at : free_at_) last = std::max(last, free_at = std::max(now, free_at) + part);
  // Whoever was free first may not be any more; all that are late stay in order.
  std::make_heap(free_at_.begin(), free_at_.end(), std::greater<>());
  return last;
}

}  // namespace kvsim
