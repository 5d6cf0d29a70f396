#include "sim/frontend/scaling.hpp"

#include <algorithm>
#include <utility>

namespace kvsim {

namespace {
// Copies that still read its blocks end soon.
constexpr Seconds kTryAgain{0.1};
// A run in which nothing happens for so many decisions is stuck: it must be able to end.
constexpr std::int64_t kPatience = 100'000;
}  // namespace

Scaling::Scaling(World& world, std::vector<Pool> pools, std::unique_ptr<Autoscaler> autoscaler,
                 Frontend& frontend)
    : world_(world),
      frontend_(frontend),
      pools_(std::move(pools)),
      autoscaler_(std::move(autoscaler)),
      members_(frontend.replicas().size()),
      timer_(world, Priority::kObserve, call<&Scaling::decide>(), this),
      starts_(world, Priority::kObserve,
              [this](Start& start, Seconds now) { come_up(start, now); }) {
  for (const Pool& pool : pools_) wanted_.push_back(pool.replicas);
  for (const auto& replica : frontend.replicas())
    counts_.resize(std::max(counts_.size(), static_cast<std::size_t>(replica->llm) + 1));
  metrics_.resize(pools_.size());
  frontend_.set_idle([this](Replica& replica) {
    replica.state = Replica::State::kDown;
    replica.give_back(world_.now());
    frontend_.dispatcher_of(replica).lost(replica);
  });
}

Scaling::~Scaling() = default;

void Scaling::start() {
  if (autoscaler_) timer_.set(world_.now() + autoscaler_->period());
}

void Scaling::stop() { timer_.cancel(); }

void Scaling::arrived(const Flight& flight, Seconds) {
  if (flight.prefill_half || flight.attempts > 1) return;
  Counts& counts = counts_[static_cast<std::size_t>(flight.request.llm)];
  ++counts.arrived;
  counts.input_tokens += flight.prompt_tokens;
  ++seen_;
}

void Scaling::first_token(const Flight& flight, Seconds now) {
  if (flight.prefill_half) return;
  Counts& counts = counts_[static_cast<std::size_t>(flight.request.llm)];
  ++counts.first_tokens;
  counts.ttft += now - flight.record.sent;
}

void Scaling::ended(const Flight& flight, Outcome outcome, Seconds now) {
  if (flight.prefill_half || outcome != Outcome::kCompleted) return;
  Counts& counts = counts_[static_cast<std::size_t>(flight.request.llm)];
  const std::int64_t tokens = flight.request.output.count();
  ++counts.ended;
  counts.output_tokens += tokens;
  ++seen_;
  if (tokens < 2 || flight.record.first_token < Seconds(0)) return;
  counts.gaps += tokens - 1;
  counts.gap_time += now - flight.record.first_token;
}

PoolMetrics Scaling::measure(std::size_t pool, Seconds now) {
  const Pool& from = pools_[pool];
  PoolMetrics out = from.facts;
  const Counts& counts = counts_[static_cast<std::size_t>(from.members.front()->llm)];
  const auto per = [](auto sum, std::int64_t count) {
    return count > 0 ? sum / static_cast<double>(count) : decltype(sum / 1.0){};
  };
  out.interval = now - decided_;
  out.arrived = counts.arrived;
  out.mean_input_tokens = per(static_cast<double>(counts.input_tokens), counts.arrived);
  out.mean_output_tokens = per(static_cast<double>(counts.output_tokens), counts.ended);
  out.mean_ttft = per(counts.ttft, counts.first_tokens);
  out.mean_itl = per(counts.gap_time, counts.gaps);
  for (const Replica* replica : from.members) {
    const bool ready = replica->state == Replica::State::kReady;
    out.ready += ready ? 1 : 0;
    out.draining += replica->state == Replica::State::kDraining ? 1 : 0;
    out.starting += members_[static_cast<std::size_t>(replica->index)].starting ? 1 : 0;
    if (!ready) continue;
    const EngineGauges gauges = replica->engine->published(now);
    const ReplicaView& view = frontend_.dispatcher_of(*replica).view_of(*replica);
    PoolMetrics::Replica& now_of = out.replicas.emplace_back();
    now_of.running = gauges.running;
    now_of.waiting = gauges.waiting;
    now_of.kv_usage = gauges.kv_usage;
    now_of.queued_prefill_tokens = view.prefill_tokens;
    const std::int64_t in_flight = std::max<std::int64_t>(1, view.in_flight);
    now_of.queued_decode_tokens = view.in_flight_tokens * gauges.waiting / in_flight;
    const double rate = replica->facts.prefill_tokens_per_s;
    if (rate > 0)
      now_of.recent_ttft =
          Seconds(static_cast<double>(view.prefill_tokens) / rate + out.mean_input_tokens / rate);
    now_of.recent_itl = out.mean_itl;
  }
  return out;
}

void Scaling::decide(Seconds now) {
  for (std::size_t i = 0; i < pools_.size(); ++i) metrics_[i] = measure(i, now);
  autoscaler_->decide(now, metrics_, wanted_);
  decided_ = now;
  std::fill(counts_.begin(), counts_.end(), Counts{});
  for (std::size_t i = 0; i < pools_.size(); ++i) {
    wanted_[i] = std::clamp(wanted_[i], pools_[i].facts.least, pools_[i].facts.most);
    adjust(i, wanted_[i]);
  }
  idle_periods_ = seen_ == seen_before_ ? idle_periods_ + 1 : 0;
  seen_before_ = seen_;
  if (idle_periods_ < kPatience) timer_.set(now + autoscaler_->period());
}

// Those that are starting count as there; drained ones are the last of those with the least to do.
void Scaling::adjust(std::size_t pool, std::int64_t wanted) {
  const auto& members = pools_[pool].members;
  std::int64_t there = 0;
  for (const Replica* replica : members)
    if (replica->state == Replica::State::kReady ||
        members_[static_cast<std::size_t>(replica->index)].starting)
      ++there;
  for (Replica* replica : members) {
    if (there >= wanted) break;
    if (replica->state != Replica::State::kDown || member(*replica).starting ||
        member(*replica).forbidden)
      continue;
    bring_up(*replica);
    ++changes_;
    ++there;
  }
  while (there > wanted) {
    Replica* idlest = nullptr;
    for (Replica* replica : members)
      if (replica->state == Replica::State::kReady &&
          (idlest == nullptr || replica->in_flight <= idlest->in_flight))
        idlest = replica;
    if (idlest == nullptr) return;
    frontend_.drain(*idlest);
    ++changes_;
    --there;
  }
}

void Scaling::bring_up(Replica& replica) {
  if (member(replica).starting || replica.up()) return;
  member(replica).starting = true;
  replica.rent(world_.now());
  const Pool& pool = pools_[static_cast<std::size_t>(replica.pool)];
  starts_.add(world_.now() + pool.startup, {&replica, ++member(replica).start});
}

bool Scaling::abandon(Replica& replica) {
  Member& its = member(replica);
  ++its.start;
  return std::exchange(its.starting, false);
}

void Scaling::forbid(const Replica& replica, bool forbidden) {
  member(replica).forbidden = forbidden;
}

void Scaling::come_up(const Start& start, Seconds now) {
  Replica& replica = *start.replica;
  if (member(replica).start != start.number) return;
  const Pool& pool = pools_[static_cast<std::size_t>(replica.pool)];
  if (Connector* connector = replica.engine->connector(); connector != nullptr && !pool.warm)
    connector->crashed();
  if (frontend_.restore(replica)) {
    member(replica).starting = false;
    return;
  }
  starts_.add(now + kTryAgain, start);
}

}  // namespace kvsim
