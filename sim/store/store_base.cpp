#include "sim/store/store_base.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/des/waiting.hpp"

namespace kvsim {

// A command on a copy of its own: who asked may have gone when it ends.
struct StoreBase::Flight {
  Flight(Tasks& tasks, const Command& asked) : command(asked), done(tasks) {}
  Command command;
  Signal done;
};

StoreBase::StoreBase(const Context& context, const OutageOptions& options)
    : context_(context), outages_(options.outages) {
  for (std::size_t i = 1; i < outages_.size(); ++i)
    if (outages_[i].at < outages_[i - 1].end())
      throw ConfigError(
          fmt::format("store {}: /outages/{}: found at_s {}; allowed: not before the end of the "
                      "one before it, {}",
                      context.name, i, outages_[i].at.count(), outages_[i - 1].end().count()));
}

std::int64_t StoreBase::life() const {
  std::int64_t life = 0;
  const Seconds now = tasks().now();
  for (const Outage& outage : outages_) {
    if (outage.at > now) break;
    if (outage.dead() || (!outage.warm() && outage.end() <= now)) ++life;
  }
  return life;
}

void StoreBase::go_down() {
  const Seconds now = tasks().now();
  if (current() != nullptr) return;  // it is
  constexpr Seconds kForEver{1e18};
  const auto later = std::find_if(outages_.begin(), outages_.end(),
                                  [&](const Outage& outage) { return outage.at > now; });
  Outage outage;
  outage.at = now;
  outage.length = kForEver;
  outages_.insert(later, outage);
}

void StoreBase::come_up(bool warm) {
  const Seconds now = tasks().now();
  for (Outage& outage : outages_) {
    if (outage.at > now || now >= outage.end()) continue;
    outage.length = now - outage.at;
    outage.restart = warm ? "warm" : "cold";
  }
}

void StoreBase::catch_up() {
  for (; restarted_ < outages_.size() && outages_[restarted_].end() <= tasks().now(); ++restarted_)
    restart(outages_[restarted_].warm());
}

const Outage* StoreBase::current() const {
  const Seconds now = tasks().now();
  for (const Outage& outage : outages_)
    if (outage.at <= now && now < outage.end()) return &outage;
  return nullptr;
}

Seconds StoreBase::until_death() const {
  const Seconds now = tasks().now();
  for (const Outage& outage : outages_) {
    if (outage.dead() && outage.at > now) return outage.at - now;
    if (!outage.dead() && !outage.warm() && outage.end() > now) return outage.end() - now;
  }
  return Seconds(-1);
}

Task StoreBase::fly(std::shared_ptr<Flight> flight) {
  co_await run(flight->command);
  flight->done.fire();
}

Task StoreBase::run_past_outages(Command& command) {
  const Seconds began = tasks().now();
  catch_up();
  if (const Outage* outage = current(); outage != nullptr) {
    if (outage->dead()) {
      answer(command, Answer::kFailed);
      co_return;
    }
    co_await tasks().sleep(outage->end() - began);
    command.times[Stage::kServer] += tasks().now() - began;
    catch_up();
    if (!outage->warm()) {
      answer(command, Answer::kFailed);
      co_return;
    }
  }
  const auto flight = std::make_shared<Flight>(tasks(), command);
  tasks().start(fly(flight));
  if (!co_await flight->done.wait(until_death())) {
    flight->command.stream = nullptr;  // nobody waits for it any more
    answer(command, Answer::kFailed);
    co_return;
  }
  command = flight->command;
  if (command.answer == Answer::kNone) command.answer = Answer::kFailed;  // died at this instant
  if (const Outage* outage = current(); outage != nullptr && !outage->dead()) {
    // Served while nobody could be answered.
    const Seconds wait = outage->end() - tasks().now();
    command.times[Stage::kServer] += wait;
    co_await tasks().sleep(wait);
    if (!outage->warm()) command.answer = Answer::kFailed;
  }
}

void StoreBase::answer(Command& command, Answer answer) {
  command.answer = answer;
  if (answer == Answer::kFailed) return;
  tell(command);
  if (command.verb == Verb::kGet) {
    ++use_.gets;
    if (answer == Answer::kFound) ++use_.hits;
  }
  if (command.verb != Verb::kPut) return;
  ++use_.puts;
  (answer == Answer::kStored ? use_.stored : use_.refused) += command.bytes;
}

void StoreBase::tell(const Command& command) {
  for (StoreListener* listener : listeners_) {
    if (command.answer == Answer::kStored) listener->stored(command);
    if (command.answer != Answer::kFound) continue;
    if (command.verb == Verb::kGet) listener->read(command.key);
    if (command.verb == Verb::kRemove) listener->gone(command.key);
  }
}

}  // namespace kvsim
