#include "sim/des/shared_server.hpp"

#include <algorithm>

#include "sim/base/check.hpp"

namespace kvsim {

SharedServer::SharedServer(Tasks& tasks, std::string name, std::string kind, double capacity)
    : tasks_(tasks),
      capacity_(capacity),
      timer_(tasks.world(), Priority::kDeliver, call<&SharedServer::wake>(), this) {
  KV_CHECK(capacity > 0, "{} with capacity {}", name, capacity);
  use_.name = std::move(name);
  use_.kind = std::move(kind);
}

void SharedServer::set_capacity(double capacity) {
  KV_CHECK(capacity > 0, "{} with capacity {}", use_.name, capacity);
  const Seconds now = tasks_.now();
  use_.busy += (now - changed_) * (rate_ / capacity_);
  changed_ = now;
  capacity_ = capacity;
  share(now);
}

void SharedServer::begin(Use& use) {
  uses_.push_back(&use);
  use.since_ = tasks_.now();
  share(tasks_.now());
}

void SharedServer::wake(Seconds now) {
  const auto ended = std::stable_partition(uses_.begin(), uses_.end(),
                                           [now](const Use* use) { return use->end_ > now; });
  for (auto at = ended; at != uses_.end(); ++at) {
    (*at)->active_ = false;
    tasks_.wake((*at)->handle_);
  }
  uses_.erase(ended, uses_.end());
  share(now);
}

void SharedServer::set_rate(Use& use, double rate, Seconds now) {
  if (rate == use.rate_) return;
  use.left_ = std::max(0.0, use.left_ - use.rate_ * (now - use.since_).count());
  use.since_ = now;
  use.rate_ = rate;
  use.end_ = now + Seconds(use.left_ / rate);
}

void SharedServer::share(Seconds now) {
  use_.busy += (now - changed_) * (rate_ / capacity_);
  changed_ = now;
  rate_ = 0;
  if (uses_.empty()) {
    timer_.cancel();
    return;
  }
  double free = capacity_;
  std::size_t sharing = uses_.size();
  by_cap_.clear();
  for (Use* use : uses_)
    if (use->most_ > 0) by_cap_.push_back(use);
  std::sort(by_cap_.begin(), by_cap_.end(),
            [](const Use* a, const Use* b) { return a->most_ < b->most_; });
  // Whoever wants less than an even share leaves the rest to the others.
  std::size_t capped = 0;
  for (; capped < by_cap_.size(); ++capped, --sharing) {
    const double most = by_cap_[capped]->most_;
    if (most * static_cast<double>(sharing) > free) break;
    free -= most;
  }
  const double even = sharing > 0 ? free / static_cast<double>(sharing) : 0;
  const double widest = capped > 0 ? by_cap_[capped - 1]->most_ : 0;
  Seconds first{-1};
  for (Use* use : uses_) {
    const bool has_cap = use->most_ > 0 && capped > 0 && use->most_ <= widest;
    set_rate(*use, has_cap ? use->most_ : even, now);
    rate_ += use->rate_;
    if (first < Seconds(0) || use->end_ < first) first = use->end_;
  }
  timer_.set(std::max(now, first));
}

ResourceUse SharedServer::use_so_far() const {
  ResourceUse out = use_;
  out.busy += (tasks_.now() - changed_) * (rate_ / capacity_);
  return out;
}

}  // namespace kvsim
