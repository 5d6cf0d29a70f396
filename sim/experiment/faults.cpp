#include "sim/experiment/faults.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

constexpr std::array<const char*, kFaultKinds> kNames = {"replica-crash", "node-loss",
                                                         "store-restart", "link-degradation",
                                                         "slow-disk",     "network-partition"};

bool has_factor(FaultKind kind) {
  return kind == FaultKind::kLinkDegradation || kind == FaultKind::kSlowDisk;
}

// One target of a fault: its name, or its number.
std::int32_t index_of(const Json& target, const FaultConfig& fault,
                      const std::vector<std::string>& names) {
  if (target.is_string()) {
    const auto found = std::find(names.begin(), names.end(), target.get<std::string>());
    if (found != names.end()) return static_cast<std::int32_t>(found - names.begin());
  } else {
    const auto number = target.get<std::int64_t>();
    if (number >= 0 && number < static_cast<std::int64_t>(names.size()))
      return static_cast<std::int32_t>(number);
  }
  throw ConfigError(fmt::format("fault of kind {}: found target {}; allowed: random, {} or 0 to {}",
                                fault.kind, target.dump(), join_names(names),
                                static_cast<std::int64_t>(names.size()) - 1));
}

// Empty: random.
std::vector<std::int32_t> targets_of(const FaultConfig& fault,
                                     const std::vector<std::string>& names) {
  if (names.empty())
    throw ConfigError(fmt::format("fault of kind {}: there is nothing of that kind", fault.kind));
  if (fault.target == "random") return {};
  if (!fault.target.is_array()) return {index_of(fault.target, fault, names)};
  std::vector<std::int32_t> out;
  for (const Json& target : fault.target) out.push_back(index_of(target, fault, names));
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace

const char* name_of(FaultKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

std::vector<std::string> FaultConfig::kinds() { return {kNames.begin(), kNames.end()}; }

FaultKind FaultConfig::what() const {
  const auto found = std::find(kNames.begin(), kNames.end(), kind);
  KV_CHECK(found != kNames.end(), "fault of kind {}", kind);
  return static_cast<FaultKind>(found - kNames.begin());
}

void FaultConfig::check() const {
  const auto fail = [this](const char* found, const char* allowed) {
    throw ConfigError(fmt::format("fault of kind {}: found {}; allowed: {}", kind, found, allowed));
  };
  if (kind.empty()) fail("no kind", join_names(kinds()).c_str());
  if (at.has_value() == rate.has_value()) fail("both or none of at_s and rate", "one");
  if (has_factor(what()) != factor.has_value())
    fail(factor ? "a factor" : "no factor",
         factor ? "only for link-degradation and slow-disk" : "a factor");
  if (cache != "cold" && what() != FaultKind::kStoreRestart)
    fail("a cache", "only for store-restart");
  const auto plain = [](const Json& json) { return json.is_string() || json.is_number_integer(); };
  const bool list = target.is_array() && !target.empty() && what() == FaultKind::kPartition &&
                    std::all_of(target.begin(), target.end(), plain);
  if (!plain(target) && !list)
    fail("another target", "a name, a number or random; for network-partition a list of nodes");
}

std::optional<Seconds> RetryConfig::wait_after(std::int64_t made) const {
  if (made >= attempts) return std::nullopt;
  return backoff * std::pow(backoff_factor, static_cast<double>(made - 1));
}

const std::vector<std::string>& FaultNames::of(FaultKind kind) const {
  switch (kind) {
    case FaultKind::kReplicaCrash:
      return replicas;
    case FaultKind::kStoreRestart:
      return stores;
    case FaultKind::kSlowDisk:
      return disks;
    default:
      return nodes;
  }
}

FaultSchedule::FaultSchedule(const std::vector<FaultConfig>& faults, const FaultNames& names,
                             std::uint64_t seed) {
  for (std::size_t i = 0; i < faults.size(); ++i) {
    const FaultConfig& fault = faults[i];
    const FaultKind kind = fault.what();
    std::optional<Seconds> duration = fault.duration;
    if (kind == FaultKind::kStoreRestart && !duration) duration = Seconds(0);
    Source source{.kind = kind,
                  .targets = targets_of(fault, names.of(kind)),
                  .choices = static_cast<std::int32_t>(names.of(kind).size()),
                  .begin = fault.at,
                  .rate = fault.rate,
                  .duration = duration,
                  .factor = fault.factor.value_or(1),
                  .warm = fault.cache == "warm",
                  .when = stream(seed, fmt::format("faults/{}/when", i)),
                  .which = stream(seed, fmt::format("faults/{}/which", i))};
    if (source.rate)
      source.begin = Seconds(source.when.exponential(source.rate->mean_between.count()));
    sources_.push_back(std::move(source));
  }
}

std::optional<FaultEvent> FaultSchedule::next() {
  Source* first = nullptr;
  for (Source& source : sources_)
    if (source.begin && (!first || *source.begin < *first->begin)) first = &source;
  if (!ends_.empty() && (!first || ends_.back().at <= *first->begin)) {
    FaultEvent event = std::move(ends_.back());
    ends_.pop_back();
    return event;
  }
  if (!first) return std::nullopt;
  FaultEvent event = begin_of(*first);
  if (first->duration) add_end(event, *first->duration);
  return event;
}

FaultEvent FaultSchedule::begin_of(Source& source) {
  FaultEvent event{.at = *source.begin,
                   .begins = true,
                   .kind = source.kind,
                   .targets = source.targets,
                   .factor = source.factor,
                   .warm = source.warm};
  if (event.targets.empty())
    event.targets.push_back(
        static_cast<std::int32_t>(source.which.below(static_cast<std::uint64_t>(source.choices))));
  source.begin.reset();
  if (source.rate)
    source.begin = event.at + Seconds(source.when.exponential(source.rate->mean_between.count()));
  return event;
}

void FaultSchedule::add_end(FaultEvent event, Seconds duration) {
  event.begins = false;
  event.at += duration;
  // Before those of the same instant, which are taken from the back: in order of their begins.
  const auto place = std::find_if(ends_.begin(), ends_.end(),
                                  [&](const FaultEvent& other) { return other.at <= event.at; });
  ends_.insert(place, std::move(event));
}

FaultInjector::FaultInjector(World& world, FaultSchedule schedule, FaultTargets& targets)
    : schedule_(std::move(schedule)),
      targets_(targets),
      names_(targets.names()),
      timer_(world, Priority::kDeliver, call<&FaultInjector::wake>(), this) {
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind)
    troubles_[kind].resize(names_.of(static_cast<FaultKind>(kind)).size());
}

void FaultInjector::start() {
  next_ = schedule_.next();
  arm();
}

void FaultInjector::stop() {
  next_.reset();
  timer_.cancel();
}

void FaultInjector::arm() {
  if (next_) timer_.set(next_->at);
}

void FaultInjector::wake(Seconds now) {
  while (next_ && next_->at <= now) {
    const FaultEvent event = std::move(*next_);
    next_ = schedule_.next();
    apply(event);  // may stop()
  }
  arm();
}

void FaultInjector::apply(const FaultEvent& event) {
  if (event.begins) ++begun_[static_cast<std::size_t>(event.kind)];
  if (event.kind == FaultKind::kPartition) {
    apply_cut(event);
    return;
  }
  const auto target = static_cast<std::size_t>(event.targets.front());
  Trouble& trouble = troubles_[static_cast<std::size_t>(event.kind)].at(target);
  std::vector<double>& factors = trouble.factors;
  const double before = trouble.worst();
  const std::size_t faults = factors.size();
  if (event.begins) {
    factors.push_back(event.factor);
  } else {
    factors.erase(std::find(factors.begin(), factors.end(), event.factor));
  }
  trouble.cold = trouble.cold || !event.warm;
  const bool changed =
      has_factor(event.kind) ? trouble.worst() != before : (faults == 0) != factors.empty();
  if (changed) act(event, trouble);
  if (factors.empty()) trouble.cold = false;
}

void FaultInjector::act(const FaultEvent& event, const Trouble& trouble) {
  const std::int32_t target = event.targets.front();
  const std::string& name = names_.of(event.kind).at(static_cast<std::size_t>(target));
  switch (event.kind) {
    case FaultKind::kReplicaCrash:
      return event.begins ? targets_.crash_replica(target) : targets_.restore_replica(target);
    case FaultKind::kNodeLoss:
      return event.begins ? targets_.lose_node(target) : targets_.restore_node(target);
    case FaultKind::kStoreRestart:
      return event.begins ? targets_.stop_store(name) : targets_.restart_store(name, !trouble.cold);
    case FaultKind::kLinkDegradation:
      return targets_.degrade_link(target, trouble.worst());
    case FaultKind::kSlowDisk:
      return targets_.slow_disk(name, trouble.worst());
    case FaultKind::kPartition:
      return;
  }
}

void FaultInjector::apply_cut(const FaultEvent& event) {
  auto cut = std::find_if(cuts_.begin(), cuts_.end(),
                          [&](const Cut& other) { return other.nodes == event.targets; });
  if (cut == cuts_.end()) cut = cuts_.insert(cut, {.nodes = event.targets});
  cut->faults += event.begins ? 1 : -1;
  if (event.begins && cut->faults == 1) targets_.partition(event.targets, true);
  if (cut->faults > 0) return;
  cuts_.erase(cut);
  targets_.partition(event.targets, false);
}

double FaultInjector::Trouble::worst() const {
  return factors.empty() ? 1 : *std::min_element(factors.begin(), factors.end());
}

}  // namespace kvsim
