// Means, percentiles and rates as load generators report them. Sources of the definitions: GuideLLM
// (ITL is weighted by the gaps of a request, TPOT over all output tokens includes the TTFT),
// inference-perf (rates over first sent to last ended), vLLM's counters of prefix cache and
// connector (hits of tokens asked for). Percentiles of equal weights are interpolated linearly as
// numpy does; weighted ones are the smallest value that the share of the weight reaches.
#include "sim/validate/counting.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

enum class Dimension { kSeconds, kTokenRate, kRequestRate, kRequests, kTokens, kShare };

struct Sample {
  double value;
  double weight;
};

// What counts of a cut, and for how long.
struct Counted {
  std::vector<const RequestRecord*> sent;
  std::vector<const RequestRecord*> answered;  // those that count
  double seconds = 0;                          // what rates are over
  double sending_seconds = 0;                  // first to last sent
};

double latency(const RequestRecord& r) { return (r.ended - r.sent).count(); }
double first_token(const RequestRecord& r) { return (r.first_token - r.sent).count(); }
double gaps(const RequestRecord& r) { return static_cast<double>(r.output_tokens - 1); }
double gap(const RequestRecord& r) { return (latency(r) - first_token(r)) / gaps(r); }
double output(const RequestRecord& r) { return static_cast<double>(r.output_tokens); }
double input(const RequestRecord& r) { return static_cast<double>(r.input_tokens); }
double hbm_hits(const RequestRecord& r) { return static_cast<double>(r.hit_tokens[0]); }
double lower_hits(const RequestRecord& r) {
  return static_cast<double>(r.hit_tokens[1] + r.hit_tokens[2] + r.hit_tokens[3]);
}

using PerRequest = std::optional<Sample> (*)(const RequestRecord&);
using Total = std::optional<double> (*)(const Counted&);

struct Metric {
  const char* name;
  Dimension dimension;
  PerRequest per_request;
  Total total;
};

template <double (*value)(const RequestRecord&)>
double sum(const std::vector<const RequestRecord*>& requests) {
  double out = 0;
  for (const RequestRecord* request : requests) out += value(*request);
  return out;
}

std::optional<double> ratio(double part, double whole) {
  if (whole <= 0) return std::nullopt;
  return part / whole;
}

std::optional<Sample> plain(double value) { return Sample{value, 1}; }

std::optional<Sample> per_output_token(const RequestRecord& r) {
  return r.output_tokens > 0 ? plain(latency(r) / output(r)) : std::nullopt;
}

template <Outcome... outcomes>
std::optional<double> count_outcomes(const Counted& c) {
  double out = 0;
  for (const RequestRecord* request : c.sent)
    out += ((request->outcome == outcomes) || ...) ? 1 : 0;
  return out;
}

constexpr auto kErrors = count_outcomes<Outcome::kRefused, Outcome::kFailed, Outcome::kTimedOut>;

std::optional<double> success_share(const Counted& c) {
  const auto answered = static_cast<double>(c.answered.size());
  return ratio(answered, answered + *kErrors(c));
}

std::optional<double> makespan(const Counted& c) {
  if (c.answered.empty()) return std::nullopt;
  double begin = c.answered.front()->sent.count();
  double end = 0;
  for (const RequestRecord* r : c.answered) {
    begin = std::min(begin, r->sent.count());
    end = std::max(end, r->ended.count());
  }
  return end - begin;
}

std::optional<double> lower_hit_share(const Counted& c) {
  return ratio(sum<lower_hits>(c.answered), sum<input>(c.answered) - sum<hbm_hits>(c.answered));
}

std::optional<double> answered_count(const Counted& c) {
  return static_cast<double>(c.answered.size());
}

