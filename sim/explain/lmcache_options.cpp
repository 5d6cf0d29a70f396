#include "sim/explain/lmcache_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/explain/lmcache_tables.hpp"

namespace kvsim {

namespace {

// bf16 KV bytes a token on one GPU, to say what sizes mean before the LLM is known.
constexpr double kLlama8bBytesPerToken = 131'072;
constexpr double kLlama70bBytesPerToken = 327'680;
// Default of proto-max-bulk-len in Redis, Valkey and Kvrocks.
constexpr double kLongestValueBytes = 512.0 * (1 << 20);
// Chunks that a staging buffer should hold: 4 reads and the writes of one long prompt are in flight
// at once. A threshold of this report, assumed; the model itself has none.
constexpr double kFewChunks = 64;

// What experiments call the store of local_disk.
constexpr const char* kDiskStore = "local-disk";

struct Scheme {
  const char* name;
  const char* client;
};
// Which of our client models speaks for a URL's scheme.
constexpr std::array kSchemes{Scheme{"redis", "redis"},         Scheme{"rediss", "redis"},
                              Scheme{"redis-cluster", "redis"}, Scheme{"redis-sentinel", "redis"},
                              Scheme{"valkey", "redis"},        Scheme{"resp", "resp"}};

bool is_nothing(const std::string& value) {
  const std::string word = lower_case(value);
  return word.empty() || word == "null" || word == "none" || word == "~" || word == "false";
}

// Our connector names stores; what they can hold is said where they are defined.
void translate_disk(Explanation& out) {
  Explained* disk = out.find("local_disk");
  if (disk == nullptr) return;
  out.config.erase("local_disk");
  disk->key.clear();
  if (is_nothing(disk->value)) return;
  out.config["local_disk"] = kDiskStore;
  disk->key = "/local_disk";
  disk->text += fmt::format(" Path: {}; name a file store \"{}\" in the experiment.", disk->value,
                            kDiskStore);
}

void translate_remote(Explanation& out) {
  Explained* remote = out.find("remote_url");
  if (remote == nullptr) return;
  out.config.erase("remote");
  remote->key.clear();
  if (is_nothing(remote->value)) return;
  const std::size_t colon = remote->value.find("://");
  const std::string scheme = remote->value.substr(0, colon);
  const auto known = std::find_if(kSchemes.begin(), kSchemes.end(),
                                  [&](const Scheme& row) { return scheme == row.name; });
  if (colon == std::string::npos || known == kSchemes.end()) {
    remote->effect = Effect::kNotModelled;
    remote->text = fmt::format("No model of a client for {}.", scheme);
    return;
  }
  const std::string server = remote->value.substr(colon + 3);
  out.config["remote"] = scheme;
  out.config["client"] = known->client;
  remote->key = "/remote";
  remote->text += fmt::format(" Client: {}; server: {}; name a store \"{}\" in the experiment.",
                              known->client, server, scheme);
}

void translate_serde(Explanation& out) {
  Explained* serde = out.find("remote_serde");
  if (serde == nullptr) return;
  if (serde->value == "kivi") {
    out.config["serde"] = "naive";
    serde->effect = Effect::kIgnoredByReal;
    serde->text = "LMCache returns the chunk unchanged: the same as naive.";
  } else if (is_nothing(serde->value)) {
    out.config["serde"] = "naive";
  } else if (serde->value != "naive" && serde->value != "cachegen") {
    out.config.erase("serde");
    serde->effect = Effect::kNotModelled;
    serde->key.clear();
  }
}

// Policies of which we have a plug-in.
void translate_policy(Explanation& out, const char* name, const char* key) {
  Explained* policy = out.find(name);
  if (policy == nullptr || policy->effect != Effect::kModelled) return;
  const std::string word = lower_case(policy->value);
  for (const char* known : {"lru", "lfu", "fifo", "arc"})
    if (word == known) {
      out.config[key] = word;
      return;
    }
  out.config.erase(key);
  policy->effect = Effect::kNotModelled;
  policy->key.clear();
  policy->text += " This one is not modelled.";
}

void translate_unfull_chunk(const OptionReader& reader, Explanation& out) {
  Explained* option = out.find("save_unfull_chunk");
  const bool layerwise = reader.flag("use_layerwise");
  const bool forced = layerwise || reader.flag("enable_async_loading");
  if (forced) {
    out.config["save_unfull_chunk"] = false;
    if (option == nullptr || !reader.flag("save_unfull_chunk")) return;
    option->effect = Effect::kIgnoredByReal;
    option->text = fmt::format("LMCache sets it to false because {} is on.",
                               layerwise ? "use_layerwise" : "enable_async_loading");
  } else if (option == nullptr) {
    out.notes.push_back(
        "save_unfull_chunk is left to the version: true in LMCache of November 2025, false since "
        "January 2026.");
  }
}

// What LMCache's values say together.
class Checks {
 public:
  Checks(const OptionReader& options, Explanation& out)
      : options_(options),
        out_(out),
        chunk_(options.number("chunk_size")),
        pool_(options.number("max_local_cpu_size")),
        disk_(!is_nothing(options.text("local_disk"))),
        remote_(!is_nothing(options.text("remote_url"))) {}

  void run() {
    staging();
    tiers();
    longest_value();
    layers();
  }

