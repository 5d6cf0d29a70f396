#include "sim/calibrate/lane_resp_fit.hpp"

#include <algorithm>
#include <cmath>

#include "sim/calibrate/lane_fit.hpp"

namespace kvsim {

namespace {

enum Cost : std::size_t {
  kClientCommand,
  kServerCommand,
  kRoundTrip,
  kSend,
  kReceive,
  kTakeIn,
  kSendOut,
  kFresh
};

// Where to begin: a syscall or two, some copies at 10 GB/s.
const std::vector<Sought> kSought = {
    {"/client_command", 1e-5}, {"/server_command", 1e-5}, {"/round_trip", 2e-5}, {"/send", 2e-10},
    {"/receive", 2e-10},       {"/take_in", 2e-10},       {"/send_out", 3e-10},  {"/fresh", 3e-10}};

// Names of pseudo-samples: CPU time that one end spent on an operation.
const std::string kClientCpu = "client cpu/";
const std::string kServerCpu = "server cpu/";

bool begins(const std::string& text, const std::string& with) {
  return text.compare(0, with.size(), with) == 0;
}

class RespLaw {
 public:
  explicit RespLaw(const RespFacts& facts) : facts_(facts) {}

  double operator()(const BenchOperation& operation, std::span<const double> v) const {
    if (begins(operation.name, kClientCpu)) return client(operation, v);
    if (begins(operation.name, kServerCpu)) return server(operation, v);
    const double callers = static_cast<double>(operation.at_once);
    const double client_all = client(operation, v);
    const double server_all = server(operation, v);
    const double client_bytes = client_all - v[kClientCommand];
    const double server_bytes = server_all - v[kServerCommand];
    // In as many pieces as StoreClient has: the first of the one end, then the slower, the last of
    // the other.
    constexpr double kPieces = 8;
    const double alone = v[kClientCommand] + v[kServerCommand] + v[kRoundTrip] +
                         std::max(client_bytes, server_bytes) +
                         std::min(client_bytes, server_bytes) / kPieces;
    const double work = facts_.loopback ? client_all + server_all : client_all;
    const double cores = static_cast<double>(facts_.cpu.cores);
    return std::max({alone, callers * server_all, callers * work / cores});
  }

 private:
  static bool is(const BenchOperation& operation, const std::string& verb) {
    const std::string& name = operation.name;
    return name == verb || name == kClientCpu + verb || name == kServerCpu + verb;
  }
  static double client(const BenchOperation& operation, std::span<const double> v) {
    const double bytes = operation.bytes.real();
    if (is(operation, "set")) return v[kClientCommand] + bytes * v[kSend];
    if (is(operation, "get")) return v[kClientCommand] + bytes * v[kReceive];
    return v[kClientCommand];
  }
  [[nodiscard]] double server(const BenchOperation& operation, std::span<const double> v) const {
    const double bytes = operation.bytes.real();
    const double fresh = operation.bytes >= facts_.fresh_from ? v[kFresh] : 0;
    if (is(operation, "set")) return v[kServerCommand] + bytes * (v[kTakeIn] + fresh);
    if (is(operation, "get")) return v[kServerCommand] + bytes * (v[kSendOut] + fresh);
    return v[kServerCommand];
  }
  RespFacts facts_;
};

// Elapsed times, and what each end spent. Of few callers a thread's CPU time tells how long it
// takes to wake up an idle core, of more what the work takes.
std::vector<Sample> observations(const std::vector<Sample>& samples, const CpuOptions& cpu) {
  std::vector<Sample> out;
  for (const Sample& sample : samples) {
    out.push_back(sample);
    if (sample.operation.at_once <= cpu.cores) continue;
    const auto add = [&](const std::string& prefix, const char* seen) {
      const std::optional<double> spent = sample.seen(seen);
      if (!spent || *spent <= 0) return;
      Sample one = sample;
      one.operation.name = prefix + sample.operation.name;
      one.p50 = one.mean = Seconds(*spent);
      out.push_back(one);
    };
    add(kClientCpu, "client_cpu_s");
    add(kServerCpu, "server_cpu_s");
  }
  return out;
}

}  // namespace

RespCosts fit_resp_costs(const std::vector<Sample>& samples, const RespFacts& facts) {
  Figures scratch;
  const std::vector<FittedFigure> found =
      fit_law(observations(samples, facts.cpu), RespLaw(facts), kSought, scratch);
  return {found[kClientCommand], found[kServerCommand], found[kRoundTrip], found[kSend],
          found[kReceive],       found[kTakeIn],        found[kSendOut],   found[kFresh]};
}

}  // namespace kvsim
