#include "sim/report/kv_map.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kvsim {

namespace {

double share(std::int64_t part, std::int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

// One name may stand for more tokens than this tier keeps under it: no more than all are covered.
double covered(Tokens part, Tokens whole) {
  return std::min(1.0, share(part.count(), whole.count()));
}

Json shares_of(const KvMapCounts& tier, const std::vector<std::string>& names) {
  const std::int64_t shared = tier.distinct - tier.held_by[0];
  Json out = {{"copies", share(tier.held, tier.distinct)},
              {"held_twice_share", share(shared, tier.distinct)},
              {"hot_share", share(tier.hot, tier.distinct)},
              {"warm_share", share(tier.warm, tier.distinct)},
              {"dead_share", share(tier.dead, tier.distinct)},
              {"elsewhere_share", covered(tier.elsewhere, tier.distinct_tokens)}};
  for (std::size_t other = 0; other < tier.also_in.size(); ++other)
    if (tier.also_in[other] > Tokens(0))
      out["also_in"][names[other]] = covered(tier.also_in[other], tier.distinct_tokens);
  return out;
}

std::string percent(const Json& value) {
  return fmt::format("{:.1f} %", 100 * value.get<double>());
}

}  // namespace

void KvMapCounts::add(const KvMapCounts& other) {
  holders = other.holders;
  entries += other.entries;
  bytes += other.bytes;
  held += other.held;
  distinct += other.distinct;
  distinct_bytes += other.distinct_bytes;
  distinct_tokens += other.distinct_tokens;
  for (std::size_t i = 0; i < held_by.size(); ++i) held_by[i] += other.held_by[i];
  hot += other.hot;
  warm += other.warm;
  dead += other.dead;
  elsewhere += other.elsewhere;
  also_in.resize(other.also_in.size(), Tokens(0));
  for (std::size_t i = 0; i < also_in.size(); ++i) also_in[i] += other.also_in[i];
}

KvMapFiles::KvMapFiles(const std::string& folder, std::vector<std::string> tiers)
    : tiers_(std::move(tiers)),
      samples_(folder + "/kvmap.csv"),
      blocks_(folder + "/kvmap_blocks.csv") {
  samples_.write(
      "time_s,tier,holders,entries,bytes,distinct,distinct_bytes,distinct_tokens,copies_mean,"
      "held_by_1,held_by_2,held_by_3_4,held_by_5_up,hot,warm,dead,elsewhere_tokens\n");
  blocks_.write("name,tokens,tiers");
  for (const std::string& tier : tiers_) blocks_.write(",copies_" + tier);
  blocks_.write(",hits,first_stored_s,last_hit_s\n");
}

void KvMapFiles::sample(Seconds now, const std::vector<KvMapCounts>& tiers) {
  for (std::size_t i = 0; i < tiers.size(); ++i) {
    const KvMapCounts& tier = tiers[i];
    samples_.write(fmt::format("{:.9f},{},{},{},{},{},{},{},{:.6f},{},{},{},{},{},{},{},{}\n",
                               now.count(), tiers_[i], tier.holders, tier.entries,
                               tier.bytes.count(), tier.distinct, tier.distinct_bytes.count(),
                               tier.distinct_tokens.count(), share(tier.held, tier.distinct),
                               tier.held_by[0], tier.held_by[1], tier.held_by[2], tier.held_by[3],
                               tier.hot, tier.warm, tier.dead, tier.elsewhere.count()));
  }
}

void KvMapFiles::close(const std::vector<KvMapBlock>& blocks) {
  for (const KvMapBlock& block : blocks) {
    std::string tiers;
    std::string copies;
    for (std::size_t i = 0; i < block.copies.size(); ++i) {
      if (block.copies[i] > 0) tiers += (tiers.empty() ? "" : "+") + tiers_[i];
      copies += fmt::format(",{}", block.copies[i]);
    }
    blocks_.write(fmt::format("{:016x},{},{}{},{},{:.9f},", block.name, block.tokens, tiers, copies,
                              block.hits, block.stored.count()));
    if (block.used >= Seconds(0)) blocks_.write(fmt::format("{:.9f}", block.used.count()));
    blocks_.write("\n");
  }
  samples_.commit();
  blocks_.commit();
}

Json kv_map_json(const KvMapFacts& facts) {
  Json tiers = Json::array();
  for (std::size_t i = 0; i < facts.tiers.size(); ++i) {
    const KvMapCounts& end = facts.end[i];
    if (end.holders == 0) {
      tiers.push_back({{"tier", facts.tiers[i]}, {"told", false}});
      continue;
    }
    Json mean = shares_of(facts.sum[i], facts.tiers);
    mean["bytes"] = share(facts.sum[i].bytes.count(), facts.samples);
    mean["distinct_bytes"] = share(facts.sum[i].distinct_bytes.count(), facts.samples);
    Json last = shares_of(end, facts.tiers);
    last["entries"] = end.entries;
    last["bytes"] = end.bytes.count();
    last["distinct"] = end.distinct;
    last["distinct_bytes"] = end.distinct_bytes.count();
    last["held_by"] = {{"1", end.held_by[0]},
                       {"2", end.held_by[1]},
                       {"3-4", end.held_by[2]},
                       {"5+", end.held_by[3]}};
    tiers.push_back({{"tier", facts.tiers[i]},
                     {"told", true},
                     {"holders", end.holders},
                     {"mean", std::move(mean)},
                     {"end", std::move(last)}});
  }
  return {{"period_s", facts.period.count()},
          {"window_s", facts.window.count()},
          {"samples", facts.samples},
          {"tiers", std::move(tiers)}};
}

std::string kv_map_table(const Json& map) {
  std::string out = fmt::format("  {:<12}{:>8}{:>10}{:>8}{:>9}{:>9}{:>9}{:>11}\n", "kv map, mean",
                                "holders", "GB", "copies", "twice", "hot", "dead", "elsewhere");
  for (const Json& tier : map["tiers"]) {
    out += fmt::format("    {:<10}", tier["tier"].get<std::string>());
    if (!tier["told"].get<bool>()) {
      out += "  nobody tells what it holds\n";
      continue;
    }
    const Json& mean = tier["mean"];
    out += fmt::format("{:>8}{:>10.4g}{:>8.2f}{:>9}{:>9}{:>9}{:>11}\n",
                       tier["holders"].get<std::int64_t>(), mean["bytes"].get<double>() / 1e9,
                       mean["copies"].get<double>(), percent(mean["held_twice_share"]),
                       percent(mean["hot_share"]), percent(mean["dead_share"]),
                       percent(mean["elsewhere_share"]));
  }
  return out;
}

}  // namespace kvsim
