// kvrocks.conf: one "name value" a line. Example:
//
//   workers 16                            # threads
//   rocksdb.write_buffer_size 256         # MiB
//   rocksdb.enable_blob_files yes
//
// After Kvrocks 2.10 (October 2024, RocksDB 9.3). String values, which is what a KV cache stores,
// live in one column family, so options that hold per column family are taken once.
#include "sim/base/registry.hpp"
#include "sim/explain/config_format.hpp"
#include "sim/explain/config_lines.hpp"
#include "sim/explain/kvrocks_checks.hpp"
#include "sim/explain/kvrocks_options.hpp"

namespace kvsim {

namespace {

class KvrocksFormat final : public ConfigFormat {
 public:
  using Options = NoOptions;
  KvrocksFormat(const NoOptions&, const Context&) {}

  [[nodiscard]] bool recognises(const std::string& text, const std::string&) const override {
    // Not the file's name: a Redis configuration would be taken too.
    return has_option(parse_config_lines(text),
                      {"rocksdb.", "max-db-size", "max-io-mb", "db-name",
                       "compaction-checker-range", "compaction-checker-cron", "workers"});
  }

  [[nodiscard]] Explanation explain(const std::string& text, const std::string&) const override {
    Explanation out;
    out.target = "store";
    out.config["kind"] = "kvrocks";
    OptionReader reader(kvrocks_options(), out);
    for (const NamedValue& option : parse_config_lines(text)) reader.read(option);
    translate_compression(out);
    translate_block_cache(reader, out);
    translate_rate_limit(reader, out);
    translate_log(reader, out);
    raise_zeros(out);
    check_kvrocks(reader, out);
    return out;
  }

 private:
  // Our LSM tree knows none, lz4 and zstd.
  static void translate_compression(Explanation& out) {
    Explained* option = out.find("rocksdb.compression");
    if (option == nullptr) return;
    const std::string kind = lower_case(option->value);
    Json& lsm = out.config["lsm"];
    lsm["compression"] = kind == "no" ? "none" : kind;
    if (kind == "snappy") {
      lsm["compression"] = "lz4";
      option->text += " Modelled as lz4, which costs about as much.";
    }
    if (kind == "no" || kind == "snappy" || kind == "lz4" || kind == "zstd") return;
    lsm.erase("compression");
    option->key.clear();
    option->effect = kind == "zlib" ? Effect::kNotModelled : Effect::kRefused;
    if (kind != "zlib") option->text = "Kvrocks takes no, snappy, zlib, lz4 or zstd.";
  }

  static void translate_block_cache(const OptionReader& reader, Explanation& out) {
    const bool stated = reader.given("rocksdb.block_cache_size") ||
                        reader.given("rocksdb.metadata_block_cache_size") ||
                        reader.given("rocksdb.subkey_block_cache_size") ||
                        reader.given("rocksdb.share_metadata_and_subkey_block_cache");
    if (!stated) return;
    out.config["block_cache_bytes"] = static_cast<std::int64_t>(kvrocks_block_cache_bytes(reader));
    if (reader.number("rocksdb.block_cache_size") > 0) return;
    for (const char* name :
         {"rocksdb.metadata_block_cache_size", "rocksdb.subkey_block_cache_size"}) {
      Explained* option = out.find(name);
      if (option == nullptr || option->effect == Effect::kRefused) continue;
      option->effect = Effect::kModelled;
      option->key = "/block_cache_bytes";
    }
  }

  // Our limiter has one rate; the real one starts at half of its cap when it tunes itself.
  static void translate_rate_limit(const OptionReader& reader, Explanation& out) {
    if (!reader.given("max-io-mb")) return;
    Json& lsm = out.config["lsm"];
    const double rate = reader.number("max-io-mb");
    const bool tuned = reader.flag("rocksdb.rate_limiter_auto_tuned");
    if (rate > 0) {
      lsm["rate_limit_bytes_per_s"] = rate / (tuned ? 2 : 1);
    } else {
      lsm.erase("rate_limit_bytes_per_s");
      out.find("max-io-mb")->key.clear();
    }
  }

  static void translate_log(const OptionReader& reader, Explanation& out) {
    constexpr const char* kDisabled = "rocksdb.write_options.disable_wal";
    if (reader.given(kDisabled)) out.config["lsm"]["wal"] = !reader.flag(kDisabled);
  }

  // RocksDB takes 0 for 1.
  static void raise_zeros(Explanation& out) {
    if (!out.config.contains("lsm")) return;
    for (const char* key : {"max_background_jobs", "max_subcompactions"}) {
      Json& lsm = out.config["lsm"];
      if (lsm.contains(key) && lsm[key] == 0) lsm[key] = 1;
    }
  }
};

const Register<ConfigFormat, KvrocksFormat> kRegistered("kvrocks", "kvrocks.conf");

}  // namespace

}  // namespace kvsim
