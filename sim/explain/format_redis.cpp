// redis.conf and valkey.conf: one "name value" a line. Example:
//
//   maxmemory 64gb
//   maxmemory-policy allkeys-lru
//   save ""
//
// After Redis 7 and 8 and Valkey 8, which share these options.
#include <fmt/format.h>

#include "sim/base/registry.hpp"
#include "sim/explain/config_format.hpp"
#include "sim/explain/config_lines.hpp"

namespace kvsim {

namespace {

constexpr Effect kModelled = Effect::kModelled;
constexpr Effect kNotModelled = Effect::kNotModelled;
constexpr double kNoLimit = 9e18;
// The longest chunk that clients commonly send: 1024 tokens of Llama-3-70B, bf16, one GPU.
constexpr double kLongChunkBytes = 335'544'320;

std::vector<OptionRow> rows_of_effect() {
  return {
      {"maxmemory", kModelled, "/maxmemory_bytes", Unit::kRedisMemory, Range{0, kNoLimit}, "0",
       "DRAM for data; 0 = no limit."},
      {"maxmemory-policy", kModelled, "/maxmemory_policy", Unit::kText, kAnyRange, "noeviction",
       "What leaves when maxmemory is reached; with noeviction, writes fail."},
      {"io-threads", kModelled, "/io_threads", Unit::kInteger, Range{1, 128}, "1",
       "Threads that write answers to (and in newer versions read from) the network; commands "
       "still run one after another."},
      {"io-threads-do-reads", kNotModelled, "", Unit::kFlag, kAnyRange, "no",
       "Whether those threads also read and parse."},
      {"save", kNotModelled, "", Unit::kText, kAnyRange, "3600 1 300 100 60 10000",
       "Snapshots: a forked child writes everything, and pages written meanwhile are copied."},
      {"appendonly", kNotModelled, "", Unit::kFlag, kAnyRange, "no",
       "Each SET is also appended to a file."},
      {"appendfsync", kNotModelled, "", Unit::kText, kAnyRange, "everysec",
       "When that file is forced to disk."},
      {"maxmemory-samples", kModelled, "/maxmemory_samples", Unit::kInteger, Range{1, 64}, "5",
       "Keys looked at to evict one."},
      {"maxmemory-clients", kNotModelled, "", Unit::kText, kAnyRange, "0",
       "Limit of clients' buffers."},
      {"proto-max-bulk-len", kModelled, "/proto_max_bulk_bytes", Unit::kRedisMemory,
       Range{0, kNoLimit}, "512mb", "Longer values are rejected."},
      {"cluster-enabled", kNotModelled, "", Unit::kFlag, kAnyRange, "no",
       "Sharding over servers; state one store per server instead."},
      {"replicaof", kNotModelled, "", Unit::kText, kAnyRange, "", "Replication is not modelled."},
      {"activedefrag", kNotModelled, "", Unit::kFlag, kAnyRange, "no",
       "Moves values in the background."},
      {"lazyfree-lazy-eviction", kNotModelled, "", Unit::kFlag, kAnyRange, "no",
       "Evicted values are freed by another thread."},
  };
}

std::vector<OptionRow> rows() {
  std::vector<OptionRow> out = rows_of_effect();
  for (const char* name : {"bind",
                           "port",
                           "protected-mode",
                           "unixsocket",
                           "unixsocketperm",
                           "timeout",
                           "tcp-backlog",
                           "tcp-keepalive",
                           "daemonize",
                           "supervised",
                           "pidfile",
                           "loglevel",
                           "logfile",
                           "databases",
                           "always-show-logo",
                           "dir",
                           "dbfilename",
                           "appendfilename",
                           "appenddirname",
                           "requirepass",
                           "masterauth",
                           "user",
                           "maxclients",
                           "hz",
                           "dynamic-hz",
                           "rename-command",
                           "include",
                           "loadmodule",
                           "slowlog-log-slower-than",
                           "slowlog-max-len",
                           "latency-monitor-threshold",
                           "notify-keyspace-events",
                           "stop-writes-on-bgsave-error",
                           "rdbcompression",
                           "rdbchecksum",
                           "no-appendfsync-on-rewrite",
                           "auto-aof-rewrite-percentage",
                           "auto-aof-rewrite-min-size",
                           "aof-use-rdb-preamble",
                           "lazyfree-lazy-expire",
                           "lazyfree-lazy-server-del",
                           "lazyfree-lazy-user-del",
                           "lazyfree-lazy-user-flush",
                           "client-output-buffer-limit",
                           "client-query-buffer-limit",
                           "activerehashing",
                           "jemalloc-bg-thread",
                           "repl-diskless-sync",
                           "repl-backlog-size",
                           "disable-thp",
                           "oom-score-adj",
                           "replica-serve-stale-data",
                           "replica-read-only",
                           "set-proc-title",
                           "proc-title-template"})
    out.push_back({name, kNotModelled, "", Unit::kText, kAnyRange, "",
                   "Without influence on how fast values are stored and read."});
  return out;
}

const OptionTable& options() {
  static const OptionTable table("Redis", rows());
  return table;
}

class RedisFormat final : public ConfigFormat {
 public:
  using Options = NoOptions;
  RedisFormat(const NoOptions&, const Context&) {}

