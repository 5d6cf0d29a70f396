// The stages of an experiment: one load after the other on the same deployment, which keeps its
// caches. An experiment without stages is one stage.
//
// A stage ends, and the next one begins `pause` later:
//   drain   when everything it sent has ended
//   cancel  `duration` after its beginning; what is in flight is given up then
//   go on   `duration` after its beginning, or else when there is nothing more to send; what is
//           in flight is served beside the next stage
// No stage but the last ends before its duration is over, even if it has nothing more to send. The
// last one ends with the run: when everything of all stages has ended.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/frontend/load_driver.hpp"
#include "sim/report/stage_recorder.hpp"

namespace kvsim {

struct LoadStage {
  enum class AtEnd : std::uint8_t { kDrain, kCancel, kGoOn };
  std::string name;
  std::unique_ptr<RequestSource> source;  // Request::stage is the stage's index
  LoadDriver::Options clients;
  std::optional<Seconds> duration;  // asked for; kCancel needs it
  AtEnd at_end = AtEnd::kDrain;
  Seconds pause{0};  // before it
};

class StageSequence {
 public:
  // Hears of the ends of all requests of `frontend`. Ends the world's run after the last stage.
  StageSequence(World& world, std::vector<LoadStage> stages, Frontend& frontend);

  // Before World::run().
  void start();
  // Every request of every stage has been sent and has ended, or was given up.
  [[nodiscard]] bool finished() const;
  // When stages begin and end, as far as known. After close() all of them.
  [[nodiscard]] const std::vector<StageSpan>& spans() const { return spans_; }
  // The run is over: so is the stage under way.
  void close(Seconds now);
  // Of the requests of all stages.
  [[nodiscard]] std::string digest() const;

 private:
  void begin_next(Seconds now);
  void all_sent(std::size_t stage);
  void drained(std::size_t stage);
  void end(Seconds at);
  void time_over(Seconds now);
  [[nodiscard]] bool last() const { return current_ + 1 == stages_.size(); }
  [[nodiscard]] LoadStage& current() { return stages_[current_]; }

  World& world_;
  std::vector<LoadStage> stages_;
  Frontend& frontend_;
  std::vector<std::unique_ptr<LoadDriver>> drivers_;
  std::vector<StageSpan> spans_;
  std::size_t current_ = 0;
  bool ended_ = false;  // the current stage has, the next one is to begin
  Timer begins_;
  Timer duration_;  // of the current stage
};

}  // namespace kvsim
