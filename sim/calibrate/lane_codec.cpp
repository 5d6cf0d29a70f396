// Codecs: the ratio and one thread's rates of each, as its plug-in has them, on cores that all
// callers share.
//
// RocksDB's block compression is LZ4 on KV as it is: the Kvrocks constants follow. Left out: sizes
// (a compressor warms up over some 64 KiB), memory bandwidth.
#include <fmt/format.h>

#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/calibrate/lane_fit.hpp"
#include "sim/calibrate/twin_callers.hpp"
#include "sim/kv/codec.hpp"
#include "sim/store/host.hpp"

namespace kvsim {
namespace {

constexpr std::int64_t kKiB = 1 << 10;
constexpr std::int64_t kMiB = 1 << 20;

struct Subject {
  std::string codec;
  std::string kv_dtype;
  [[nodiscard]] std::string operation(bool encodes) const {
    return fmt::format("{}/{}/{}", encodes ? "encode" : "decode", codec, kv_dtype);
  }
  [[nodiscard]] std::string path(const std::string& figure) const {
    return fmt::format("/codecs/{}/{}/{}", codec, kv_dtype, figure);
  }
};

std::vector<Subject> subjects(bool full) {
  std::vector<Subject> out;
  for (const char* kv_dtype : {"bf16", "fp16", "fp8"})
    for (const char* codec : {"lz4", "lz4-shuffled", "zstd-1", "zstd-1-shuffled"})
      if (full || std::string(kv_dtype) == "bf16") out.push_back({codec, kv_dtype});
  return out;
}

class CodecModel final : public LaneModel {
 public:
  using Options = NoOptions;
  CodecModel(const Options&, const Context&) {}

  std::vector<BenchOperation> plan(bool full) const override {
    struct Point {
      std::int64_t bytes;
      std::int64_t at_once;
    };
    std::vector<Point> points = {
        {kMiB, 1}, {6 * kMiB, 1}, {24 * kMiB, 1}, {4 * kMiB, 4}, {kMiB, 16}};
    if (full) points.insert(points.end(), {{64 * kKiB, 1}, {256 * kKiB, 1}, {4 * kMiB, 2}});
    std::vector<BenchOperation> out;
    for (const Subject& subject : subjects(full))
      for (const bool encodes : {true, false})
        for (const Point& point : points)
          out.push_back({subject.operation(encodes), Bytes(point.bytes), point.at_once});
    return out;
  }

  std::vector<FittedFigure> fit(const std::vector<Sample>& samples,
                                Figures& figures) const override {
    const double cores = static_cast<double>(cpu_of(figures).cores);
    std::vector<FittedFigure> out;
    for (const Subject& subject : subjects(true)) {
      fit_rate(samples, subject, true, cores, figures, out);
      fit_rate(samples, subject, false, cores, figures, out);
      fit_ratio(samples, subject, figures, out);
    }
    return out;
  }

  Task run(Tasks& tasks, BenchOperation operation, const Figures& figures,
           Seconds& mean) const override {
    const std::size_t first = operation.name.find('/');
    const std::size_t last = operation.name.rfind('/');
    const Subject subject{operation.name.substr(first + 1, last - first - 1),
                          operation.name.substr(last + 1)};
    const std::unique_ptr<Codec> codec = make(subject, figures);
    const Seconds work =
        Codec::time(operation.bytes,
                    operation.name == subject.operation(true) ? codec->encode() : codec->decode());
    Host host(tasks, "twin", cpu_of(figures), Bytes(0));
    const std::function<Task(std::int64_t)> once = [&](std::int64_t) { return spend(host, work); };
    constexpr std::int64_t kEach = 3;
    co_await run_callers(tasks, operation.at_once, kEach, once, mean);
  }

 private:
  static Task spend(Host& host, Seconds work) { co_await host.compute(work); }

  static CpuOptions cpu_of(const Figures& figures) {
    return read_config<CpuOptions>(ConfigNode(figures_at(figures, "cpu"), "cpu"));
  }

  static std::unique_ptr<Codec> make(const Subject& subject, const Figures& figures) {
    Json config =
        figures_at(figures_at(figures_at(figures, "codecs"), subject.codec), subject.kv_dtype);
    config["kind"] = subject.codec;
    return Registry<Codec>::instance().make(ConfigNode(config, "codec"), {subject.kv_dtype});
  }

  static void fit_rate(const std::vector<Sample>& samples, const Subject& subject, bool encodes,
                       double cores, Figures& figures, std::vector<FittedFigure>& out) {
    const Law law = [cores](const BenchOperation& operation, std::span<const double> values) {
      const double callers_per_core = static_cast<double>(operation.at_once) / cores;
      return operation.bytes.real() / values[0] * std::max(1.0, callers_per_core);
    };
    const std::string path = subject.path(encodes ? "encode_bytes_per_s" : "decode_bytes_per_s");
    const std::vector<FittedFigure> fitted =
        fit_law(undisturbed(samples_of(samples, subject.operation(encodes)), 1, cores), law,
                {{path, 1e9}}, figures);
    if (fitted.empty()) return;
    out.push_back(fitted[0]);
    if (subject.codec != "lz4" || subject.kv_dtype != "bf16") return;
    FittedFigure block = fitted[0];
    block.path =
        encodes ? "/stores/kvrocks/compress_bytes_per_s" : "/stores/kvrocks/decompress_bytes_per_s";
    figures[Json::json_pointer(block.path)] = block.value;
    out.push_back(block);
  }

  // Of all samples: a ratio hardly depends on anything but the data.
  static void fit_ratio(const std::vector<Sample>& samples, const Subject& subject,
                        Figures& figures, std::vector<FittedFigure>& out) {
    std::vector<double> ratios;
    for (const bool encodes : {true, false})
      for (const Sample& sample : samples_of(samples, subject.operation(encodes)))
        if (const auto ratio = sample.seen("ratio")) ratios.push_back(*ratio);
    if (ratios.empty()) return;
    std::sort(ratios.begin(), ratios.end());
    const double middle = ratios[ratios.size() / 2];
    out.push_back({subject.path("ratio"), middle, ratios.front(), ratios.back()});
    figures[Json::json_pointer(out.back().path)] = middle;
  }
};

const Register<LaneModel, CodecModel> kRegistered("codec", "Codec plug-ins on Host's cores.");

}  // namespace
}  // namespace kvsim
