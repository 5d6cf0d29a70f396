#include "sim/experiment/break_even.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <sstream>

#include "sim/base/errors.hpp"

namespace kvsim {

namespace {

constexpr std::int64_t kShortest = 256;
constexpr std::int64_t kLongest = 32768;
constexpr std::int64_t kTail = 16;  // of a prompt behind its prefix: something is left to compute
constexpr std::int64_t kRequests = 16;

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> out;
  std::istringstream parts(line);
  for (std::string field; std::getline(parts, field, ',');) out.push_back(field);
  return out;
}

double number_of(const std::string& text) { return text.empty() ? 0 : std::stod(text); }

double parse_number(const std::string& text, const std::string& whole) {
  double out = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), out);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || !(out >= 0))
    throw ConfigError(fmt::format(
        "--tier: found \"{}\"; allowed: NAME=BYTES_PER_SECOND or NAME=BYTES_PER_SECOND,SECONDS",
        whole));
  return out;
}

Json lmcache(const char* key, const char* store) {
  return {{"kind", "lmcache"}, {"local_cpu", false}, {"max_local_cpu_bytes", 64e9}, {key, store}};
}

// What a request's row says, by column.
struct Row {
  const std::map<std::string, std::size_t>& columns;
  std::vector<std::string> fields;
  [[nodiscard]] double at(const std::string& column) const {
    const auto place = columns.find(column);
    return place == columns.end() || place->second >= fields.size()
               ? 0
               : number_of(fields[place->second]);
  }
  // Tokens that came from below HBM.
  [[nodiscard]] double fetched() const {
    double out = -at("hit_tokens_hbm");
    for (const auto& [name, place] : columns)
      if (name.starts_with("hit_tokens_")) out += at(name);
    return out;
  }
};

}  // namespace

PlainTier read_plain_tier(const std::string& text) {
  const std::size_t equals = text.find('=');
  const std::size_t comma = text.find(',');
  PlainTier out;
  out.name = text.substr(0, equals);
  const std::string rate =
      equals == std::string::npos ? "" : text.substr(equals + 1, comma - equals - 1);
  out.rate = Bandwidth(parse_number(rate, text));
  if (comma != std::string::npos) out.latency = Seconds(parse_number(text.substr(comma + 1), text));
  if (out.name.empty() || !(out.rate > Bandwidth(0))) (void)parse_number("", text);
  return out;
}

std::vector<TierPath> usual_paths(const Json& experiment) {
  Json base = experiment;
  Json& node = base["nodes"][0];
  if (node.is_null()) node = {{"gpus", base["pools"][0].value("tensor_parallel", 8)}};
  node["disks"].push_back({{"name", "break-even-ssd"}, {"kind", "nvme"}});
  base["stores"] = {{{"name", "redis"}, {"kind", "redis"}, {"maxmemory_bytes", 500e9}},
                    {{"name", "files"}, {"kind", "files"}, {"disk", "break-even-ssd"}}};
  const auto with = [&](const char* name, Json connector) {
    TierPath out{name, base};
    out.experiment["pools"][0]["connector"] = std::move(connector);
    return out;
  };
  Json resp = lmcache("remote", "redis");
  resp["client"] = "resp";
  return {with("dram", {{"kind", "native"}, {"cpu_bytes", 200e9}}),
          with("redis", lmcache("remote", "redis")), with("resp", std::move(resp)),
          with("nvme", lmcache("local_disk", "files"))};
}

std::vector<TierPath> own_path(const Json& experiment) {
  const Json connector = experiment["pools"][0].value("connector", Json());
  if (!connector.is_object() && !connector.is_string()) return {};
  const std::string kind =
      connector.is_string() ? connector.get<std::string>() : connector.value("kind", "connector");
  return {{"own " + kind, experiment}};
}

std::vector<std::int64_t> prefix_lengths(std::int64_t max_model_len) {
  std::vector<std::int64_t> out;
  for (std::int64_t tokens = kShortest; tokens <= kLongest; tokens *= 2)
    if (tokens + kTail + 1 <= max_model_len) out.push_back(tokens);
  return out;
}

Json probe_of(const Json& experiment, std::int64_t prefix, bool cached) {
  Json out = experiment;
  const auto constant = [](std::int64_t value) {
    return Json{{"kind", "constant"}, {"value", value}};
  };
  out["name"] = "probe";
  out["workload"] = {{"kind", "generate"},
                     {"requests", kRequests},
                     {"input", constant(kTail)},
                     {"output", constant(1)},
                     {"prefix", {{"groups", 2}, {"length", constant(prefix)}}}};
  out["load"] = {{"kind", "closed_loop"}, {"clients", 1}};
  out["deterministic"] = true;
  out["cost"] = {{"gpu_usd_per_hour", 0}};  // not every GPU has a price
  for (const char* key : {"measure", "slo", "router", "assume_free"}) out.erase(key);
  Json& pool = out["pools"][0];
  pool["replicas"] = 1;
  Json& engine = pool["engine"];
  if (engine.is_null()) engine = Json::object();
  const std::int64_t block = engine.value("block_size", std::int64_t{16});
  // Room for one prompt and its token, with the block that is never used.
  engine["num_gpu_blocks_override"] = (prefix + kTail + 1 + block - 1) / block + 2;
  engine["max_model_len"] = prefix + kTail + 1;
  engine["enable_prefix_caching"] = cached;
  if (cached) return out;
  pool.erase("connector");
  out.erase("stores");
  return out;
}

std::optional<ProbeTimes> read_probe(const std::string& requests_csv, bool cached) {
  std::istringstream lines(requests_csv);
  std::string line;
  std::getline(lines, line);
  std::map<std::string, std::size_t> columns;
  for (const std::string& name : fields_of(line)) columns.emplace(name, columns.size());
  double count = 0;
  double hits = 0;
  ProbeTimes out;
  while (std::getline(lines, line)) {
    const Row row{columns, fields_of(line)};
    // The prefix still in HBM says nothing of the tiers below.
    if (cached && (row.fetched() <= 0 || row.at("hit_tokens_hbm") > row.fetched())) continue;
    ++count;
    hits += row.fetched();
    out.fetch += Seconds(row.at("lookup_s") + row.at("fetch_s"));
    out.prefill += Seconds(row.at("prefill_s"));
  }
  if (count == 0) return std::nullopt;
  out.hit_tokens = std::llround(hits / count);
  out.fetch = out.fetch / count;
  out.prefill = out.prefill / count;
  return out;
}

std::optional<std::int64_t> break_even_tokens(const std::vector<BreakEvenPoint>& points) {
  // The last length at which computing still wins.
  std::size_t last = points.size();
  for (std::size_t i = 0; i < points.size(); ++i)
    if (points[i].fetch >= points[i].recompute) last = i;
  if (last == points.size()) return points.empty() ? std::nullopt : std::optional<std::int64_t>(0);
  if (last + 1 == points.size()) return std::nullopt;
  const BreakEvenPoint& low = points[last];
  const BreakEvenPoint& high = points[last + 1];
  const double behind = (low.fetch - low.recompute).count();
  const double ahead = (high.recompute - high.fetch).count();
  const double share = behind / (behind + ahead);
  return low.tokens + std::llround(share * static_cast<double>(high.tokens - low.tokens));
}

}  // namespace kvsim
