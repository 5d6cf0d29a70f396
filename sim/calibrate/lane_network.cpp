// TCP by Wire: a round trip, and bytes that both ends copy (loopback) or that the line carries
// (remote).
//
// Loopback: Wire waits for half a round trip each way; what a message costs the cores of both ends
// (calls, wake-ups) and how many copies' worth of time a byte costs each end are figures of this
// lane alone, under /lanes/network: clients and servers have theirs in their own options, where
// commands are measured. The ends copy at the same time.
//
// To a peer: one connection is what Wire's stream rate says; more at once share a line, whose model
// is SimGrid's links: not measured here.
#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/calibrate/lane_fit.hpp"
#include "sim/calibrate/twin_callers.hpp"
#include "sim/des/waiting.hpp"
#include "sim/store/host.hpp"
#include "sim/store/wire.hpp"

namespace kvsim {
namespace {

constexpr const char* kRoundTrip = "round-trip";
constexpr const char* kStream = "stream";
constexpr std::int64_t kKiB = 1 << 10;
constexpr std::int64_t kMiB = 1 << 20;

// What the lane itself needs, beside the network's own options.
struct MessageFigures {
  Seconds message{5e-6};
  double copies = 2;
  template <class F>
  void fields(F& f) {
    f.optional("message_s", message, Range{0, 1},
               "Core time of one message and its answer, both ends together.");
    f.optional("copies", copies, Range{0, 100}, "Copies' worth of time of a byte at each end.");
  }
};

struct NetworkFigures {
  Seconds loopback{30e-6};
  Seconds remote{50e-6};
  Bandwidth stream{4e9};
  explicit NetworkFigures(const Json& network) {
    const auto take = [&network](const char* key, auto& value) {
      using Value = std::remove_reference_t<decltype(value)>;
      if (network.contains(key)) value = Value(network.at(key).get<double>());
    };
    take("loopback_round_trip_s", loopback);
    take("round_trip_s", remote);
    take("stream_bytes_per_s", stream);
  }
};

CpuOptions cpu_of(const Figures& figures) {
  return read_config<CpuOptions>(ConfigNode(figures_at(figures, "cpu"), "cpu"));
}

// Both ends of a connection.
struct Ends {
  Host& host;
  Wire& wire;
  MessageFigures figures;
};

Task copy_at_one_end(Host& host, Bytes bytes, double copies, Countdown& ends) {
  co_await host.copy(bytes, copies);
  ends.one_less();
}

Task loopback(Tasks& tasks, const Ends& ends, Bytes bytes) {
  co_await ends.host.compute(ends.figures.message / 2);
  co_await ends.wire.send(bytes);
  if (bytes > Bytes(1)) {
    Countdown copying(tasks, 2);
    for (int end = 0; end < 2; ++end)
      tasks.start(copy_at_one_end(ends.host, bytes, ends.figures.copies, copying));
    co_await copying.wait();
  }
  co_await ends.host.compute(ends.figures.message / 2);
  co_await ends.wire.receive(Bytes(1));
}

Task remote(Wire& wire, Bytes bytes) {
  co_await wire.send(bytes);
  co_await wire.receive(Bytes(1));
}

class LoopbackModel final : public LaneModel {
 public:
  using Options = NoOptions;
  LoopbackModel(const Options&, const Context&) {}

  std::vector<BenchOperation> plan(bool full) const override {
    std::vector<std::int64_t> sizes = {256 * kKiB, 4 * kMiB, 32 * kMiB};
    if (full) sizes.insert(sizes.end(), {64 * kKiB, kMiB, 128 * kMiB});
    std::vector<BenchOperation> out;
    for (const std::int64_t at_once : {1, 2, 4, 8, 16}) {
      out.push_back({kRoundTrip, Bytes(1), at_once});
      for (const std::int64_t bytes : sizes) out.push_back({kStream, Bytes(bytes), at_once});
    }
    return out;
  }

  std::vector<FittedFigure> fit(const std::vector<Sample>& samples,
                                Figures& figures) const override {
    const CpuOptions cpu = cpu_of(figures);
    std::vector<FittedFigure> out;
    const auto add = [&out](const std::vector<FittedFigure>& more) {
      out.insert(out.end(), more.begin(), more.end());
    };
    const std::vector<Sample> quiet = where_cores_are_full(samples, static_cast<double>(cpu.cores));
    add(fit_round_trip(samples_of(quiet, kRoundTrip), cpu, figures));
    add(fit_stream(samples_of(quiet, kStream), cpu, figures));
    return out;
  }