const std::vector<Metric>& metrics() {
  using R = const RequestRecord&;
  using C = const Counted&;
  using D = Dimension;
  static const std::vector<Metric> all = {
      {"ttft", D::kSeconds, [](R r) { return plain(first_token(r)); }, nullptr},
      {"e2e", D::kSeconds, [](R r) { return plain(latency(r)); }, nullptr},
      {"itl", D::kSeconds,
       [](R r) -> std::optional<Sample> {
         if (r.output_tokens < 2) return std::nullopt;
         return Sample{gap(r), gaps(r)};
       },
       nullptr},
      {"tpot", D::kSeconds, [](R r) { return r.output_tokens < 2 ? std::nullopt : plain(gap(r)); },
       nullptr},
      {"tpot_incl_ttft", D::kSeconds,
       [](R r) -> std::optional<Sample> {
         if (r.output_tokens < 1) return std::nullopt;
         return Sample{latency(r) / output(r), output(r)};
       },
       nullptr},
      {"e2e_per_output_token", D::kSeconds, per_output_token, nullptr},
      {"kv_transfer_time", D::kSeconds, [](R r) { return plain(r.fetch.count()); }, nullptr},
      // Of KV that a decode replica pulls: the whole prompt's.
      {"kv_transfer_token_rate", D::kTokenRate,
       [](R r) { return r.fetch.count() > 0 ? plain(input(r) / r.fetch.count()) : std::nullopt; },
       nullptr},
      {"queue_time", D::kSeconds, [](R r) { return plain(r.queue.count()); }, nullptr},
      {"prompt_len", D::kTokens, [](R r) { return plain(input(r)); }, nullptr},
      {"output_len", D::kTokens, [](R r) { return plain(output(r)); }, nullptr},
      {"per_request_total_token_rate", D::kTokenRate,
       [](R r) -> std::optional<Sample> {
         if (latency(r) <= 0) return std::nullopt;
         return plain((input(r) + output(r)) / latency(r));
       },
       nullptr},
      {"output_throughput", D::kTokenRate, nullptr,
       [](C c) { return ratio(sum<output>(c.answered), c.seconds); }},
      {"input_throughput", D::kTokenRate, nullptr,
       [](C c) { return ratio(sum<input>(c.answered), c.seconds); }},
      {"total_throughput", D::kTokenRate, nullptr,
       [](C c) { return ratio(sum<input>(c.answered) + sum<output>(c.answered), c.seconds); }},
      {"request_throughput", D::kRequestRate, nullptr,
       [](C c) { return ratio(static_cast<double>(c.answered.size()), c.seconds); }},
      {"request_throughput_sent", D::kRequestRate, nullptr,
       [](C c) { return ratio(static_cast<double>(c.sent.size()), c.sending_seconds); }},
      {"completed_requests", D::kRequests, nullptr, answered_count},
      {"successes", D::kRequests, nullptr, answered_count},
      {"errored_requests", D::kRequests, nullptr, kErrors},
      {"failures", D::kRequests, nullptr, kErrors},
      {"success", D::kShare, nullptr, success_share},
      {"makespan", D::kSeconds, nullptr, makespan},
      {"gpu_prefix_hit_rate", D::kShare, nullptr,
       [](C c) { return ratio(sum<hbm_hits>(c.answered), sum<input>(c.answered)); }},
      {"connector_hit_ratio", D::kShare, nullptr, lower_hit_share},
      {"cpu_tier_hit_rate_of_queries", D::kShare, nullptr, lower_hit_share},
      {"connector_hit_rate", D::kTokenRate, nullptr,
       [](C c) { return ratio(sum<lower_hits>(c.answered), c.seconds); }},
      {"connector_query_rate", D::kTokenRate, nullptr,
       [](C c) { return ratio(sum<input>(c.answered) - sum<hbm_hits>(c.answered), c.seconds); }},
  };
  return all;
}

const Metric* find_metric(const std::string& name) {
  for (const Metric& metric : metrics())
    if (name == metric.name) return &metric;
  return nullptr;
}

// How many of `unit` one of the dimension's SI unit is.
std::optional<double> per_si(Dimension dimension, const std::string& unit) {
  struct Row {
    Dimension dimension;
    const char* unit;
    double factor;
  };
  using D = Dimension;
  static constexpr Row kRows[] = {{D::kSeconds, "s", 1},
                                  {D::kSeconds, "ms", 1e3},
                                  {D::kSeconds, "us", 1e6},
                                  {D::kTokenRate, "tok/s", 1},
                                  {D::kRequestRate, "req/s", 1},
                                  {D::kRequestRate, "1/s", 1},
                                  {D::kRequestRate, "req/min", 60},
                                  {D::kRequests, "req", 1},
                                  {D::kTokens, "tok", 1},
                                  // The metric's factor is bytes a token.
                                  {D::kTokens, "MB", 1e-6},
                                  {D::kTokens, "GB", 1e-9},
                                  {D::kTokenRate, "GB/s", 1e-9},
                                  {D::kShare, "%", 100},
                                  {D::kShare, "", 1},
                                  {D::kShare, "-", 1}};
  for (const Row& row : kRows)
    if (row.dimension == dimension && unit == row.unit) return row.factor;
  return std::nullopt;
}

// Of a stage's requests those that got their whole answer, in the stage if that is asked for.
bool counts(const RequestRecord& request, const StageOutcome& stage, const CountingRules& rules) {
  constexpr double kRounding_s = 1e-8;  // of times written with nanoseconds
  if (request.outcome != Outcome::kCompleted) return false;
  return rules.requests == "sent" || request.ended <= stage.end + Seconds(kRounding_s);
}