 private:
  template <class... Facts>
  void complain(fmt::format_string<Facts...> text, Facts&&... facts) {
    out_.contradictions.push_back(fmt::format(text, std::forward<Facts>(facts)...));
  }

  void staging() {
    const double chunk_bytes = chunk_ * kLlama8bBytesPerToken;
    const double chunks = std::floor(pool_ / chunk_bytes);
    out_.notes.push_back(
        fmt::format("max_local_cpu_size {}{} of each rank is {:.0f} chunks of {:g} tokens, {:.0f} "
                    "tokens in all "
                    "(Llama-3-8B in bf16 on one GPU: {} a chunk).",
                    human_bytes(pool_), options_.origin("max_local_cpu_size"), chunks, chunk_,
                    chunks * chunk_, human_bytes(chunk_bytes)));
    const bool kept = options_.flag("local_cpu");
    if (kept || chunks >= kFewChunks) return;
    complain(
        "local_cpu is false, so {} are only a staging buffer, of {:.0f} chunks of {:g} tokens "
        "(Llama-3-8B in bf16 on one GPU): when they are all in flight, further stores are "
        "dropped and loads wait.",
        human_bytes(pool_), chunks, chunk_);
  }

  void tiers() {
    if (!options_.flag("local_cpu") && !disk_ && !remote_)
      complain("local_cpu is false and there is neither disk nor remote store: nothing is kept.");
    if (options_.flag("local_cpu") && pool_ < 2 * chunk_ * kLlama8bBytesPerToken)
      complain(
          "max_local_cpu_size {} holds less than two chunks of {:g} tokens (Llama-3-8B in bf16 "
          "on one GPU).",
          human_bytes(pool_), chunk_);
    const double files = options_.number("max_local_disk_size");
    if (disk_ && files <= 0)
      complain("local_disk is set but max_local_disk_size is 0{}: no file is kept.",
               options_.origin("max_local_disk_size"));
    if (!disk_ && files > 0) complain("max_local_disk_size is set without local_disk: no effect.");
    const std::string serde = options_.text("remote_serde");
    if (!remote_ && serde == "cachegen")
      complain("remote_serde {} without remote_url: nothing is ever sent.", serde);
  }

  void longest_value() {
    if (!remote_) return;
    for (const auto& [llm, bytes] : {std::pair{"Llama-3-8B", kLlama8bBytesPerToken},
                                     std::pair{"Llama-3-70B", kLlama70bBytesPerToken}}) {
      if (chunk_ * bytes <= kLongestValueBytes) continue;
      complain(
          "A chunk of {:g} tokens of {} (bf16, one GPU) is {}, more than the {} that Redis and "
          "Kvrocks accept by default (proto-max-bulk-len): its store fails.",
          chunk_, llm, human_bytes(chunk_ * bytes), human_bytes(kLongestValueBytes));
    }
  }

  void layers() {
    if (options_.flag("use_layerwise") && remote_)
      complain(
          "use_layerwise with a remote store: a key for each layer, so as many times more round "
          "trips as the LLM has layers.");
  }

  const OptionReader& options_;
  Explanation& out_;
  double chunk_;
  double pool_;
  bool disk_;
  bool remote_;
};

}  // namespace

bool is_lmcache_option(const std::string& name) {
  return lmcache_table().find(name) != nullptr || name.starts_with("extra_config");
}

bool is_lmcache_server_option(const std::string& name) {
  return lmcache_server_table().find(name) != nullptr;
}

void explain_lmcache_server(const std::vector<NamedValue>& options, Explanation& out) {
  out.config["kind"] = "lmcache-mp";
  OptionReader reader(lmcache_server_table(), out);
  for (const NamedValue& option : options) reader.read(option);
  translate_policy(out, "eviction_policy", "eviction");
  if (!reader.given("l1_size_gb"))
    out.contradictions.push_back("l1_size_gb is missing: the server does not start without it.");
  if (!reader.given("eviction_policy"))
    out.contradictions.push_back(
        "eviction_policy is missing: the server does not start without it.");
  const double l1 = reader.number("l1_size_gb");
  if (l1 > 0)
    out.notes.push_back(fmt::format(
        "Of l1_size_gb {} at most {} are used: at the watermark of {:g}{}, {:g} of what is "
        "allocated is evicted.",
        human_bytes(l1), human_bytes(l1 * reader.number("eviction_trigger_watermark")),
        reader.number("eviction_trigger_watermark"), reader.origin("eviction_trigger_watermark"),
        reader.number("eviction_ratio")));
}

void explain_lmcache(const std::vector<NamedValue>& options, Explanation& out) {
  const bool server = std::any_of(options.begin(), options.end(), [](const NamedValue& option) {
    return option.name.starts_with("l1_") || option.name.starts_with("l2_") ||
           option.name.starts_with("eviction_");
  });
  if (server) return explain_lmcache_server(options, out);
  out.config["kind"] = "lmcache";
  OptionReader reader(lmcache_table(), out);
  for (const NamedValue& option : options) reader.read(option);
  translate_disk(out);
  translate_remote(out);
  translate_serde(out);
  translate_policy(out, "cache_policy", "cache_policy");
  translate_unfull_chunk(reader, out);
  Checks(reader, out).run();
}

}  // namespace kvsim