  [[nodiscard]] bool recognises(const std::string& text, const std::string&) const override {
    const std::vector<NamedValue> lines = parse_config_lines(text);
    return has_option(lines, {"maxmemory", "maxmemory-policy", "io-threads", "save", "appendonly",
                              "appendfsync", "protected-mode", "lazyfree-lazy-eviction"}) &&
           !has_option(lines, {"rocksdb.", "max-db-size"});
  }

  [[nodiscard]] Explanation explain(const std::string& text,
                                    const std::string& name) const override {
    Explanation out;
    out.target = "store";
    const bool valkey = lower_case(name + text).find("valkey") != std::string::npos;
    out.config["kind"] = valkey ? "valkey" : "redis";
    OptionReader reader(options(), out);
    for (const NamedValue& option : joined_saves(parse_config_lines(text))) reader.read(option);
    require_limit(reader, out);
    check(reader, out);
    return out;
  }

 private:
  // Several save lines add up; an empty one clears those before it.
  static std::vector<NamedValue> joined_saves(const std::vector<NamedValue>& lines) {
    std::vector<NamedValue> out;
    std::size_t place = lines.size();
    for (const NamedValue& line : lines) {
      if (line.name != "save" || place == lines.size()) {
        if (line.name == "save") place = out.size();
        out.push_back(line);
        continue;
      }
      std::string& saves = out[place].value;
      saves = line.value.empty() || saves.empty() ? line.value : saves + " " + line.value;
    }
    return out;
  }

  // The model's store has a size in any case.
  static void require_limit(const OptionReader& reader, Explanation& out) {
    if (reader.number("maxmemory") > 0) return;
    out.config.erase("maxmemory_bytes");
    if (Explained* option = out.find("maxmemory")) option->key.clear();
    out.notes.push_back(
        fmt::format("maxmemory is 0{}, no limit: add \"maxmemory_bytes\" to the "
                    "store, what the host's DRAM allows.",
                    reader.origin("maxmemory")));
  }

  static void check(const OptionReader& reader, Explanation& out) {
    const double memory = reader.number("maxmemory");
    const std::string policy = reader.text("maxmemory-policy");
    const bool saves = !reader.text("save").empty();
    if (memory > 0 && policy == "noeviction")
      out.contradictions.push_back(
          fmt::format("maxmemory {} with maxmemory-policy noeviction{}: once full, every SET fails "
                      "and nothing new is cached.",
                      human_bytes(memory), reader.origin("maxmemory-policy")));
    if (memory == 0 && policy != "noeviction")
      out.contradictions.push_back(
          fmt::format("maxmemory-policy {} without maxmemory: nothing is ever evicted.", policy));
    if (policy.starts_with("volatile-"))
      out.contradictions.push_back(
          fmt::format("maxmemory-policy {} evicts only keys with an expiry; clients that set none "
                      "(LMCache) leave nothing to evict.",
                      policy));
    if (saves)
      out.contradictions.push_back(
          fmt::format("save is on{}: a snapshot of a cache can take up to twice its DRAM ({}) and "
                      "writes all of it to disk.",
                      reader.origin("save"),
                      memory > 0 ? human_bytes(2 * memory) : std::string("no limit set")));
    if (reader.number("proto-max-bulk-len") < kLongChunkBytes)
      out.contradictions.push_back(
          fmt::format("proto-max-bulk-len {}: chunks above are rejected; 1024 tokens of "
                      "Llama-3-70B (bf16, one GPU) are 320 MiB.",
                      human_bytes(reader.number("proto-max-bulk-len"))));
  }
};

const Register<ConfigFormat, RedisFormat> kRegistered("redis", "redis.conf or valkey.conf");

}  // namespace

}  // namespace kvsim
