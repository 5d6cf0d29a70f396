// Each constant is the median of what single samples say of it: by RocksDB's own watch over its
// stages, where they can be told apart only so, else by the whole. Intervals by drawing the samples
// again, each with its own noise.
#include <algorithm>
#include <cmath>
#include <functional>

#include "sim/base/rng.hpp"
#include "sim/calibrate/lane_fit.hpp"
#include "sim/calibrate/lane_rocksdb.hpp"
#include "sim/store/host.hpp"

namespace kvsim {

namespace {

// What one sample says, and how sure it is.
struct Hint {
  double value;
  double noise;
};
using Hints = std::vector<Hint>;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

constexpr int kDraws = 200;

FittedFigure figure_of(const std::string& name, const Hints& hints) {
  FittedFigure out{.path = "/stores/kvrocks/" + name};
  std::vector<double> values;
  for (const Hint& hint : hints) values.push_back(hint.value);
  out.value = median(values);
  Rng rng = stream(1, "calibrate/rocksdb/" + name);
  std::vector<double> drawn;
  for (int draw = 0; draw < kDraws; ++draw) {
    for (double& value : values) {
      const Hint& hint = hints[rng.below(hints.size())];
      // noise is half of a 95 % interval.
      value = hint.value * std::exp(rng.normal(0, hint.noise / 2));
    }
    drawn.push_back(median(values));
  }
  std::sort(drawn.begin(), drawn.end());
  out.low = std::min(out.value, drawn[kDraws / 40]);
  out.high = std::max(out.value, drawn[kDraws - 1 - kDraws / 40]);
  return out;
}

class Fit {
 public:
  Fit(const std::vector<Sample>& samples, Figures& figures) : figures_(figures) {
    for (const Sample& sample : samples)
      if (sample.operation.at_once == 1) samples_.push_back(sample);
    const Json cpu = figures_at(figures, "cpu");
    cpu_ = read_config<CpuOptions>(ConfigNode(cpu, "cpu"));
  }

  // The constant `name` by all samples of an operation that say something of it.
  void set(const std::string& name, const std::string& operation,
           const std::function<double(const Sample&)>& says) {
    Hints hints;
    for (const Sample& sample : samples_of(samples_, operation)) {
      const double value = says(sample);
      if (std::isfinite(value) && value > 0) hints.push_back({value, sample.noise});
    }
    if (hints.empty()) return;
    out_.push_back(figure_of(name, hints));
    figures_[Json::json_pointer(out_.back().path)] = out_.back().value;
  }
  // Seconds of a stage; 0 when it was not seen.
  static double stage(const Sample& sample, const std::string& name) {
    return sample.seen(name).value_or(0);
  }
  // In copies of the value, less what touching new pages takes.
  [[nodiscard]] double copies(const Sample& sample, double seconds, Bytes fresh_from) const {
    const Bytes bytes = sample.operation.bytes;
    if (bytes >= fresh_from && cpu_.fresh > Bandwidth(0)) seconds -= (bytes / cpu_.fresh).count();
    return seconds / (bytes / cpu_.copy).count();
  }
  static double rate(const Sample& sample, double seconds) {
    return seconds > 0 ? sample.operation.bytes.real() / seconds : 0;
  }
  [[nodiscard]] std::vector<FittedFigure> take() { return std::move(out_); }

 private:
  Figures& figures_;
  std::vector<Sample> samples_;  // by one caller
  CpuOptions cpu_;
  std::vector<FittedFigure> out_;
};

// The share of the disk's rate at which the twin takes as long as the sample: less is slower.
double buffered_share(const Sample& sample, const LaneModel& twin, Figures figures) {
  World world;
  Tasks tasks(world);
  double low = std::log(0.01);
  double high = 0;
  constexpr int kHalvings = 20;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    figures["stores"]["kvrocks"]["buffered_read_share"] = std::exp(middle);
    const bool slow = evaluate(twin, tasks, sample.operation, figures) > sample.p50;
    (slow ? low : high) = middle;
  }
  return std::exp((low + high) / 2);
}

}  // namespace

std::vector<FittedFigure> fit_rocksdb(const std::vector<Sample>& samples,
                                      const RocksdbBenchOptions& options, const LaneModel& twin,
                                      Figures& figures) {
  Fit fit(samples, figures);
  const Bytes fresh_from = rocksdb_bench::kFreshFrom;
  const auto stage = &Fit::stage;
  fit.set("lookup_s", "get/missing", [](const Sample& sample) { return sample.p50.count(); });
  fit.set("crc32c_bytes_per_s", "put", [&](const Sample& sample) {
    return Fit::rate(sample, stage(sample, "log_s") - stage(sample, "log_write_s"));
  });
  // The log is written from a buffer that stays.
  fit.set("log_copies", "put", [&](const Sample& sample) {
    return fit.copies(sample, stage(sample, "log_write_s"), sample.operation.bytes + Bytes(1));
  });
  const auto checksum = [&](const Sample& sample) {
    const double stored = std::max(1.0, stage(sample, "ratio"));
    return Fit::rate(sample, stage(sample, "block_checksum_s") * stored);
  };
  if (!options.enable_blob_files) {
    fit.set("checksum_bytes_per_s", "get/page-cache", checksum);
    if (options.compression == "none" && !options.direct_reads)
      fit.set("page_cache_copies", "get/page-cache", [&](const Sample& sample) {
        return fit.copies(sample, stage(sample, "block_read_s"), fresh_from);
      });
  }
  if (options.compression != "none") {
    fit.set("lsm/compression_ratio", "get/page-cache",
            [&](const Sample& sample) { return std::max(1.0, stage(sample, "ratio")); });
    fit.set("decompress_bytes_per_s", "get/page-cache", [&](const Sample& sample) {
      return Fit::rate(sample, stage(sample, "block_decompress_s"));
    });
  }
  if (!options.direct_reads)
    fit.set("buffered_read_share", "get/disk",
            [&](const Sample& sample) { return buffered_share(sample, twin, figures); });
  return fit.take();
}

}  // namespace kvsim
