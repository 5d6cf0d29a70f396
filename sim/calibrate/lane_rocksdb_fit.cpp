// Each constant is the median of what single samples say of it. Checksums are told apart by
// RocksDB's own watch over its stages, copies are what is left of the whole. Puts and gets out of
// memory are work of a thread from end to end: where others used the machine meanwhile, the time
// that the thread ran (cpu_s) counts, and of a stage that share of it. Intervals by drawing the
// samples again, each with its own noise.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "sim/base/rng.hpp"
#include "sim/calibrate/lane_fit.hpp"
#include "sim/calibrate/lane_rocksdb.hpp"
#include "sim/store/host.hpp"

namespace kvsim {

namespace {

// Page cache, block and string of a value of this size fit a core's share of the last-level cache
// of most processors; assumed, between the sizes that are measured.
constexpr Bytes kSmall{6LL << 20};

// What a byte costs does not show in values up to this size.
constexpr Bytes kTiny{4096};

// What a sample says that says nothing.
constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

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

FittedFigure figure_of(const std::string& path, const Hints& hints) {
  FittedFigure out{.path = path};
  std::vector<double> values;
  for (const Hint& hint : hints) values.push_back(hint.value);
  out.value = median(values);
  Rng rng = stream(1, "calibrate/rocksdb" + path);
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
      if (std::isfinite(value)) hints.push_back({value, sample.noise});
    }
    if (hints.empty()) return;
    out_.push_back(figure_of(name.front() == '/' ? name : "/stores/kvrocks/" + name, hints));
    figures_[Json::json_pointer(out_.back().path)] = out_.back().value;
  }
  // Seconds of a stage; 0 when it was not seen.
  static double stage(const Sample& sample, const std::string& name) {
    return sample.seen(name).value_or(0);
  }
  // Seconds that the caller worked.
  static double busy(const Sample& sample) {
    return std::min(sample.p50.count(), sample.seen("cpu_s").value_or(sample.p50.count()));
  }
  // The same share of a stage.
  static double busy_stage(const Sample& sample, double seconds) {
    return seconds * busy(sample) / sample.p50.count();
  }
  // In copies of the value.
  [[nodiscard]] double copies(const Sample& sample, double seconds) const {
    return seconds / (sample.operation.bytes / cpu_.copy).count();
  }
  static double rate(const Sample& sample, double seconds) {
    return seconds > 0 ? sample.operation.bytes.real() / seconds : kNothing;
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

// Operations too small for their bytes to matter.
bool tiny(const Sample& sample) { return sample.operation.bytes <= kTiny; }

// What an operation takes whatever its size, each beside those before it.
void fit_calls(Fit& fit, const Figures& figures) {
  fit.set("lookup_s", "get/missing", [](const Sample& sample) { return sample.p50.count(); });
  fit.set("put_s", "put",
          [](const Sample& sample) { return tiny(sample) ? sample.p50.count() : kNothing; });
  const auto beside = [](double less) {
    return [less](const Sample& sample) {
      return tiny(sample) ? std::max(0.0, sample.p50.count() - less) : kNothing;
    };
  };
  const double lookup = rocksdb_options(figures).lookup.count();
  fit.set("block_s", "get/block-cache", beside(lookup));
  const double block = rocksdb_options(figures).block.count();
  fit.set("file_read_s", "get/page-cache", beside(lookup + block));
}

void fit_log(Fit& fit, const Figures& figures) {
  const double put = rocksdb_options(figures).put.count();
  const auto crc = [](const Sample& sample) {
    return Fit::busy_stage(sample, Fit::stage(sample, "log_s") - Fit::stage(sample, "log_write_s"));
  };
  fit.set("crc32c_bytes_per_s", "put", [&](const Sample& sample) {
    return tiny(sample) ? kNothing : Fit::rate(sample, crc(sample));
  });
  // Beside the copies into the batch and into the memtable.
  fit.set("log_copies", "put", [&](const Sample& sample) {
    if (crc(sample) <= 0 || tiny(sample)) return kNothing;
    return std::max(0.0, fit.copies(sample, Fit::busy(sample) - crc(sample) - put) - 2);
  });
}

// Checksums and copies of what is read from tables.
void fit_tables(Fit& fit, const RocksdbBenchOptions& options, Figures& figures) {
  const RocksdbOptions known = rocksdb_options(figures);
  const double hit = (known.lookup + known.block).count();
  const auto checksum = [](const Sample& sample) { return Fit::stage(sample, "block_checksum_s"); };
  fit.set("checksum_bytes_per_s", "get/page-cache", [&](const Sample& sample) {
    if (tiny(sample)) return kNothing;
    return Fit::rate(sample, checksum(sample) * std::max(1.0, Fit::stage(sample, "ratio")));
  });
  fit.set(kSmallStringCopies, "get/block-cache", [&](const Sample& sample) {
    if (sample.operation.bytes > kSmall || tiny(sample)) return kNothing;
    return std::max(0.0, fit.copies(sample, Fit::busy(sample) - hit));
  });
  if (options.compression != "none" || options.direct_reads) return;
  const double string = figures.value(Json::json_pointer(kSmallStringCopies), 1.0);
  // Beside the copy into the caller's string.
  const auto copies = [&](bool small) {
    return [&, small](const Sample& sample) {
      if ((sample.operation.bytes <= kSmall) != small || checksum(sample) <= 0 || tiny(sample))
        return kNothing;
      const double seconds = Fit::busy(sample) - checksum(sample) - hit - known.file_read.count();
      return std::max(0.0, fit.copies(sample, seconds) - (small ? string : 1));
    };
  };
  fit.set("page_cache_copies", "get/page-cache", copies(false));
  fit.set("small_copies", "get/page-cache", copies(true));
  figures["stores"]["kvrocks"]["small_value_bytes"] = kSmall.count();
}

void fit_compression(Fit& fit) {
  fit.set("lsm/compression_ratio", "get/page-cache",
          [](const Sample& sample) { return std::max(1.0, Fit::stage(sample, "ratio")); });
  fit.set("decompress_bytes_per_s", "get/page-cache", [](const Sample& sample) {
    return Fit::rate(sample, Fit::stage(sample, "block_decompress_s"));
  });
}

}  // namespace

std::vector<FittedFigure> fit_rocksdb(const std::vector<Sample>& samples,
                                      const RocksdbBenchOptions& options, const LaneModel& twin,
                                      Figures& figures) {
  Fit fit(samples, figures);
  fit_calls(fit, figures);
  if (options.wal) fit_log(fit, figures);
  const bool reads = !samples_of(samples, "get/page-cache").empty();
  if (reads && !options.enable_blob_files) fit_tables(fit, options, figures);
  if (options.compression != "none") fit_compression(fit);
  if (!options.direct_reads)
    fit.set("buffered_read_share", "get/disk",
            [&](const Sample& sample) { return buffered_share(sample, twin, figures); });
  std::vector<FittedFigure> out = fit.take();
  for (FittedFigure& figure : out)
    if (figure.path == "/stores/kvrocks/buffered_read_share")
      figure.high = std::min(1.0, figure.high);
  return out;
}

}  // namespace kvsim
