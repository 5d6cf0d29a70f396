// What all stores share: outages of the process, and the counts of a summary.
//
// An outage is found when a command meets it: no timer runs for one that nobody notices. A dead
// process refuses at once and loses the commands that it was serving; a hung one makes them wait
// until it goes on (then they are served, or lost when it had to be killed: restart "cold").
// Left out: background work under way goes on during an outage.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"
#include "sim/store/store.hpp"

namespace kvsim {

struct Outage {
  Seconds at{0};
  Seconds length{1};
  std::string kind = "dead";
  std::string restart = "cold";
  template <class F>
  void fields(F& f) {
    f.required("at_s", at, Range{0, 1e9}, "When it begins.");
    f.required("for_s", length, Range{1e-6, 1e9}, "How long it lasts.");
    f.choice("kind", kind, {"dead", "hung"},
             "Refuses connections and loses what it was serving, or answers nobody.");
    f.choice("restart", restart, {"warm", "cold"},
             "As it was, or without all that was not on disk; a cold restart of a hung store loses "
             "the commands that waited.");
  }
  [[nodiscard]] Seconds end() const { return at + length; }
  [[nodiscard]] bool dead() const { return kind == "dead"; }
  [[nodiscard]] bool warm() const { return restart == "warm"; }
};

// Part of the options of every store.
struct OutageOptions {
  std::vector<Outage> outages;
  template <class F>
  void fields(F& f) {
    f.optional("outages", outages, "When the store is dead or hung; in order, not overlapping.");
  }
};

class StoreBase : public Store {
 public:
  // ConfigError when outages are out of order.
  StoreBase(const Context& context, const OutageOptions& options);

  [[nodiscard]] Task serve(Command& command) final {
    return outages_.empty() ? run(command) : run_past_outages(command);
  }
  [[nodiscard]] StoreUse use() const override { return use_; }
  void go_down() override;
  void come_up(bool warm) override;
  void add_listener(StoreListener* listener) override { listeners_.push_back(listener); }

 protected:
  // The command itself: spends its time, leaves its answer.
  [[nodiscard]] virtual Task run(Command& command) = 0;

  // Which process serves: a command that began under another one has lost its connection, and must
  // change nothing any more.
  [[nodiscard]] std::int64_t life() const;
  // Leaves an answer, counts it and tells listeners of it.
  void answer(Command& command, Answer answer);
  // For listeners, what no answer tells: the key has gone by itself; all have.
  void tell_gone(StoreKey key) {
    for (StoreListener* listener : listeners_) listener->gone(key);
  }
  void tell_cleared() {
    for (StoreListener* listener : listeners_) listener->cleared();
  }

  [[nodiscard]] Tasks& tasks() const { return context_.tasks; }
  [[nodiscard]] Host& host() const { return context_.host; }
  [[nodiscard]] const Context& context() const { return context_; }
  StoreUse& counts() { return use_; }

 private:
  struct Flight;
  [[nodiscard]] Task run_past_outages(Command& command);
  [[nodiscard]] Task fly(std::shared_ptr<Flight> flight);
  // Restarts that are over by now.
  void catch_up();
  [[nodiscard]] const Outage* current() const;
  // Until a process that serves now dies; negative: never.
  [[nodiscard]] Seconds until_death() const;

  void tell(const Command& command);

  Context context_;
  std::vector<StoreListener*> listeners_;
  std::vector<Outage> outages_;
  std::size_t restarted_ = 0;  // of outages_
  StoreUse use_;
};

}  // namespace kvsim
