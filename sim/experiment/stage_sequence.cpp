#include "sim/experiment/stage_sequence.hpp"

#include <algorithm>

#include "sim/base/check.hpp"
#include "sim/base/sha256.hpp"

namespace kvsim {

StageSequence::StageSequence(World& world, std::vector<LoadStage> stages, Frontend& frontend)
    : world_(world),
      stages_(std::move(stages)),
      frontend_(frontend),
      begins_(world, Priority::kClient, call<&StageSequence::begin_next>(), this),
      duration_(world, Priority::kClient, call<&StageSequence::time_over>(), this) {
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    LoadStage& stage = stages_[i];
    KV_CHECK(stage.duration || stage.at_end != LoadStage::AtEnd::kCancel, "cancelled at no time");
    drivers_.push_back(std::make_unique<LoadDriver>(world, stage.clients, *stage.source, frontend));
    drivers_.back()->set_told(
        {.all_sent = [this, i] { all_sent(i); }, .finished = [this, i] { drained(i); }});
    spans_.push_back({.name = stage.name, .duration = stage.duration.value_or(Seconds(0))});
  }
  frontend_.set_ended([this](const Request& request, Seconds at) {
    drivers_[static_cast<std::size_t>(request.stage)]->ended(request, at);
  });
}

void StageSequence::start() {
  if (stages_.front().pause > Seconds(0)) {
    ended_ = true;  // of nothing
    begins_.set(stages_.front().pause);
  } else {
    begin_next(Seconds(0));
  }
}

void StageSequence::begin_next(Seconds now) {
  if (spans_[current_].begun()) ++current_;
  ended_ = false;
  const LoadStage& stage = current();
  spans_[current_].begin = now;
  const bool cancels = stage.at_end == LoadStage::AtEnd::kCancel;
  const bool goes_on = stage.at_end == LoadStage::AtEnd::kGoOn && !last();
  if (stage.duration && (cancels || goes_on)) {
    spans_[current_].end = now + *stage.duration;
    duration_.set(spans_[current_].end);
  }
  LoadDriver& driver = *drivers_[current_];
  driver.start(now);
  // Empty. (A run that has nothing else to do ends by itself.)
  if (driver.finished() && !(last() && current_ == 0)) drained(current_);
}

// Nothing can come of a stage that goes on but its answers.
void StageSequence::all_sent(std::size_t stage) {
  if (stage != current_ || ended_ || last()) return;
  if (current().at_end == LoadStage::AtEnd::kGoOn && !current().duration) end(world_.now());
}

void StageSequence::drained(std::size_t stage) {
  if (finished()) return world_.stop();
  if (stage != current_ || ended_ || last()) return;
  const LoadStage& done = current();
  const Seconds answered = std::max(world_.now(), drivers_[stage]->last_ended());
  if (done.at_end == LoadStage::AtEnd::kDrain) {
    end(std::max(answered, spans_[stage].begin + done.duration.value_or(Seconds(0))));
  } else if (!done.duration) {
    end(world_.now());  // one that goes on, and had nothing to send
  }
}

void StageSequence::time_over(Seconds now) {
  if (current().at_end == LoadStage::AtEnd::kCancel) {
    drivers_[current_]->cancel();
    frontend_.cancel(static_cast<std::int32_t>(current_));
    if (finished()) return world_.stop();
  }
  if (!last()) end(now);
}

// `at` may lie ahead: an answer is on its way, or the stage's time is not over.
void StageSequence::end(Seconds at) {
  ended_ = true;
  spans_[current_].end = at;
  begins_.set(at + stages_[current_ + 1].pause);
}

bool StageSequence::finished() const {
  return current_ + 1 == stages_.size() &&
         std::all_of(drivers_.begin(), drivers_.end(),
                     [](const auto& driver) { return driver->finished(); });
}

void StageSequence::close(Seconds now) {
  for (StageSpan& span : spans_) {
    span.begin = std::min(span.begin, now);
    span.end = std::min(span.end, now);
  }
}

std::string StageSequence::digest() const {
  if (stages_.size() == 1) return stages_.front().source->digest();
  std::string all;
  for (const LoadStage& stage : stages_) all += stage.source->digest();
  return sha256_hex(all);
}

}  // namespace kvsim