Counted count(const std::vector<const StageOutcome*>& stages, const CountingRules& rules) {
  constexpr double kNever = 1e300;
  Counted out;
  double duration = 0;
  double first_sent = kNever;
  double last_sent = -kNever;
  double last_ended = -kNever;
  for (const StageOutcome* stage : stages) {
    const Seconds asked =
        stage->duration > Seconds(0) ? stage->duration : stage->end - stage->begin;
    duration += asked.count();
    for (const RequestRecord& request : stage->requests) {
      out.sent.push_back(&request);
      first_sent = std::min(first_sent, request.sent.count());
      last_sent = std::max(last_sent, request.sent.count());
      if (!counts(request, *stage, rules)) continue;
      out.answered.push_back(&request);
      last_ended = std::max(last_ended, request.ended.count());
    }
  }
  out.sending_seconds = last_sent - first_sent;
  if (rules.seconds == "duration")
    out.seconds = duration;
  else
    out.seconds = (rules.seconds == "sending" ? last_sent : last_ended) - first_sent;
  return out;
}

double weighted_mean(const std::vector<Sample>& samples) {
  double value = 0;
  double weight = 0;
  for (const Sample& sample : samples) {
    value += sample.value * sample.weight;
    weight += sample.weight;
  }
  return value / weight;
}

double quantile(std::vector<Sample> samples, double share) {
  std::sort(samples.begin(), samples.end(),
            [](const Sample& a, const Sample& b) { return a.value < b.value; });
  const bool equal = std::all_of(samples.begin(), samples.end(),
                                 [&](const Sample& s) { return s.weight == samples[0].weight; });
  if (equal) {
    const double rank = share * static_cast<double>(samples.size() - 1);
    const auto below = static_cast<std::size_t>(rank);
    const std::size_t above = std::min(below + 1, samples.size() - 1);
    const double part = rank - static_cast<double>(below);
    return samples[below].value + part * (samples[above].value - samples[below].value);
  }
  double total = 0;
  for (const Sample& sample : samples) total += sample.weight;
  double reached = 0;
  for (const Sample& sample : samples)
    if ((reached += sample.weight) >= share * total) return sample.value;
  return samples.back().value;
}

std::optional<double> statistic(const std::vector<Sample>& samples, std::string stat) {
  stat = stat.substr(0, stat.find('('));
  if (samples.empty()) return std::nullopt;
  const auto less = [](const Sample& a, const Sample& b) { return a.value < b.value; };
  if (stat == "max") return std::max_element(samples.begin(), samples.end(), less)->value;
  if (stat == "min") return std::min_element(samples.begin(), samples.end(), less)->value;
  if (stat == "median") return quantile(samples, 0.5);
  if (stat.size() > 1 && stat[0] == 'p') {
    double percent = 0;
    const auto read = std::from_chars(stat.data() + 1, stat.data() + stat.size(), percent);
    if (read.ec != std::errc() || percent < 0 || percent > 100) return std::nullopt;
    constexpr double kPercent = 100;
    return quantile(samples, percent / kPercent);
  }
  if (stat == "mean" || stat == "mean_or_median" || stat == "-") return weighted_mean(samples);
  return std::nullopt;
}

std::optional<double> mean_of_stages(const std::vector<const StageOutcome*>& stages,
                                     const CountingRules& rules, const std::string& metric,
                                     const std::string& stat, const std::string& unit) {
  double sum = 0;
  for (const StageOutcome* stage : stages) {
    const auto value = measure({stage}, rules, metric, stat, unit);
    if (!value) return std::nullopt;
    sum += *value;
  }
  return sum / static_cast<double>(stages.size());
}

}  // namespace

std::optional<double> measure(const std::vector<const StageOutcome*>& stages,
                              const CountingRules& rules, const std::string& metric,
                              const std::string& stat, const std::string& unit) {
  const auto meaning = rules.metrics.find(metric);
  const bool renamed = meaning != rules.metrics.end();
  const Metric* const known = find_metric(renamed ? meaning->second.as : metric);
  if (known == nullptr) return std::nullopt;
  const auto factor = per_si(known->dimension, unit);
  if (!factor) return std::nullopt;
  if (rules.token_rates == "mean" && known->total != nullptr && stages.size() > 1 &&
      known->dimension == Dimension::kTokenRate)
    return mean_of_stages(stages, rules, metric, stat, unit);
  const Counted counted = count(stages, rules);
  if (counted.sent.empty()) return std::nullopt;
  std::optional<double> value;
  if (known->total != nullptr) {
    value = known->total(counted);
  } else {
    std::vector<Sample> samples;
    samples.reserve(counted.answered.size());
    for (const RequestRecord* request : counted.answered)
      if (const auto sample = known->per_request(*request)) samples.push_back(*sample);
    value = statistic(samples, renamed && stat == "median" ? meaning->second.median : stat);
  }
  if (!value) return std::nullopt;
  return *value * *factor * (renamed ? meaning->second.factor : 1);
}

bool can_measure(const CountingRules& rules, const std::string& metric) {
  const auto meaning = rules.metrics.find(metric);
  return find_metric(meaning == rules.metrics.end() ? metric : meaning->second.as) != nullptr;
}

}  // namespace kvsim
