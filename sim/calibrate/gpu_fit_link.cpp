#include "sim/calibrate/gpu_fit_link.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace kvsim {

namespace {

constexpr double kLargeCopy = 16.0 * 1024 * 1024;

bool in_one_piece(const CopyTiming& copy) { return copy.method.empty() || copy.method == "memcpy"; }

std::optional<double> best_rate(const std::vector<CopyTiming>& copies, CopyDirection direction) {
  std::optional<double> best;
  for (const CopyTiming& copy : copies) {
    if (copy.direction != direction || copy.bytes < kLargeCopy || !in_one_piece(copy)) continue;
    best = std::max(best.value_or(0), copy.bytes / copy.seconds);
  }
  return best;
}

// What engines use to copy blocks, best first; the first that was measured counts.
constexpr std::array kBlockMethods{"batch", "per-block"};

std::vector<CopyTiming> block_copies(const std::vector<CopyTiming>& copies) {
  for (const char* method : kBlockMethods) {
    std::vector<CopyTiming> found;
    for (const CopyTiming& copy : copies)
      if (copy.method == method && copy.direction == CopyDirection::kToGpu && !in_one_piece(copy))
        found.push_back(copy);
    if (!found.empty()) return found;
  }
  return {};
}

// The rate of the largest copy of each descriptor size.
std::vector<DescriptorRate> small_rates(const std::vector<CopyTiming>& blocks, HostLink& link) {
  std::map<double, CopyTiming> largest;
  for (const CopyTiming& copy : blocks) {
    CopyTiming& known = largest[copy.block_bytes];
    if (copy.bytes > known.bytes) known = copy;
  }
  for (const auto& [size, copy] : largest) {
    const double each = copy.seconds * size / copy.bytes;
    link.descriptor = std::min(link.descriptor, Seconds(each / 2));
  }
  std::vector<DescriptorRate> rates;
  for (const auto& [size, copy] : largest) {
    const double submitting = copy.bytes / size * link.descriptor.count();
    const double rate = copy.bytes / (copy.seconds - submitting);
    if (rate >= link.to_gpu_alone.count()) break;  // from here on the plain rate holds
    rates.push_back({Bytes(rates.empty() ? 0 : static_cast<std::int64_t>(size)), Bandwidth(rate)});
  }
  return rates;
}

}  // namespace

void fit_host_link(const std::vector<CopyTiming>& copies, HostLink& link,
                   std::vector<FitReport>& reports) {
  FitReport report;
  report.block = "host_link";
  report.rows_of = "own samples";
  const auto take = [&](const char* name, CopyDirection direction, double share, Bandwidth& rate) {
    const auto best = best_rate(copies, direction);
    if (!best) return;
    rate = Bandwidth(*best * share);
    report.coefficients.push_back({name, rate.count(), rate.count(), rate.count()});
  };
  take("to_gpu_alone_bytes_per_s", CopyDirection::kToGpu, 1, link.to_gpu_alone);
  take("to_host_alone_bytes_per_s", CopyDirection::kToHost, 1, link.to_host_alone);
  take("to_gpu_both_bytes_per_s", CopyDirection::kBoth, 0.5, link.to_gpu_both);
  take("to_host_both_bytes_per_s", CopyDirection::kBoth, 0.5, link.to_host_both);
  const std::vector<CopyTiming> blocks = block_copies(copies);
  if (!blocks.empty()) {
    link.small_transfers = small_rates(blocks, link);
    const double each = link.descriptor.count();
    report.coefficients.push_back({"descriptor_s", each, each, each});
  }
  if (report.coefficients.empty()) return;
  report.training.rows = copies.size();
  report.groups = link.small_transfers.size();
  reports.push_back(std::move(report));
}

}  // namespace kvsim
