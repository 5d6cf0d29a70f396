#include "sim/report/variant_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "sim/report/table.hpp"

namespace kvsim {

namespace {

struct Column {
  std::string key;    // in files
  std::string title;  // in the table
  std::function<Json(const Json& run)> value;
  std::function<std::string(const Json& value)> show;
};

std::string percent(const Json& share) {
  return share.is_number() ? fmt::format("{:.1f} %", 100 * share.get<double>()) : "-";
}

std::string rate(const Json& value) {
  return value.is_number() ? fmt::format("{:.4g}", value.get<double>()) : "-";
}

std::string gigabytes(const Json& bytes) {
  return bytes.is_number() ? fmt::format("{:.4g}", bytes.get<double>() / 1e9) : "-";
}

std::string dollars(const Json& usd) {
  return usd.is_number() ? fmt::format("${:.4g}", usd.get<double>()) : "-";
}

// Null where the path leads nowhere.
std::function<Json(const Json&)> at(const char* pointer) {
  return [path = Json::json_pointer(pointer)](const Json& run) {
    return run.contains(path) ? run.at(path) : Json();
  };
}

Json tier_hits(const Json& run, const std::string& tier) {
  const Json& cache = run.at("cache");
  if (!cache.at("hit_tokens").contains(tier)) return Json();
  const double prompt = cache.at("prompt_tokens").get<double>();
  return prompt > 0 ? Json(cache.at("hit_tokens").at(tier).get<double>() / prompt) : Json();
}

// A machine's line carries what its cards do.
Json network_bytes(const Json& run) {
  std::int64_t sum = 0;
  for (const Json& resource : run.at("resources")) {
    const auto& name = resource.at("name").get_ref<const std::string&>();
    if (resource.at("kind") != "network" || !name.ends_with(".nic.out")) continue;
    if (name.find(".card-") == std::string::npos) sum += resource.at("bytes").get<std::int64_t>();
  }
  return sum;
}

Json failures(const Json& run) {
  std::int64_t sum = 0;
  for (const char* key : {"refused", "failed", "timed_out"})
    sum += run.at("requests").at(key).get<std::int64_t>();
  return sum;
}

// Tiers of all runs, in the order of their first appearance.
std::vector<std::string> tiers_of(const std::vector<VariantResult>& results) {
  std::vector<std::string> out;
  for (const VariantResult& result : results) {
    if (result.run.is_null()) continue;
    for (const auto& tier : result.run.at("cache").at("hit_tokens").items())
      if (std::find(out.begin(), out.end(), tier.key()) == out.end()) out.push_back(tier.key());
  }
  return out;
}

std::vector<Column> columns_of(const std::vector<VariantResult>& results) {
  std::vector<Column> out = {
      {"ttft_p50_s", "TTFT p50", at("/latency_s/ttft/p50"), human_seconds},
      {"ttft_p99_s", "p99", at("/latency_s/ttft/p99"), human_seconds},
      {"itl_p50_s", "ITL p50", at("/latency_s/itl/p50"), human_seconds},
      {"tpot_p50_s", "TPOT p50", at("/latency_s/tpot/p50"), human_seconds},
      {"requests_per_s", "req/s", at("/throughput/requests_per_s"), rate},
      {"output_tokens_per_s", "tokens/s", at("/throughput/output_tokens_per_s"), rate},
      {"hit_rate", "hits", at("/cache/hit_rate"), percent},
  };
  for (const std::string& tier : tiers_of(results))
    out.push_back({"hit_rate_" + tier, tier,
                   [tier](const Json& run) { return tier_hits(run, tier); }, percent});
  out.push_back({"network_bytes", "net GB", network_bytes, gigabytes});
  out.push_back(
      {"usd_per_million_tokens", "$/M tokens", at("/cost/usd_per_million_tokens"), dollars});
  out.push_back({"failures", "failed", failures, human_count});
  return out;
}

// In columns a terminal shows: "é" is one of them and two bytes.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string padded(const std::string& text, std::size_t width, bool left) {
  const std::string space(width - std::min(width, width_of(text)), ' ');
  return left ? text + space : space + text;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

}  // namespace

std::string variant_table(const std::vector<VariantResult>& results) {
  const std::vector<Column> columns = columns_of(results);
  std::vector<std::vector<std::string>> rows = {{"variant"}};
  for (const Column& column : columns) rows.front().push_back(column.title);
  for (const VariantResult& result : results) {
    rows.push_back({result.name});
    if (result.run.is_null()) continue;
    for (const Column& column : columns)
      rows.back().push_back(column.show(column.value(result.run)));
  }
  std::vector<std::size_t> widths(rows.front().size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  std::string out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    out += padded(rows[r].front(), widths.front(), true);
    for (std::size_t i = 1; i < rows[r].size(); ++i)
      out += "  " + padded(rows[r][i], widths[i], false);
    if (r > 0 && results[r - 1].run.is_null()) out += "  failed: " + results[r - 1].error;
    out += '\n';
  }
  return out;
}

std::string variant_csv(const std::vector<VariantResult>& results) {
  const std::vector<Column> columns = columns_of(results);
  std::string out = "variant";
  for (const Column& column : columns) out += "," + csv_field(column.key);
  out += '\n';
  for (const VariantResult& result : results) {
    out += csv_field(result.name);
    for (const Column& column : columns) {
      const Json value = result.run.is_null() ? Json() : column.value(result.run);
      out += value.is_null() ? "," : "," + value.dump();
    }
    out += '\n';
  }
  return out;
}

Json variant_json(const std::string& name, const std::vector<VariantResult>& results) {
  const std::vector<Column> columns = columns_of(results);
  Json rows = Json::array();
  for (const VariantResult& result : results) {
    Json row = {{"name", result.name}, {"set", result.set}};
    if (result.run.is_null()) {
      row["error"] = result.error;
    } else {
      row["summary"] = result.summary;
      for (const Column& column : columns) row["values"][column.key] = column.value(result.run);
    }
    rows.push_back(std::move(row));
  }
  return {{"schema", "kvsim.variants/1"}, {"name", name}, {"variants", std::move(rows)}};
}

}  // namespace kvsim
