#include "sim/store/write_controller.hpp"

#include <algorithm>

namespace kvsim {

namespace {

using State = WriteCondition::State;
using Cause = WriteCondition::Cause;

// db/column_family.cc of RocksDB.
constexpr double kDebtGrew = 0.8;
constexpr double kDebtShrank = 1 / kDebtGrew;
constexpr double kNearStop = 0.6;
constexpr double kRecovered = 1.4;
constexpr Bandwidth kMinRate{16.0 * 1024};
constexpr Seconds kRefill{0.001};

bool near_hard_limit(const LsmOptions& options, Bytes pending) {
  const Bytes soft = options.soft_pending_compaction;
  const Bytes hard = options.hard_pending_compaction;
  return hard > Bytes(0) && pending - soft > (hard - soft) * 3 / 4;
}

}  // namespace

WriteCondition write_condition(const LsmOptions& options, const WritePressure& pressure) {
  const int memtables = pressure.immutable_memtables;
  const int files = pressure.level0_files;
  const Bytes pending = pressure.pending_compaction;
  const Bytes soft = options.soft_pending_compaction;
  const Bytes hard = options.hard_pending_compaction;
  if (memtables >= options.max_write_buffer_number) return {State::kStopped, Cause::kMemtables};
  if (files >= options.level0_stop_writes_trigger) return {State::kStopped, Cause::kLevel0Files};
  if (hard > Bytes(0) && pending >= hard) return {State::kStopped, Cause::kPendingBytes};
  if (options.max_write_buffer_number > 3 && memtables >= options.max_write_buffer_number - 1 &&
      memtables - 1 >= options.min_write_buffer_number_to_merge) {
    return {State::kDelayed, Cause::kMemtables};
  }
  if (files >= options.level0_slowdown_writes_trigger) {
    return {State::kDelayed, Cause::kLevel0Files, files >= options.level0_stop_writes_trigger - 2};
  }
  if (soft > Bytes(0) && pending >= soft) {
    return {State::kDelayed, Cause::kPendingBytes, near_hard_limit(options, pending)};
  }
  return {};
}

WriteController::WriteController(const LsmOptions& options)
    : max_rate_(options.delayed_write_rate_or_default()), rate_(max_rate_) {}

void WriteController::update(const WriteCondition& condition, Bytes pending_compaction) {
  const State before = condition_.state;
  condition_ = condition;
  if (condition.state == State::kDelayed) {
    if (before == State::kDelayed) {
      adjust_rate(condition.near_stop, pending_compaction);
    } else {
      // The rate stays as it was, also after a stop: RocksDB adjusts it only while it delays.
      credit_bytes_ = 0;
      next_refill_ = Seconds(-1);
    }
  } else if (condition.state == State::kNormal && before == State::kDelayed) {
    rate_ = std::min(max_rate_, Bandwidth(rate_.count() * kRecovered));
  }
  previous_pending_ = pending_compaction;
}

void WriteController::adjust_rate(bool penalise, Bytes pending_compaction) {
  if (max_rate_ <= kMinRate) return;
  double factor = 1;
  if (penalise) {
    factor = kNearStop;
  } else if (previous_pending_ > Bytes(0) && previous_pending_ <= pending_compaction) {
    factor = kDebtGrew;
  } else if (previous_pending_ > pending_compaction) {
    factor = kDebtShrank;
  }
  const Bandwidth wanted(rate_.count() * factor);
  if (factor != 1) rate_ = std::clamp(wanted, kMinRate, max_rate_);
}

Seconds WriteController::delay(Bytes bytes, Seconds now) {
  if (condition_.state != State::kDelayed) return Seconds(0);
  const double wanted = bytes.real();
  const auto pay = [&] {
    if (credit_bytes_ < wanted) return false;
    credit_bytes_ -= wanted;
    return true;
  };
  if (pay()) return Seconds(0);
  if (next_refill_ < Seconds(0)) next_refill_ = now;
  if (next_refill_ <= now) {
    credit_bytes_ += (now - next_refill_ + kRefill).count() * rate_.count();
    next_refill_ = now + kRefill;
    if (pay()) return Seconds(0);
  }
  next_refill_ += Seconds((wanted - credit_bytes_) / rate_.count());
  credit_bytes_ = 0;
  return std::max(next_refill_ - now, kRefill);
}

}  // namespace kvsim
