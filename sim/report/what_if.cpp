#include "sim/report/what_if.hpp"

#include <algorithm>

namespace kvsim {

namespace {

bool uses(const Json& summary, const char* kind) {
  const Json& list = summary["resources"];
  return std::any_of(list.begin(), list.end(), [&](const Json& resource) {
    return resource["kind"] == kind && resource["busy_s"].get<double>() > 0;
  });
}

bool uses_stores(const Json& summary) {
  const Json list = summary.value("stores", Json::array());
  return std::any_of(list.begin(), list.end(), [](const Json& store) {
    return store["gets"].get<std::int64_t>() + store["puts"].get<std::int64_t>() > 0;
  });
}

Json number(const Json& before, const Json& after, double (*gain)(double, double)) {
  if (!before.is_number() || !after.is_number()) return nullptr;
  const double old = before.get<double>();
  return old > 0 ? Json(gain(old, after.get<double>())) : Json();
}

double more(double before, double after) { return after / before - 1; }
double less(double before, double after) { return 1 - after / before; }

}  // namespace

std::vector<WhatIf> what_ifs(const Json& resolved, const Json& summary) {
  std::vector<WhatIf> out;
  const auto free = [&](const char* kind, bool used) {
    Json list = resolved["assume_free"];
    if (!used || std::find(list.begin(), list.end(), kind) != list.end()) return;
    list.push_back(kind);
    out.push_back({kind, {"/assume_free=" + list.dump()}});
  };
  const bool stores = uses_stores(summary);
  free("client", uses(summary, "client"));
  free("server", stores);
  free("disk", uses(summary, "disk"));
  free("network", stores);
  free("memory", uses(summary, "memory"));
  free("pcie", uses(summary, "pcie"));
  const Json& pool = resolved["pools"][0];
  if (pool["engine"]["request_overhead"] == true)
    out.push_back({"api", {"/pools/0/engine/request_overhead=false"}});
  const Json connector = pool.value("connector", Json());
  if (connector.is_object() && connector.value("kind", "") == "lmcache" &&
      !connector.value("enable_async_loading", false) && !connector.value("use_layerwise", false))
    out.push_back({"async-loading", {"/pools/0/connector/enable_async_loading=true"}});
  return out;
}

Json what_if_gain(const std::string& free, const Json& before, const Json& after) {
  const auto at = [](const Json& summary, const char* pointer) {
    const Json::json_pointer place(pointer);
    return summary.contains(place) ? summary.at(place) : Json();
  };
  const auto gain = [&](const char* pointer, double (*how)(double, double)) {
    return number(at(before, pointer), at(after, pointer), how);
  };
  return {{"free", free},
          {"throughput_gain", gain("/throughput/output_tokens_per_s", more)},
          {"ttft_gain", gain("/latency_s/ttft/mean", less)},
          {"tokens_per_user_gain", gain("/throughput/output_tokens_per_s_per_user", more)}};
}

void add_what_if(Json gains, Json& summary) {
  Json& bottleneck = summary["bottleneck"];
  for (const Json& gain : gains)
    if (gain["free"] == bottleneck["free"]) bottleneck["share"] = gain["throughput_gain"];
  summary["what_if"] = std::move(gains);
}

}  // namespace kvsim
