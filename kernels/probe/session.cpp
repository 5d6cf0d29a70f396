#include "kernels/probe/session.hpp"

#include <algorithm>
#include <csignal>
#include <numeric>

#include "kernels/host_device.hpp"

namespace kvsim::kernels {
namespace {

volatile std::sig_atomic_t interrupted_flag = 0;

double number_of(const Work& work, const std::string& name) {
  for (const Label& label : work.labels) {
    if (label.name == name && label.value.index() == 0) return std::get<double>(label.value);
  }
  return 0;
}

std::string text_of(const Work& work, const std::string& name) {
  for (const Label& label : work.labels) {
    if (label.name == name && label.value.index() == 1) return std::get<std::string>(label.value);
  }
  return "";
}

void write_labels(JsonWriter& json, const std::vector<Label>& labels) {
  for (const Label& label : labels) {
    if (label.value.index() == 0) {
      json.number(label.name, std::get<double>(label.value));
    } else {
      json.text(label.name, std::get<std::string>(label.value));
    }
  }
}

void write_row(JsonWriter& json, const Row& row) {
  const Measured& m = row.measured;
  json.open_object();
  json.text("operation", row.work.operation);
  write_labels(json, row.work.labels);
  json.number("bytes", row.work.bytes);
  json.number("flops", row.work.flops);
  json.number("at_once", row.work.at_once);
  json.number("count", m.count);
  json.number("repeats", m.repeats);
  json.number("mean_s", m.mean_s);
  json.number("p10_s", m.p10_s);
  json.number("p50_s", m.p50_s);
  json.number("p90_s", m.p90_s);
  json.number("p99_s", m.p99_s);
  json.number("min_s", m.min_s);
  json.number("latency_ms", m.p50_s * 1e3);
  json.number("noise", m.noise);
  json.boolean("noisy", m.noisy);
  if (row.ratio > 0) {
    json.text("peak", row.bound.peak);
    json.number("ratio_to_peak", row.ratio);
  }
  if (row.clocks_known) {
    json.number("sm_clock_mhz", row.clocks.sm_mhz);
    json.boolean("throttled", row.clocks.throttled);
  }
  if (!row.error.empty()) json.text("error", row.error);
  json.close_object();
}

}  // namespace

void Session::interrupt() { interrupted_flag = 1; }
bool Session::interrupted() { return interrupted_flag != 0; }

const Row& Session::measure(const Work& work, Stopwatch& stopwatch, const Bound& bound) {
  if (interrupted()) throw Interrupted();
  Row row;
  row.work = work;
  row.bound = bound;
  row.measured = kernels::measure(stopwatch, scale_.limits);
  if (interrupted()) throw Interrupted();
  if (clocks_ != nullptr) {
    row.clocks_known = true;
    row.clocks = clocks_->read();
  }
  const auto peak = peaks_.find(bound.peak);
  if (peak != peaks_.end()) {
    const double rate = bound.units / row.measured.p50_s;
    row.ratio = rate / peak->second;
    row.error = above_peak(rate, peak->second, bound.peak);
  }
  rows_.push_back(std::move(row));
  return rows_.back();
}

void Session::raise_peak(const std::string& peak, double units_per_s) {
  double& now = peaks_[peak];
  now = std::max(now, units_per_s);
}

void Session::skip(const std::string& label, const std::string& reason) {
  skipped_.push_back(label + ": " + reason);
}

bool Session::has_errors() const {
  return std::any_of(rows_.begin(), rows_.end(), [](const Row& row) { return !row.error.empty(); });
}

void Session::write(JsonWriter& json) const {
  json.open_object("peaks");
  for (const auto& [name, rate] : peaks_) json.number(name + "_bytes_per_s", rate);
  json.close_object();
  write_limits(json);
  json.open_array("skipped");
  for (const std::string& what : skipped_) json.text("", what);
  json.close_array();
  json.open_array("samples");
  for (const Row& row : rows_) write_row(json, row);
  json.close_array();
}

// For each block size the best number of streams counts, of the block sizes the worst.
void Session::write_limits(JsonWriter& json) const {
  constexpr double kBlockBytesMin = 65536;
  struct Limit {
    const char* operation;
    const char* method;
    double share;
  };
  constexpr Limit kLimits[] = {{"copy-to-host", "gather-copy", 0.95},
                               {"copy-to-gpu", "gather-copy", 0.95},
                               {"gather", "", 0.90},
                               {"scatter", "", 0.90}};
  json.open_array("physical_limits");
  for (const Limit& limit : kLimits) {
    std::map<std::pair<double, std::string>, double> best;
    for (const Row& row : rows_) {
      if (row.work.operation != limit.operation || text_of(row.work, "method") != limit.method) {
        continue;
      }
      const double block_bytes = number_of(row.work, "block_bytes");
      if (block_bytes < kBlockBytesMin || row.ratio <= 0) continue;
      double& share = best[{block_bytes, text_of(row.work, "layout")}];
      share = std::max(share, row.ratio);
    }
    if (best.empty()) continue;
    const auto worst = std::min_element(
        best.begin(), best.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    json.open_object();
    json.text("operation", limit.operation);
    if (*limit.method != '\0') json.text("method", limit.method);
    json.number("block_bytes_from", kBlockBytesMin);
    json.number("ratio_to_peak_wanted", limit.share);
    json.number("ratio_to_peak_worst", worst->second);
    json.number("worst_block_bytes", worst->first.first);
    json.boolean("reached", worst->second >= limit.share);
    json.close_object();
  }
  json.close_array();
}

double GpuStopwatch::time(int repeats) {
  require(cudaEventRecord(start_.get(), stream_.get()), "event");
  for (int i = 0; i < repeats; ++i) enqueue_(run_++);
  require(cudaEventRecord(end_.get(), stream_.get()), "event");
  require(cudaEventSynchronize(end_.get()), "measured operation");
  float milliseconds = 0;
  require(cudaEventElapsedTime(&milliseconds, start_.get(), end_.get()), "event times");
  return milliseconds * 1e-3;
}

Label label(const std::string& name, double value) { return {name, value}; }
Label label(const std::string& name, const std::string& value) { return {name, value}; }

std::vector<std::int32_t> scattered_blocks(std::int64_t count, std::int64_t blocks) {
  std::int64_t stride = blocks * 5 / 8 + 1;
  while (std::gcd(stride, blocks) != 1) ++stride;
  std::vector<std::int32_t> out(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    out[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i * stride % blocks);
  }
  return out;
}

void fill_random(void* device_memory, std::size_t bytes) {
  constexpr std::size_t kSeedNumbers = std::size_t{1} << 18;
  std::vector<Bf16> seed(kSeedNumbers);
  std::uint32_t state = 1;
  for (Bf16& x : seed) {
    state = state * 1664525U + 1013904223U;
    x = to_bf16(static_cast<float>(static_cast<std::int32_t>(state)) * 4.656612873e-10F);
  }
  auto* to = static_cast<std::byte*>(device_memory);
  std::size_t done = std::min(bytes, seed.size() * sizeof(Bf16));
  require(cudaMemcpy(to, seed.data(), done, cudaMemcpyHostToDevice), "random data");
  while (done < bytes) {
    const std::size_t more = std::min(done, bytes - done);
    require(cudaMemcpy(to + done, to, more, cudaMemcpyDeviceToDevice), "random data");
    done += more;
  }
  require(cudaDeviceSynchronize(), "random data");
}

std::int64_t memory_budget() {
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  require(cudaMemGetInfo(&free_bytes, &total_bytes), "free memory");
  return static_cast<std::int64_t>(static_cast<double>(free_bytes) * 0.8);
}

}  // namespace kvsim::kernels
