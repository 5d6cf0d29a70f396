#include "tests/full/routing_cases.hpp"

#include <algorithm>
#include <bit>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "sim/experiment/simulation.hpp"
#include "tests/child.hpp"

namespace kvsim {

namespace {

const char* const kMeasurements = KVSIM_SOURCE_DIR "/../shared/validation/dev/measurements.csv";
const std::string kExperiments = KVSIM_SOURCE_DIR "/configs/experiments/";

constexpr std::size_t kNumbers = sizeof(RoutedStage) / sizeof(double);
using Numbers = std::array<double, kNumbers>;

// Their ITL counts about two events a token.
void take(RoutedStage& stage, const std::string& metric, const std::string& stat, double value) {
  if (metric == "output_throughput") stage.throughput = value;
  if (metric == "ttft" && stat == "mean") stage.ttft = value;
  if (metric == "ttft" && stat == "p90") stage.ttft_p90 = value;
  if (metric == "itl" && stat == "mean") stage.tpot = 2 * value;
}

struct Period {
  double rate;
  double begin;
  double end;  // when the next one begins
};

// Stages with their pauses; the first is the warm-up.
std::vector<Period> periods(const Json& experiment) {
  std::vector<Period> out;
  double now = 0;
  for (const Json& stage : experiment.at("load").at("stages")) {
    const double rate = stage.at("rate_per_s");
    if (rate > 0) out.push_back({rate, now, 0});
    now += stage.at("duration_s").get<double>();
    out.back().end = now;
  }
  out.back().end = 1e9;
  return out;
}

class Records : public RequestSink {
 public:
  void finished(const RequestRecord& record) override { all.push_back(record); }
  void close(const Json&) override {}
  std::vector<RequestRecord> all;
};

RoutedStage stage_of(const std::vector<RequestRecord>& all, const Period& period) {
  RoutedStage out;
  std::vector<double> ttfts;
  std::map<std::int32_t, int> by_replica;
  double tokens = 0;
  double hits = 0;
  double inputs = 0;
  double last = 0;
  constexpr double kRounding = 1e-6;  // of arrivals that begin a stage
  for (const RequestRecord& record : all) {
    const double sent = record.sent.count() + kRounding;
    if (sent < period.begin || sent >= period.end) continue;
    if (record.outcome != Outcome::kCompleted) throw std::runtime_error("a request failed");
    const double ttft = (record.first_token - record.sent).count();
    const auto after_first = static_cast<double>(record.output_tokens - 1);
    ttfts.push_back(ttft);
    out.ttft += ttft;
    out.tpot += (record.ended - record.first_token).count() / after_first;
    out.e2e += (record.ended - record.sent).count();
    out.preemptions += record.preemptions;
    tokens += static_cast<double>(record.output_tokens);
    hits += static_cast<double>(record.hit_tokens[0]);
    inputs += static_cast<double>(record.input_tokens);
    last = std::max(last, record.ended.count());
    ++by_replica[record.replica];
  }
  if (last >= period.end) throw std::runtime_error("a stage outlasts its pause");
  const auto count = static_cast<double>(ttfts.size());
  std::sort(ttfts.begin(), ttfts.end());
  out.ttft /= count;
  out.tpot /= count;
  out.e2e /= count;
  out.throughput = tokens / (last - period.begin);
  out.ttft_p90 = ttfts[ttfts.size() * 9 / 10];
  out.hit = hits / inputs;
  for (const auto& [replica, requests] : by_replica)
    out.largest_share = std::max(out.largest_share, requests / count);
  return out;
}

// The overrides of a policy in the sweep.
std::vector<std::string> overrides(const std::string& policy) {
  std::ifstream file(kExperiments + "llmd_routing_policies.json");
  const Json sweep = Json::parse(file, nullptr, true, true);
  for (const Json& point : sweep.at("points")) {
    if (point.at("/name") != policy) continue;
    std::vector<std::string> out;
    for (const auto& [pointer, value] : point.items()) out.push_back(pointer + "=" + value.dump());
    return out;
  }
  throw std::runtime_error("no policy " + policy);
}

std::vector<double> simulate(const std::string& policy, int seed) {
  std::vector<std::string> set = overrides(policy);
  set.push_back("/seed=" + std::to_string(seed));
  const std::string file = kExperiments + "llmd_routing.json";
  const Json experiment = load_experiment(file, set);
  Simulation simulation(ConfigNode(experiment, file));
  Records records;
  simulation.add_sink(records);
  simulation.run();
  std::vector<double> out;
  const std::vector<Period> all = periods(experiment);
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (all[i].rate != kRoutingRates[i - 1]) throw std::runtime_error("other rates");
    const auto numbers = std::bit_cast<Numbers>(stage_of(records.all, all[i]));
    out.insert(out.end(), numbers.begin(), numbers.end());
  }
  return out;
}

}  // namespace

std::optional<RoutedStages> measured_stages(const std::string& policy) {
  RoutedStages out;
  bool any = false;
  std::ifstream in(kMeasurements);
  for (std::string line; std::getline(in, line);) {
    std::vector<std::string> columns;
    std::istringstream text(line);
    for (std::string column; std::getline(text, column, ',');) columns.push_back(column);
    if (columns.size() < 6 || columns[1] != "llmd_routing_37cap") continue;
    const std::string begin = "llmd37-" + policy + "-scheduling-q";
    if (!columns[0].starts_with(begin)) continue;
    const int rate = std::stoi(columns[0].substr(begin.size()));
    const auto* const at = std::find(kRoutingRates.begin(), kRoutingRates.end(), rate);
    if (at == kRoutingRates.end()) continue;
    take(out[static_cast<std::size_t>(at - kRoutingRates.begin())], columns[2], columns[3],
         std::stod(columns[5]));
    any = true;
  }
  if (!any) return std::nullopt;
  return out;
}

RoutedStages simulated_stages(const std::string& policy, int seeds) {
  std::array<Numbers, kRoutingRates.size()> sums{};
  for (int seed = 1; seed <= seeds; ++seed) {
    const std::vector<double> numbers =
        numbers_of_child([&policy, seed] { return simulate(policy, seed); });
    for (std::size_t i = 0; i < numbers.size(); ++i)
      sums[i / kNumbers][i % kNumbers] += numbers[i] / seeds;
  }
  RoutedStages out;
  for (std::size_t i = 0; i < sums.size(); ++i) out[i] = std::bit_cast<RoutedStage>(sums[i]);
  return out;
}

std::size_t collapse(const RoutedStages& stages, double seconds) {
  const auto* const first =
      std::find_if(stages.begin(), stages.end(),
                   [seconds](const RoutedStage& stage) { return stage.ttft > seconds; });
  return static_cast<std::size_t>(first - stages.begin());
}

}  // namespace kvsim
