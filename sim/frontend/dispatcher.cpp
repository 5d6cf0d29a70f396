#include "sim/frontend/dispatcher.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {
// A gateway that sees fresh gauges looks at them so often while requests are held.
constexpr Seconds kLookAgain{1e-3};
}  // namespace

Dispatcher::Dispatcher(World& world, const Options& options)
    : world_(world),
      options_(options),
      gateway_(options.name, static_cast<std::int32_t>(options.gateway.processes)),
      scrape_(world, Priority::kObserve, call<&Dispatcher::scrape>(), this),
      release_(world, Priority::kClient, call<&Dispatcher::release>(), this),
      sweep_(world, Priority::kClient, call<&Dispatcher::sweep>(), this) {}

Dispatcher::~Dispatcher() = default;

bool Dispatcher::Watched::any_ready() const {
  return std::any_of(views.begin(), views.end(),
                     [](const ReplicaView& view) { return view.ready; });
}

void Dispatcher::set_up(Watched& watched, Side side) {
  watched.side = std::move(side);
  watched.need = watched.side.router->hashes();
  watched.gauges = watched.side.router->needs_gauges();
  watched.views.resize(watched.side.replicas.size());
  for (std::size_t i = 0; i < watched.views.size(); ++i)
    watched.views[i].ready = watched.side.replicas[i]->state == Replica::State::kReady;
  if (watched.side.index == nullptr) return;
  for (std::size_t i = 0; i < watched.views.size(); ++i)
    watched.side.index->listen(static_cast<std::int32_t>(i),
                               watched.side.replicas[i]->events.get());
}

void Dispatcher::set_main(Side side) {
  set_up(main_, std::move(side));
  gauges_ = gauges_ || main_.gauges;
  one_of_each_pool_.clear();
  for (const Replica* replica : main_.side.replicas)
    if (std::none_of(one_of_each_pool_.begin(), one_of_each_pool_.end(),
                     [&](const Replica* known) { return known->pool == replica->pool; }))
      one_of_each_pool_.push_back(replica);
}

void Dispatcher::set_prefill(Side side, std::unique_ptr<Decider> decider) {
  set_up(prefill_, std::move(side));
  gauges_ = gauges_ || prefill_.gauges;
  decider_ = std::move(decider);
}

void Dispatcher::set_admission(std::unique_ptr<Admission> admission) {
  admission_ = std::move(admission);
  gauges_ = gauges_ || (admission_ && admission_->needs_gauges());
}

bool Dispatcher::fits(const Request& request) const {
  const auto fits = [&](const Replica* replica) { return replica->engine->fits(request); };
  return std::all_of(one_of_each_pool_.begin(), one_of_each_pool_.end(), fits);
}

Seconds Dispatcher::gateway(Seconds now, std::int64_t input_tokens) {
  const GatewayCosts& costs = options_.gateway;
  const Seconds work =
      costs.cpu_per_request + costs.cpu_per_input_token * static_cast<double>(input_tokens);
  return (work > Seconds(0) ? gateway_.serve(now, work) : now) + costs.latency;
}

ClusterView Dispatcher::look(Watched& watched, Seconds now) {
  ClusterView view{.now = now, .replicas = watched.views, .cached = nullptr};
  if (watched.side.index != nullptr) {
    watched.side.index->advance(now);
    view.cached = watched.side.index.get();
  }
  return view;
}

void Dispatcher::hash(Flight& flight, const Watched& watched, Ask& ask) {
  const HashNeed& need = watched.need;
  if (need.block_tokens == 0) return;
  const std::int64_t own = watched.side.replicas.front()->facts.block_tokens;
  const std::int64_t block = need.block_tokens > 0 ? need.block_tokens : own;
  if (block == own && !need.partial_tail) {
    extend_block_hashes(flight.request, block, flight.prompt_tokens, flight.hashes);
    const auto full = static_cast<std::size_t>(flight.prompt_tokens / block);
    ask.prompt_hashes = std::span(flight.hashes).first(full);
  } else {
    hashes_.clear();
    std::int64_t tokens = flight.prompt_tokens;
    if (need.most_blocks > 0) tokens = std::min(tokens, need.most_blocks * block);
    extend_block_hashes(flight.request, block, tokens, hashes_);
    if (need.partial_tail && tokens % block != 0)
      hashes_.push_back(prefix_hash(flight.request, block, tokens, hashes_));
    ask.prompt_hashes = hashes_;
  }
  if (need.most_blocks > 0)
    ask.prompt_hashes = ask.prompt_hashes.first(
        std::min(ask.prompt_hashes.size(), static_cast<std::size_t>(need.most_blocks)));
}

