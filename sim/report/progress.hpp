// How far a long piece of work has come: a bar with rate and time left on a terminal, a plain line
// every few seconds elsewhere, nothing when quiet. The clock is given, so that the only code that
// reads the wall clock is the command line.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>

namespace kvsim {

struct ProgressOptions {
  std::string unit = "requests";
  std::optional<std::int64_t> total;  // none: not known, so no bar and no time left
  bool quiet = false;
  bool terminal = false;  // the stream is one: the line is drawn over and over
};

class Progress {
 public:
  // `clock` gives wall seconds that never decrease. `out` must outlive this.
  Progress(ProgressOptions options, std::ostream& out, std::function<double()> clock);
  // Cheap enough for every request: the clock is asked only now and then.
  void update(std::int64_t done) {
    if (done >= next_look_) look(done);
  }
  // The last line, with the overall rate. Draws nothing if nothing was ever drawn on a terminal
  // and the work took under a second.
  void finish(std::int64_t done);

 private:
  void look(std::int64_t done);
  void draw(std::int64_t done, double now, bool last);

  ProgressOptions options_;
  std::ostream& out_;
  std::function<double()> clock_;
  double started_;
  double drawn_;
  std::int64_t next_look_ = 0;
  bool shown_ = false;
};

}  // namespace kvsim
