#include "sim/probe/bench_disk_sustained.hpp"

#include <algorithm>
#include <numeric>

#include "sim/probe/bench_disk_submitter.hpp"

namespace kvsim {

namespace {

constexpr std::size_t kRequest = std::size_t{4} << 20;
constexpr std::int64_t kInFlight = 8;
constexpr Seconds kLongest{60};
constexpr Seconds kPeriod{0.5};
// Fallen: so many periods in a row below this share of the median before them. A disk that shares
// its host has slow seconds.
constexpr std::size_t kInARow = 6;
constexpr double kFallen = 0.6;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

WriteDecline decline_of(const std::vector<double>& periods) {
  if (periods.empty()) return {};
  std::size_t slow = 0;
  for (std::size_t i = 1; i < periods.size(); ++i) {
    const auto from = periods.begin();
    const std::size_t fast = i - slow;
    const double before = median({from, from + static_cast<std::ptrdiff_t>(fast)});
    slow = periods[i] < kFallen * before ? slow + 1 : 0;
    if (slow < kInARow) continue;
    const auto fell = from + static_cast<std::ptrdiff_t>(fast);
    return {.first = before,
            .last = median({fell, periods.end()}),
            .before = std::accumulate(from, fell, 0.0)};
  }
  return {.first = median(periods)};
}

Sample write_until_slow(DiskFile& file, const BenchOperation& operation) {
  DiskSubmitter submitter(file, kInFlight, kRequest);
  const auto size = static_cast<std::uint64_t>(file.bytes().count()) / kRequest * kRequest;
  const auto most = static_cast<std::uint64_t>(operation.bytes.count());
  std::uint64_t begun = 0;
  double written = 0;
  Seconds end{0};
  std::vector<double> periods;  // the last one is not over
  submitter.run(
      [&] {
        const std::uint64_t position = begun % size;
        begun += kRequest;
        return DiskSubmitter::Request{.write = true, .position = position};
      },
      [&](const DiskSubmitter::Request&, Seconds now, Seconds) {
        const auto period = static_cast<std::size_t>(now / kPeriod);
        const bool over = period >= periods.size();
        periods.resize(std::max(periods.size(), period + 1));
        periods[period] += static_cast<double>(kRequest);
        written += static_cast<double>(kRequest);
        end = now;
        if (over && decline_of({periods.begin(), periods.end() - 1}).last > 0) return false;
        return begun < most && now < kLongest;
      });
  file.settle();
  if (periods.size() > 1) periods.pop_back();
  const WriteDecline decline = decline_of(periods);
  BenchOperation done = operation;
  done.bytes = Bytes(static_cast<std::int64_t>(written));
  Sample out = summarise(done, {end.count()});
  const double rate = 1 / kPeriod.count();
  const bool whole = periods.size() > 1;
  out.extra = {{"first_bytes_per_s", whole ? decline.first * rate : written / end.count()}};
  if (decline.last <= 0) return out;
  out.extra.emplace_back("last_bytes_per_s", decline.last * rate);
  out.extra.emplace_back("full_rate_bytes", decline.before);
  return out;
}

}  // namespace kvsim
