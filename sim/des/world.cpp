#include "sim/des/world.hpp"

#include <algorithm>
#include <limits>
#include <simgrid/kernel/Timer.hpp>
#include <simgrid/s4u.hpp>
#include <unordered_map>
#include <utility>

#include "sim/base/check.hpp"

namespace kvsim {

namespace s4u = simgrid::s4u;
using SimgridTimer = simgrid::kernel::timer::Timer;

struct World::Platform {
  struct Path {
    s4u::Host* from;
    s4u::Host* to;
    std::vector<std::size_t> links;
  };
  struct Running {
    s4u::CommPtr comm;
    Done done;
    std::size_t path;
    Seconds earliest;  // it cannot end before, were it alone
  };
  std::unique_ptr<s4u::Engine> engine;
  s4u::NetZone* zone = nullptr;
  std::vector<s4u::Link*> links;
  std::vector<s4u::Host*> hosts;  // ends of paths: every ordered pair of them may be one
  std::vector<Path> paths;
  std::unordered_map<const s4u::Activity*, Running> running;
  std::vector<s4u::CommPtr> finished;          // kept until outside SimGrid's own loop over them
  std::vector<std::function<void()>> waiting;  // to do when SimGrid's clock has caught up
  std::vector<std::int32_t> users;             // running transfers, by link
  // SimGrid's table of routes grows with the square of hosts, so paths share them: n hosts make
  // n (n - 1) paths. With each new one come paths to all before it, then from them.
  std::pair<s4u::Host*, s4u::Host*> next_pair() {
    const std::size_t newest = hosts.size() - 1;
    if (hosts.empty() || paths.size() == newest * hosts.size()) {
      hosts.push_back(zone->create_host("end" + std::to_string(hosts.size()), 1.0)->seal());
      return next_pair();
    }
    const std::size_t turn = paths.size() - newest * (newest - 1);
    s4u::Host* other = hosts[turn % newest];
    return turn < newest ? std::pair{hosts.back(), other} : std::pair{other, hosts.back()};
  }
  // No running transfer ends before.
  [[nodiscard]] Seconds first_end() const {
    Seconds first{std::numeric_limits<double>::infinity()};
    for (const auto& [activity, one] : running) first = std::min(first, one.earliest);
    return first;
  }
  void count_users(std::size_t path, std::int32_t change) {
    for (const std::size_t link : paths[path].links) users[link] += change;
  }
  SimgridTimer* armed = nullptr;
  Seconds armed_at{0};
};

World::World() = default;

World::Platform& World::platform() {
  if (platform_) return *platform_;
  platform_ = std::make_unique<Platform>();
  int argc = 5;
  // Defaults model wide-area TCP; these make a link what its bandwidth says.
  const char* arguments[] = {"kvsim",
                             "--log=root.thres:error",
                             "--cfg=network/model:CM02",
                             "--cfg=network/crosstraffic:0",
                             "--cfg=network/TCP-gamma:0",
                             nullptr};
  platform_->engine = std::make_unique<s4u::Engine>(&argc, const_cast<char**>(arguments));
  platform_->zone = s4u::create_full_zone("world");
  s4u::Activity::on_completion_cb([this](const s4u::Activity& activity) {
    const auto found = platform_->running.find(&activity);
    if (found == platform_->running.end() || stopped_) return;
    Done done = std::move(found->second.done);
    platform_->count_users(found->second.path, -1);
    platform_->finished.push_back(std::move(found->second.comm));
    platform_->running.erase(found);
    first_end_ = platform_->first_end();
    ++events_;
    guarded([&] {
      advance(Seconds(s4u::Engine::get_clock()));
      done(now_);
    });
  });
  return *platform_;
}

World::~World() {
  for (Timer* timer : heap_) timer->slot_ = -1;
}

World::LinkId World::add_link(const std::string& name, Bandwidth bandwidth) {
  s4u::Link* link = platform().zone->create_link(name, bandwidth.count());
  link->set_latency(0.0);
  link->seal();
  platform_->links.push_back(link);
  platform_->users.push_back(0);
  return {static_cast<std::int32_t>(platform_->links.size() - 1)};
}

World::PathId World::add_path(const std::vector<LinkId>& links) {
  KV_CHECK(platform_ && !links.empty());
  const auto [from, to] = platform_->next_pair();
  std::vector<s4u::LinkInRoute> route;
  for (const LinkId link : links)
    route.emplace_back(platform_->links.at(static_cast<std::size_t>(link.index)));
  platform_->zone->add_route(from->get_netpoint(), to->get_netpoint(), nullptr, nullptr, route,
                             false);
  std::vector<std::size_t> crossed;
  for (const LinkId link : links) crossed.push_back(static_cast<std::size_t>(link.index));
  platform_->paths.push_back({from, to, std::move(crossed)});
  return {static_cast<std::int32_t>(platform_->paths.size() - 1)};
}

void World::transfer(PathId path, Bytes bytes, Done done) {
  KV_CHECK(bytes > Bytes(0), "a transfer of {} bytes", bytes.count());
  const auto index = static_cast<std::size_t>(path.index);
  const Platform::Path& ends = platform_->paths.at(index);
  s4u::CommPtr comm = s4u::Comm::sendto_init(ends.from, ends.to);
  comm->set_payload_size(bytes.real());
  double width = std::numeric_limits<double>::infinity();
  for (const std::size_t link : ends.links)
    width = std::min(width, platform_->links[link]->get_bandwidth());
  // A little less than the shortest, for rounding.
  constexpr double kSure = 1 - 1e-9;
  const Seconds earliest = now_ + bytes / Bandwidth(width) * kSure;
  platform_->running[comm.get()] = {comm, std::move(done), index, earliest};
  platform_->count_users(index, 1);
  first_end_ = std::min(first_end_, earliest);
  in_step([comm] { comm->start(); });
}

void World::set_bandwidth(LinkId link, Bandwidth bandwidth) {
  const auto index = static_cast<std::size_t>(link.index);
  // What runs over it may end earlier now: from here on SimGrid tells when.
  if (platform_->users.at(index) > 0) {
    for (auto& [activity, one] : platform_->running) one.earliest = now_;
    first_end_ = std::min(first_end_, now_);
  }
  in_step(
      [target = platform_->links[index], bandwidth] { target->set_bandwidth(bandwidth.count()); });
}

void World::in_step(std::function<void()> action) {
  if (now_ > Seconds(s4u::Engine::get_clock()) || !platform_->waiting.empty()) {
    platform_->waiting.push_back(std::move(action));
  } else {
    action();
  }
}

void World::run() {
  platform().zone->seal();
  arm();
  platform_->engine->run();
  if (failure_) std::rethrow_exception(failure_);
}

void World::guarded(const std::function<void()>& body) {
  try {
    body();
  } catch (...) {
    if (!failure_) failure_ = std::current_exception();
    stopped_ = true;
  }
}

bool World::before(const Timer& a, const Timer& b) {
  if (a.due_ != b.due_) return a.due_ < b.due_;
  if (a.priority_ != b.priority_) return a.priority_ < b.priority_;
  return a.sequence_ < b.sequence_;
}

void World::arm() {
  if (!platform_) return;  // run() will
  if (stopped_ || (heap_.empty() && platform_->waiting.empty())) {
    if (platform_->armed != nullptr) platform_->armed->remove();
    platform_->armed = nullptr;
    return;
  }
  const Seconds due = platform_->waiting.empty() ? heap_.front()->due_ : now_;
  if (platform_->armed != nullptr) {
    if (platform_->armed_at <= due) return;  // wakes early, finds nothing due, arms again
    platform_->armed->remove();
  }
  platform_->armed_at = due;
  platform_->armed = SimgridTimer::set(due.count(), [this] { run_due(); });
}

void World::run_due() {
  platform_->armed = nullptr;
  platform_->finished.clear();
  const Seconds clock{s4u::Engine::get_clock()};
  for (const auto& action : platform_->waiting) action();
  platform_->waiting.clear();
  inside_ = true;
  guarded([&] {
    while (!stopped_ && !heap_.empty()) {
      // Before the next transfer can end, SimGrid has nothing to say about time: it is left behind,
      // and catches up when a transfer begins or a bandwidth changes.
      const Seconds due = heap_.front()->due_;
      if (due > clock && due >= first_end_) break;
      if (due > now_ && !platform_->waiting.empty()) break;
      run_first();
      constexpr std::uint64_t kEventsBetweenInterruptChecks = 4096;
      if (++events_ % kEventsBetweenInterruptChecks == 0 && interrupt_ && interrupt_()) stop();
    }
  });
  inside_ = false;
  arm();
}

void World::run_first() {
  Timer& timer = *heap_.front();
  remove(timer);
  advance(timer.due_);
  timer.callback_(timer.owner_, now_);
}

void World::observe(Seconds period, Look look) {
  KV_CHECK(!look_ && period > Seconds(0), "one observer, a period of {} s", period.count());
  look_ = std::move(look);
  look_period_ = period;
  next_look_ = period;
}

void World::look_until(Seconds to) {
  while (next_look_ <= to) {
    now_ = std::max(now_, next_look_);
    next_look_ = look_period_ * static_cast<double>(++looks_ + 1);
    look_(now_);
  }
}

void World::settle() {
  KV_CHECK(!platform_, "a world with links");
  inside_ = true;
  guarded([&] {
    while (!stopped_ && !heap_.empty()) run_first();
  });
  inside_ = false;
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Timer::set(Seconds at) {
  KV_CHECK(at >= world_.now_, "timer set to {:.12f} at {:.12f}", at.count(), world_.now_.count());
  if (slot_ >= 0) world_.remove(*this);
  due_ = at;
  world_.push(*this);
}

void Timer::cancel() {
  if (slot_ >= 0) world_.remove(*this);
}

void World::push(Timer& timer) {
  timer.sequence_ = sequence_++;
  heap_.push_back(&timer);
  place(heap_.size() - 1, &timer);
  sift_up(heap_.size() - 1);
  if (!inside_ && timer.slot_ == 0) arm();
}

void World::remove(Timer& timer) {
  const auto slot = static_cast<std::size_t>(timer.slot_);
  timer.slot_ = -1;
  Timer* last = heap_.back();
  heap_.pop_back();
  if (slot == heap_.size()) return;
  place(slot, last);
  sift_up(slot);
  sift_down(static_cast<std::size_t>(last->slot_));
}

void World::place(std::size_t slot, Timer* timer) {
  heap_[slot] = timer;
  timer->slot_ = static_cast<std::int32_t>(slot);
}

void World::sift_up(std::size_t slot) {
  Timer* timer = heap_[slot];
  while (slot > 0) {
    const std::size_t parent = (slot - 1) / 4;
    if (!before(*timer, *heap_[parent])) break;
    place(slot, heap_[parent]);
    slot = parent;
  }
  place(slot, timer);
}

void World::sift_down(std::size_t slot) {
  Timer* timer = heap_[slot];
  while (true) {
    const std::size_t first = slot * 4 + 1;
    if (first >= heap_.size()) break;
    std::size_t best = first;
    const std::size_t end = std::min(first + 4, heap_.size());
    for (std::size_t child = first + 1; child < end; ++child)
      if (before(*heap_[child], *heap_[best])) best = child;
    if (!before(*heap_[best], *timer)) break;
    place(slot, heap_[best]);
    slot = best;
  }
  place(slot, timer);
}

}  // namespace kvsim
