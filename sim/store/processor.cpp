#include "sim/store/processor.hpp"

#include <algorithm>
#include <functional>

#include "sim/base/check.hpp"

namespace kvsim {

Processor::Processor(Tasks& tasks, const std::string& host, const Rates& rates)
    : tasks_(tasks),
      rates_(rates),
      timer_(tasks.world(), Priority::kDeliver, call<&Processor::wake>(), this) {
  KV_CHECK(rates.cores > 0 && rates.copy > Bandwidth(0) && rates.memory > Bandwidth(0),
           "{}: {} cores, {} and {} bytes/s", host, rates.cores, rates.copy.count(),
           rates.memory.count());
  cores_.name = host + ".cores";
  cores_.kind = "cpu";
  memory_.name = host + ".memory";
  memory_.kind = "memory";
}

double Processor::copying() const {
  double threads = copying_.count();
  for (const Running& one : runners_)
    if (one.copies) threads += one.threads;
  return threads;
}

double Processor::running() const {
  double threads = copying_.count() + computing_.count();
  for (const Running& one : runners_) threads += one.threads;
  return threads;
}

void Processor::run(Runner& runner, double threads, bool copies) {
  const Seconds now = tasks_.now();
  catch_up(now);
  std::erase_if(runners_, [&runner](const Running& one) { return one.runner == &runner; });
  if (threads > 0) runners_.push_back({&runner, threads, copies});
  share(now);
}

void Processor::begin(Kind& kind, Use& use, double work) {
  const Seconds now = tasks_.now();
  catch_up(now);
  if (&kind == &copying_) traffic_ += work;
  kind.heap.push_back({kind.done + work, sequence_++, &use});
  std::push_heap(kind.heap.begin(), kind.heap.end(), std::greater<>());
  share(now);
}

void Processor::drop(Kind& kind, const Use& use) {
  std::erase_if(kind.heap, [&use](const Ending& ending) { return ending.use == &use; });
  std::make_heap(kind.heap.begin(), kind.heap.end(), std::greater<>());
  catch_up(tasks_.now());
  share(tasks_.now());
}

void Processor::wake(Seconds now) {
  catch_up(now);
  end_due(computing_, now);
  end_due(copying_, now);
  share(now);
}

void Processor::end_due(Kind& kind, Seconds now) {
  if (kind.heap.empty()) return;
  // What was due is done, however the sums were rounded; so is what ends too soon for the clock.
  if (kind.first <= now) kind.done = std::max(kind.done, kind.heap.front().end);
  const auto left = [&kind] { return Seconds((kind.heap.front().end - kind.done) / kind.rate); };
  while (!kind.heap.empty() && now + left() <= now) {
    Use& use = *kind.heap.front().use;
    std::pop_heap(kind.heap.begin(), kind.heap.end(), std::greater<>());
    kind.heap.pop_back();
    use.active_ = false;
    tasks_.wake(use.handle_);
  }
}

void Processor::catch_up(Seconds now) {
  const double passed = (now - changed_).count();
  changed_ = now;
  if (passed <= 0) return;
  for (Kind* kind : {&computing_, &copying_}) kind->done += kind->rate * passed;
  count_busy(passed, cores_, memory_);
}

void Processor::count_busy(double passed, ResourceUse& cores, ResourceUse& memory) const {
  cores.busy += Seconds(passed * std::min(1.0, running() / rates_.cores));
  memory.busy += Seconds(passed * copying_.rate * copying() / rates_.memory.count());
}

void Processor::share(Seconds now) {
  if (running() == 0) {
    computing_.done = 0;
    copying_.done = 0;
    timer_.cancel();
    return;
  }
  const double core = std::min(1.0, rates_.cores / running());
  computing_.rate = core;
  copying_.rate =
      std::min(core * rates_.copy.count(), rates_.memory.count() / std::max(1.0, copying()));
  Seconds first{-1};
  for (Kind* kind : {&computing_, &copying_}) {
    if (kind->heap.empty()) {
      kind->done = 0;
      continue;
    }
    const double left = std::max(0.0, kind->heap.front().end - kind->done);
    kind->first = now + Seconds(left / kind->rate);
    if (first < Seconds(0) || kind->first < first) first = kind->first;
  }
  if (first < Seconds(0)) {
    timer_.cancel();
  } else {
    timer_.set(first);
  }
  const double copying = copying_.rate / rates_.copy.count();
  for (const Running& one : runners_) one.runner->at_rate(one.copies ? copying : core);
}

std::vector<ResourceUse> Processor::use_so_far() const {
  ResourceUse cores = cores_;
  ResourceUse memory = memory_;
  count_busy((tasks_.now() - changed_).count(), cores, memory);
  memory.bytes = Bytes(static_cast<std::int64_t>(traffic_));
  return {cores, memory};
}

}  // namespace kvsim