Ask Dispatcher::ask_of(Flight& flight, const Watched& watched) {
  Ask ask;
  ask.number = flight.number;
  ask.input_tokens = flight.prompt_tokens;
  ask.session = flight.request.session;
  ask.priority = flight.request.priority;
  ask.tenant = flight.request.tenant;
  hash(flight, watched, ask);
  return ask;
}

Admission::Verdict Dispatcher::admit(Flight& flight, Seconds now) {
  // Without replicas there is nothing to wait for: the router will tell.
  if (admission_ == nullptr || !main_.any_ready()) return Admission::Verdict::kAdmit;
  if (gauges_) start_scraping(now);
  const Admission::Verdict verdict = admission_->admit(ask_of(flight, main_), look(main_, now));
  if (verdict == Admission::Verdict::kHold) {
    may_release(now);
    if (const Seconds period = admission_->sweep_period(); period > Seconds(0) && !sweep_.pending())
      sweep_.set(now + period);
  }
  return verdict;
}

Seconds Dispatcher::lookup_time() const {
  if (main_.views.size() == 1 && prefill_.views.empty()) return Seconds(0);
  return main_.side.router->lookup_time();
}

Dispatcher::Route Dispatcher::route(Flight& flight, Seconds now) {
  Route out;
  if (!main_.any_ready()) {
    out.nobody = true;
    return out;
  }
  const auto count = static_cast<std::int32_t>(main_.views.size());
  if (count == 1 && prefill_.views.empty()) {
    out.replica = main_.side.replicas.front();
    out.choice = 0;
    return out;
  }
  if (gauges_) start_scraping(now);
  const ClusterView view = look(main_, now);
  const Ask ask = ask_of(flight, main_);
  const Decision decision = main_.side.router->route(ask, view);
  if (decision.replica == Decision::kRefuse) return out;
  KV_CHECK(decision.replica >= 0 && decision.replica < count);
  out.choice = decision.replica;
  out.replica = main_.side.replicas[static_cast<std::size_t>(decision.replica)];
  if (prefill_.views.empty() || !prefill_.any_ready()) return out;

  const ClusterView prefill_view = look(prefill_, now);
  const Ask prefill_ask = ask_of(flight, prefill_);
  const Decision prefill = prefill_.side.router->route(prefill_ask, prefill_view);
  if (prefill.replica == Decision::kRefuse) return out;
  const Decider::Question question{.ask = ask,
                                   .hit_tokens = decision.hit_tokens,
                                   .decode = decision.replica,
                                   .prefill = prefill.replica,
                                   .prefill_view = prefill_view,
                                   .decode_view = view};
  if (!decider_->remote(question)) {
    prefill_.side.router->ended(ask.number, now);  // it was never sent
    return out;
  }
  out.prefill_choice = prefill.replica;
  out.prefill = prefill_.side.replicas[static_cast<std::size_t>(prefill.replica)];
  return out;
}

void Dispatcher::sent(const Flight& flight) {
  ReplicaView& view = side_of(flight).views[static_cast<std::size_t>(flight.choice)];
  ++view.in_flight;
  view.in_flight_tokens += flight.prompt_tokens;
  view.prefill_tokens += flight.prompt_tokens;
  ++in_flight_;
}

void Dispatcher::first_token(const Flight& flight, Seconds now) {
  Watched& watched = side_of(flight);
  watched.views[static_cast<std::size_t>(flight.choice)].prefill_tokens -= flight.prompt_tokens;
  watched.side.router->first_token(flight.number, now);
  may_release(now);
}

void Dispatcher::ended(const Flight& flight, Seconds now) {
  Watched& watched = side_of(flight);
  ReplicaView& view = watched.views[static_cast<std::size_t>(flight.choice)];
  --view.in_flight;
  view.in_flight_tokens -= flight.prompt_tokens;
  if (!flight.told_first) view.prefill_tokens -= flight.prompt_tokens;
  --in_flight_;
  watched.side.router->ended(flight.number, now);
  may_release(now);
}

