#include "sim/store/event_loop.hpp"

#include <algorithm>

namespace kvsim {

namespace {
// A copy reads every byte and writes it.
constexpr double kTraffic = 2;
}  // namespace

class EventLoop::Served {
 public:
  Served(EventLoop& loop, bool copies) : loop_(loop), copies_(copies ? 1 : 0) {
    loop_.change(1, copies_);
  }
  ~Served() { loop_.change(-1, -copies_); }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

 private:
  EventLoop& loop_;
  int copies_;
};

EventLoop::EventLoop(Host& host, std::string name, std::string kind, std::int64_t threads)
    : host_(host), threads_(threads), turns_(host.tasks(), std::move(name), std::move(kind), 1) {}

Task EventLoop::compute(Seconds work) { return serve(work, false); }

Task EventLoop::copy(Seconds work, Bytes bytes, double copies) {
  host_.processor().count_traffic(bytes.real() * copies * kTraffic);
  return serve(work, true);
}

Task EventLoop::serve(Seconds work, bool copies) {
  if (work <= Seconds(0)) co_return;
  const Served served(*this, copies);
  co_await turns_.use(work.count());
}

double EventLoop::active() const { return static_cast<double>(std::min(served_, threads_)); }

void EventLoop::change(int count, int copies) {
  const double active_before = active();
  busy_ += (host_.tasks().now() - changed_) * active_before;
  changed_ = host_.tasks().now();
  const bool copied = copies_ > 0;
  served_ += count;
  copies_ += copies;
  if (active() == active_before && copied == (copies_ > 0)) return;
  host_.processor().run(*this, active(), copies_ > 0);
}

void EventLoop::at_rate(double rate) {
  const double capacity = std::max(1.0, active()) * rate;
  if (capacity != turns_.capacity()) turns_.set_capacity(capacity);
}

ResourceUse EventLoop::use_so_far() const {
  ResourceUse out = turns_.use_so_far();
  out.servers = static_cast<std::int32_t>(threads_);
  out.busy = busy_ + (host_.tasks().now() - changed_) * active();
  return out;
}

}  // namespace kvsim
