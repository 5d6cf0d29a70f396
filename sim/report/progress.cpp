#include "sim/report/progress.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace kvsim {

namespace {

constexpr double kTerminalPeriod_s = 0.1;
constexpr double kPlainPeriod_s = 5;
constexpr double kWorthMentioning_s = 1;

std::string duration(double seconds) {
  const std::int64_t whole = std::llround(seconds);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

}  // namespace

Progress::Progress(ProgressOptions options, std::ostream& out, std::function<double()> clock)
    : options_(std::move(options)),
      out_(out),
      clock_(std::move(clock)),
      started_(clock_()),
      drawn_(started_) {
  if (options_.quiet) next_look_ = std::numeric_limits<std::int64_t>::max();
}

void Progress::look(std::int64_t done) {
  const double now = clock_();
  const double period = options_.terminal ? kTerminalPeriod_s : kPlainPeriod_s;
  if (now - drawn_ >= period) draw(done, now, false);
  // Some fifty looks per period at the rate so far, at first one per unit.
  const double rate = static_cast<double>(done) / std::max(now - started_, 1e-6);
  const double stride = std::min(rate * period / 50, static_cast<double>(done));
  next_look_ = done + std::max<std::int64_t>(1, static_cast<std::int64_t>(stride));
}

void Progress::finish(std::int64_t done) {
  if (options_.quiet) return;
  const double now = clock_();
  if (shown_ || now - started_ >= kWorthMentioning_s) draw(done, now, true);
}

void Progress::draw(std::int64_t done, double now, bool last) {
  drawn_ = now;
  shown_ = true;
  const double elapsed = std::max(now - started_, 1e-6);
  const double rate = static_cast<double>(done) / elapsed;
  std::string text;
  if (options_.total && *options_.total > 0) {
    const double share =
        std::min(1.0, static_cast<double>(done) / static_cast<double>(*options_.total));
    if (options_.terminal) {
      constexpr int kWidth = 30;
      const auto filled = static_cast<std::size_t>(share * kWidth);
      text = fmt::format("[{:<{}}] ", std::string(filled, '#'), kWidth);
    }
    text += fmt::format("{:3.0f} %  {} of {} {}, {:.0f}/s", 100 * share, done, *options_.total,
                        options_.unit, rate);
    if (!last && done > 0) {
      text +=
          fmt::format(", {} left", duration(static_cast<double>(*options_.total - done) / rate));
    }
  } else {
    text = fmt::format("{} {}, {:.0f}/s", done, options_.unit, rate);
  }
  if (last) text += fmt::format(", took {}", duration(elapsed));
  // On a terminal the line is wiped and drawn again in place.
  out_ << (options_.terminal ? "\r\x1b[K" : "") << text << (options_.terminal && !last ? "" : "\n")
       << std::flush;
}

}  // namespace kvsim
