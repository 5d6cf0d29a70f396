#include "sim/frontend/route_llm_d.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/registry.hpp"

namespace kvsim {
namespace {

constexpr const char* kProducer = "approx-prefix-cache-producer";

// spec/llm_d.md section 2.
LlmDOptions with_defaults(LlmDOptions options) {
  if (options.plugins.empty()) {
    options.plugins = {{.type = "queue-scorer"},
                       {.type = "kv-cache-utilization-scorer"},
                       {.type = "prefix-cache-scorer"},
                       {.type = "max-score-picker"}};
    if (options.profiles.empty())
      options.profiles = {{.name = "default",
                           .plugins = {{"queue-scorer", 2},
                                       {"kv-cache-utilization-scorer", 2},
                                       {"prefix-cache-scorer", 3},
                                       {"max-score-picker"}}}};
  }
  for (LlmDOptions::Plugin& plugin : options.plugins)
    if (plugin.name.empty()) plugin.name = plugin.type;
  if (options.profiles.empty()) {
    options.profiles.push_back({.name = "default"});
    for (const LlmDOptions::Plugin& plugin : options.plugins)
      if (plugin.type != kProducer) options.profiles.back().plugins.push_back({plugin.name});
  }
  return options;
}

// The role's profile, else "default", else the first.
const LlmDOptions::Profile& choose(const std::vector<LlmDOptions::Profile>& profiles, Role role) {
  const auto named = [&](const char* name) {
    return std::find_if(profiles.begin(), profiles.end(),
                        [&](const LlmDOptions::Profile& profile) { return profile.name == name; });
  };
  auto found = profiles.end();
  if (role == Role::kPrefill) found = named("prefill");
  if (role == Role::kDecode) found = named("decode");
  if (found == profiles.end()) found = named("default");
  return found == profiles.end() ? profiles.front() : *found;
}

template <class Contract>
std::unique_ptr<Contract> make_if_known(const LlmDOptions::Plugin& plugin, std::size_t index,
                                        const Router::Context& context) {
  const Registry<Contract>& registry = Registry<Contract>::instance();
  if (!registry.entries().contains(plugin.type)) return nullptr;
  Json config = plugin.parameters;
  if (!config.is_object())
    throw ConfigError(fmt::format("llm-d: /plugins/{}/parameters: found {}; allowed: an object",
                                  index, config.dump()));
  config["kind"] = plugin.type;
  return registry.make(ConfigNode(config, "llm-d", fmt::format("/plugins/{}/parameters", index)),
                       context);
}

[[noreturn]] void complain_of_type(const LlmDOptions::Plugin& plugin, std::size_t index) {
  std::vector<std::string> known = Registry<EppScorer>::instance().names();
  for (const std::string& name : Registry<EppFilter>::instance().names()) known.push_back(name);
  for (const std::string& name : Registry<EppPicker>::instance().names()) known.push_back(name);
  known.emplace_back(kProducer);
  throw ConfigError(fmt::format("llm-d: /plugins/{}/type: found \"{}\"; allowed: one of {}", index,
                                plugin.type, join_names(known)));
}

}  // namespace

// Builds what a profile uses; looks at every plug-in, so that a mistake in any is told.
class LlmDRouter::Assembly {
 public:
  Assembly(LlmDRouter& router, const LlmDOptions& options, const Context& context)
      : router_(router), profile_(choose(options.profiles, context.role)), context_(context) {
    check_references(options);
    for (std::size_t i = 0; i < options.plugins.size(); ++i) add(options.plugins[i], i);
    in_order_of_profile();
    if (router_.picker_ == nullptr) {
      const LlmDOptions::Plugin picker{.type = "max-score-picker"};
      keep(make_if_known<EppPicker>(picker, 0, context), router_.picker_);
    }
    make_matches();
  }

 private:
  static void check_references(const LlmDOptions& options) {
    for (const LlmDOptions::Profile& profile : options.profiles)
      for (const LlmDOptions::Use& use : profile.plugins)
        if (std::none_of(options.plugins.begin(), options.plugins.end(),
                         [&](const auto& plugin) { return plugin.name == use.plugin; }))
          throw ConfigError(fmt::format("llm-d: profile \"{}\": plugin_ref \"{}\" is no plug-in",
                                        profile.name, use.plugin));
  }

  [[nodiscard]] std::optional<std::size_t> place(const std::string& name) const {
    for (std::size_t i = 0; i < profile_.plugins.size(); ++i)
      if (profile_.plugins[i].plugin == name) return i;
    return std::nullopt;
  }

  void add(const LlmDOptions::Plugin& plugin, std::size_t index) {
    const auto at = place(plugin.name);
    if (plugin.type == kProducer) {
      producer_ = read_config<ApproximatePrefixOptions>(
          ConfigNode(plugin.parameters, "llm-d", fmt::format("/plugins/{}/parameters", index)));
    } else if (auto scorer = make_if_known<EppScorer>(plugin, index, context_)) {
      if (at) placed_scorers_.push_back({*at, keep_plugin(std::move(scorer))});
    } else if (auto filter = make_if_known<EppFilter>(plugin, index, context_)) {
      if (at) placed_filters_.push_back({*at, keep_plugin(std::move(filter))});
    } else if (auto picker = make_if_known<EppPicker>(plugin, index, context_)) {
      if (at && router_.picker_ != nullptr)
        throw ConfigError(
            fmt::format("llm-d: profile \"{}\" has more than one picker", profile_.name));
      if (at) keep(std::move(picker), router_.picker_);
    } else {
      complain_of_type(plugin, index);
    }
  }