  Task run(Tasks& tasks, BenchOperation operation, const Figures& figures,
           Seconds& mean) const override {
    const NetworkFigures network(figures_at(figures, "network"));
    Host host(tasks, "twin", cpu_of(figures), Bytes(0));
    Wire wire(tasks, {.round_trip = network.loopback});
    const Ends ends{host, wire, own(figures)};
    const std::function<Task(std::int64_t)> once = [&](std::int64_t) {
      return loopback(tasks, ends, operation.bytes);
    };
    constexpr std::int64_t kEach = 16;
    co_await run_callers(tasks, operation.at_once, kEach, once, mean,
                         network.loopback + ends.figures.message);
  }

 private:
  static MessageFigures own(const Figures& figures) {
    const Json lanes = figures_at(figures, "lanes");
    return read_config<MessageFigures>(ConfigNode(figures_at(lanes, "network"), "lanes/network"));
  }

  // With more connections than cores, both ends do nothing but work.
  static std::vector<Sample> where_cores_are_full(std::vector<Sample> samples, double cores) {
    for (Sample& sample : samples)
      if (static_cast<double>(sample.operation.at_once) > cores)
        sample = undisturbed({sample}, 2, cores)[0];
    return samples;
  }

  // The wait counts while cores are idle; with many at once the cores set the pace.
  static double round_trip(const BenchOperation& operation, double wait, double message,
                           double cores) {
    return std::max(wait + message, message * static_cast<double>(operation.at_once) / cores);
  }

  static std::vector<FittedFigure> fit_round_trip(const std::vector<Sample>& samples,
                                                  const CpuOptions& cpu, Figures& figures) {
    const Law law = [&](const BenchOperation& operation, std::span<const double> values) {
      return round_trip(operation, values[0], values[1], static_cast<double>(cpu.cores));
    };
    return fit_law(samples, law,
                   {{"/network/loopback_round_trip_s", 20e-6}, {"/lanes/network/message_s", 10e-6}},
                   figures);
  }

  static std::vector<FittedFigure> fit_stream(const std::vector<Sample>& samples,
                                              const CpuOptions& cpu, Figures& figures) {
    const NetworkFigures network(figures_at(figures, "network"));
    const MessageFigures message = own(figures);
    const Law law = [&](const BenchOperation& operation, std::span<const double> values) {
      constexpr double kTraffic = 2;
      const double threads = 2 * static_cast<double>(operation.at_once);
      const auto cores = static_cast<double>(cpu.cores);
      const double each = std::min(cpu.copy.count() * std::min(1.0, cores / threads),
                                   cpu.memory.count() / kTraffic / threads);
      const double alone = round_trip({operation.name, Bytes(1), 1}, network.loopback.count(),
                                      message.message.count(), cores);
      return alone + operation.bytes.real() * values[0] / each;
    };
    return fit_law(samples, law, {{"/lanes/network/copies", 2}}, figures);
  }
};

class PeerModel final : public LaneModel {
 public:
  using Options = NoOptions;
  PeerModel(const Options&, const Context&) {}

  std::vector<BenchOperation> plan(bool full) const override {
    std::vector<BenchOperation> out = {{kRoundTrip, Bytes(1), 1}};
    std::vector<std::int64_t> sizes = {256 * kKiB, 4 * kMiB, 32 * kMiB};
    if (full) sizes.insert(sizes.end(), {64 * kKiB, kMiB, 128 * kMiB});
    for (const std::int64_t bytes : sizes) out.push_back({kStream, Bytes(bytes), 1});
    return out;
  }

  std::vector<FittedFigure> fit(const std::vector<Sample>& samples,
                                Figures& figures) const override {
    const Law round_trip = [](const BenchOperation&, std::span<const double> values) {
      return values[0];
    };
    std::vector<FittedFigure> out = fit_law(samples_of(samples, kRoundTrip), round_trip,
                                            {{"/network/round_trip_s", 50e-6}}, figures);
    const Seconds wait = NetworkFigures(figures_at(figures, "network")).remote;
    const Law stream = [wait](const BenchOperation& operation, std::span<const double> values) {
      return wait.count() + operation.bytes.real() / values[0];
    };
    const std::vector<FittedFigure> more = fit_law(samples_of(samples, kStream), stream,
                                                   {{"/network/stream_bytes_per_s", 4e9}}, figures);
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }

  Task run(Tasks& tasks, BenchOperation operation, const Figures& figures,
           Seconds& mean) const override {
    const NetworkFigures network(figures_at(figures, "network"));
    Wire wire(tasks, {.round_trip = network.remote, .stream = network.stream});
    const std::function<Task(std::int64_t)> once = [&](std::int64_t) {
      return remote(wire, operation.bytes);
    };
    co_await run_callers(tasks, operation.at_once, 2, once, mean);
  }
};

const Register<LaneModel, LoopbackModel> kLoopback("network",
                                                   "Loopback TCP: Wire, and copies of both ends.");
const Register<LaneModel, PeerModel> kPeer("network_peer", "TCP to another machine: Wire.");

}  // namespace
}  // namespace kvsim