const ReplicaView& Dispatcher::view_of(const Replica& replica) const {
  const Watched& watched = replica.role == Role::kPrefill ? prefill_ : main_;
  const auto at = std::find(watched.side.replicas.begin(), watched.side.replicas.end(), &replica);
  return watched.views[static_cast<std::size_t>(at - watched.side.replicas.begin())];
}

void Dispatcher::set_ready(const Replica& replica, bool ready) {
  for (Watched* watched : {&main_, &prefill_})
    for (std::size_t i = 0; i < watched->views.size(); ++i)
      if (watched->side.replicas[i] == &replica) watched->views[i].ready = ready;
  may_release(world_.now());
}

void Dispatcher::lost(const Replica& replica) {
  for (Watched* watched : {&main_, &prefill_}) {
    for (std::size_t i = 0; i < watched->views.size(); ++i) {
      if (watched->side.replicas[i] != &replica) continue;
      if (watched->side.index) watched->side.index->clear(static_cast<std::int32_t>(i));
      watched->side.router->lost(static_cast<std::int32_t>(i));
    }
  }
}

void Dispatcher::start_scraping(Seconds now) {
  if (options_.view_refresh <= Seconds(0)) {
    scrape(now);
    return;
  }
  if (scrape_.pending()) return;
  // Scrapes lie on multiples of the period, whether or not anybody looked in between.
  const double period = options_.view_refresh.count();
  scrapes_ = static_cast<std::int64_t>(std::floor(now.count() / period)) + 1;
  scrape_.set(Seconds(period * static_cast<double>(scrapes_)));
}

void Dispatcher::read_gauges(Watched& watched, Seconds now) {
  for (std::size_t i = 0; i < watched.views.size(); ++i) {
    const Replica& replica = *watched.side.replicas[i];
    if (!replica.up()) continue;
    const EngineGauges gauges = replica.engine->published(now);
    ReplicaView& view = watched.views[i];
    view.running = gauges.running;
    view.waiting = gauges.waiting;
    view.kv_usage = gauges.kv_usage;
    view.scraped = now;
  }
}

void Dispatcher::scrape(Seconds now) {
  read_gauges(main_, now);
  read_gauges(prefill_, now);
  if (options_.view_refresh <= Seconds(0)) return;
  may_release(now);
  if (in_flight_ == 0 && held() == 0) return;
  ++scrapes_;
  scrape_.set(Seconds(options_.view_refresh.count() * static_cast<double>(scrapes_)));
}

// Not at once: whoever tells of a change is in the middle of it.
void Dispatcher::may_release(Seconds now) {
  if (held() > 0 && !release_.pending()) release_.set(now);
}

void Dispatcher::release(Seconds now) {
  if (!main_.any_ready()) return deserted_();
  if (gauges_ && options_.view_refresh <= Seconds(0)) scrape(now);
  while (const std::optional<std::int64_t> number = admission_->next(look(main_, now)))
    released_(*number, false);
  // Always fresh gauges change without a word.
  if (held() > 0 && admission_->needs_gauges() && options_.view_refresh <= Seconds(0))
    release_.set(now + kLookAgain);
}

void Dispatcher::sweep(Seconds now) {
  while (const std::optional<std::int64_t> number = admission_->expired(now))
    released_(*number, true);
  if (held() > 0) sweep_.set(now + admission_->sweep_period());
}

void Dispatcher::close() {
  if (in_flight_ == 0)
    for (const Watched* watched : {&main_, &prefill_})
      for (const ReplicaView& view : watched->views)
        KV_CHECK(view.in_flight == 0 && view.in_flight_tokens == 0 && view.prefill_tokens == 0,
                 "{} requests, {} tokens, {} of prompts left in a view", view.in_flight,
                 view.in_flight_tokens, view.prefill_tokens);
  scrape_.cancel();
  release_.cancel();
  sweep_.cancel();
}

std::vector<ResourceUse> Dispatcher::resources() const {
  if (gateway_.use().busy <= Seconds(0)) return {};
  return {gateway_.use()};
}

}  // namespace kvsim