  template <class Part>
  Part* keep_plugin(std::unique_ptr<Part> plugin) {
    Part* part = plugin.get();
    router_.plugins_.push_back(std::move(plugin));
    return part;
  }
  void keep(std::unique_ptr<EppPicker> picker, EppPicker*& place) {
    place = keep_plugin(std::move(picker));
  }

  void in_order_of_profile() {
    const auto earlier = [](const auto& a, const auto& b) { return a.first < b.first; };
    std::sort(placed_filters_.begin(), placed_filters_.end(), earlier);
    std::sort(placed_scorers_.begin(), placed_scorers_.end(), earlier);
    for (const auto& [at, filter] : placed_filters_) router_.filters_.push_back(filter);
    for (const auto& [at, scorer] : placed_scorers_)
      router_.scorers_.push_back({scorer, profile_.plugins[at].weight});
  }

  void make_matches() {
    const ApproximatePrefixOptions* approximate = nullptr;
    const PrecisePrefixOptions* precise = nullptr;
    bool any = false;
    for (const auto& plugin : router_.plugins_) {
      router_.gauges_ |= plugin->needs_gauges();
      any |= plugin->needs_prefix();
      if (approximate == nullptr) approximate = plugin->approximate();
      if (precise == nullptr) precise = plugin->precise();
    }
    const ApproximatePrefixOptions standard;
    if (any && approximate == nullptr && precise == nullptr) approximate = &standard;
    if (approximate != nullptr && producer_) approximate = &*producer_;
    if (precise != nullptr) {
      router_.precise_.emplace(*precise, context_);
      router_.most_replicas_ = precise->replicas_per_block;
    }
    if (approximate != nullptr)
      router_.approximate_.emplace(*approximate, context_, precise != nullptr);
  }

  LlmDRouter& router_;
  const LlmDOptions::Profile& profile_;
  const Context& context_;
  std::optional<ApproximatePrefixOptions> producer_;
  std::vector<std::pair<std::size_t, EppScorer*>> placed_scorers_;
  std::vector<std::pair<std::size_t, EppFilter*>> placed_filters_;
};

LlmDRouter::LlmDRouter(const Options& options, const Context& context, const char* random)
    : rng_(stream(context.seed, random)) {
  const LlmDOptions complete = with_defaults(options);
  Assembly(*this, complete, context);
}

HashNeed LlmDRouter::hashes() const {
  HashNeed need;
  if (approximate_) need = approximate_->hashes();
  if (precise_) {
    need.block_tokens = HashNeed::kEngineBlocks;
    need.most_blocks = 0;
  }
  return need;
}

EppCycle LlmDRouter::begin(const Ask& ask, const ClusterView& view) {
  candidates_.clear();
  for (std::size_t i = 0; i < view.replicas.size(); ++i)
    if (view.replicas[i].ready) candidates_.push_back(static_cast<std::int32_t>(i));
  EppCycle cycle{.ask = ask, .view = view, .approximate = {}, .precise = {}};
  if (approximate_) {
    approximate_->match(ask.prompt_hashes);
    cycle.approximate = approximate_->shares();
  }
  if (precise_) {
    precise_->match(ask, view);
    cycle.precise = precise_->shares();
  }
  return cycle;
}

void LlmDRouter::score(const EppCycle& cycle) {
  totals_.assign(candidates_.size(), 0.0);
  scores_.resize(candidates_.size());
  for (const auto& [scorer, weight] : scorers_) {
    scorer->score(cycle, candidates_, scores_);
    for (std::size_t i = 0; i < totals_.size(); ++i)
      totals_[i] += weight * std::clamp(scores_[i], 0.0, 1.0);
  }
}

Decision LlmDRouter::route(const Ask& ask, const ClusterView& view) {
  const EppCycle cycle = begin(ask, view);
  for (EppFilter* filter : filters_)
    if (!candidates_.empty()) filter->filter(cycle, candidates_);
  if (candidates_.empty()) return {.replica = Decision::kRefuse};
  score(cycle);
  const std::int32_t replica = candidates_[picker_->pick(totals_, rng_)];
  const std::int64_t hit = hit_tokens(ask, replica);
  if (approximate_) approximate_->insert(replica);
  if (precise_) precise_->insert(replica, view);
  for (const auto& plugin : plugins_) plugin->chosen(cycle, replica);
  return {.replica = replica, .hit_tokens = hit};
}

std::int64_t LlmDRouter::hit_tokens(const Ask& ask, std::int32_t replica) const {
  if (precise_) return precise_->hit_tokens(replica);
  return approximate_ ? approximate_->hit_tokens(replica, ask.input_tokens) : 0;
}

void LlmDRouter::lost(std::int32_t replica) {
  if (approximate_) approximate_->lost(replica);
  if (precise_) precise_->lost(replica);
  for (const auto& plugin : plugins_) plugin->lost(replica);
}

namespace {
const Register<Router, LlmDRouter> kRegistered(
    "llm-d", "llm-d's endpoint picker: filters, weighted scorers, a picker.");
}  // namespace

}  // namespace kvsim
