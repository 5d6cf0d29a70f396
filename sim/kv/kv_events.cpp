#include "sim/kv/kv_events.hpp"

#include <algorithm>
#include <limits>
#include <string>

namespace kvsim {
namespace {

constexpr Seconds kNever{std::numeric_limits<double>::infinity()};
// Events read are dropped when there are that many, and more than are left.
constexpr std::size_t kDropLeast = 4096;

}  // namespace

class KvEventLog::Tier final : public BlockListener {
 public:
  Tier(KvEventLog& log, std::uint8_t tier) : log_(log), tier_(tier) {}
  void cached(BlockHash hash) override { collect(hash, KvEvent::Kind::kStored); }
  void evicted(BlockHash hash) override { collect(hash, KvEvent::Kind::kRemoved); }

 private:
  void collect(BlockHash hash, KvEvent::Kind kind) {
    if (tier_ > 0) log_.catch_up();
    log_.collected_.push_back({Seconds(0), hash, tier_, kind});
  }

  KvEventLog& log_;
  std::uint8_t tier_;
};

KvEventLog::KvEventLog(const KvEventOptions& options, std::uint64_t seed, std::int32_t replica)
    : front_at_(kNever),
      options_(options),
      rng_(stream(seed, "kv-events/" + std::to_string(replica))) {}

KvEventLog::~KvEventLog() = default;

BlockListener* KvEventLog::tier(std::size_t tier) {
  while (tiers_.size() <= tier)
    tiers_.push_back(std::make_unique<Tier>(*this, static_cast<std::uint8_t>(tiers_.size())));
  return tiers_[tier].get();
}

void KvEventLog::cleared() {
  lost_batches_ += static_cast<std::int64_t>(missing_.size());
  missing_.clear();
  collected_.clear();
  collected_.push_back({Seconds(0), 0, 0, KvEvent::Kind::kCleared});
}

void KvEventLog::publish(Seconds now) {
  ++batches_;
  if (options_.loss > 0 && rng_.uniform() < options_.loss) {
    if (options_.replay_batches > 0) {
      missing_.push_back({batches_, std::move(collected_)});
    } else {
      ++lost_batches_;
    }
    collected_.clear();
    return;
  }
  Seconds at = now + options_.publish + options_.network + options_.apply;
  if (!missing_.empty() && replay_missing(at + options_.replay)) at += options_.replay;
  append(collected_, at);
  collected_.clear();
}

bool KvEventLog::replay_missing(Seconds at) {
  bool any = false;
  for (const Batch& batch : missing_) {
    if (batches_ - batch.number < options_.replay_batches) {
      any = true;
      append(batch.events, at);
    } else {
      ++lost_batches_;
    }
  }
  missing_.clear();
  return any;
}

// A batch does not overtake the one before.
void KvEventLog::append(std::span<const KvEvent> events, Seconds at) {
  last_ = std::max(last_, at);
  const std::size_t first = events_.size();
  events_.insert(events_.end(), events.begin(), events.end());
  for (std::size_t i = first; i < events_.size(); ++i) events_[i].at = last_;
  if (read_ < events_.size()) front_at_ = events_[read_].at;
}

std::span<const KvEvent> KvEventLog::visible(Seconds now) const {
  std::size_t end = read_;
  while (end < events_.size() && events_[end].at <= now) ++end;
  return std::span(events_).subspan(read_, end - read_);
}

void KvEventLog::consume(std::size_t count) {
  read_ += count;
  if (read_ == events_.size()) {
    events_.clear();
    read_ = 0;
  } else if (read_ > kDropLeast && 2 * read_ > events_.size()) {
    events_.erase(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(read_));
    read_ = 0;
  }
  front_at_ = read_ < events_.size() ? events_[read_].at : kNever;
}

}  // namespace kvsim
