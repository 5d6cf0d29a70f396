#include "sim/workload/generator.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/workload/content_stream.hpp"
#include "sim/workload/kind_keys.hpp"
#include "sim/workload/python_random.hpp"
#include "sim/workload/request_digest.hpp"

namespace kvsim {

namespace {

constexpr std::int64_t kUnbounded = std::numeric_limits<std::int64_t>::max();

class PrefixGroups {
 public:
  PrefixGroups(const PrefixConfig& config, const GeneratorSeeds& seeds)
      : choice_(stream(seeds.draws, "workload/prefix_group")) {
    const CountDistribution length(config.length, "/workload/prefix/length");
    Rng rng = stream(seeds.prefixes, "workload/prefix_length");
    for (std::int64_t i = 0; i < config.groups; ++i) lengths_.push_back(length.draw(rng));
    if (config.choice == "guidellm") {
      // Its synthetic data: Random(seed + 3).choice(prefixes), in every version since 0.4.
      python_.emplace(static_cast<std::uint32_t>(config.seed + 3));
    }
    if (config.choice != "zipf") return;
    double sum = 0;
    for (std::int64_t i = 1; i <= config.groups; ++i) {
      sum += std::pow(static_cast<double>(i), -config.exponent);
      cumulative_.push_back(sum);
    }
  }

  ContentRun draw() { return text(draw_group()); }
  [[nodiscard]] ContentRun text(std::size_t group) const {
    return {content_stream(StreamKind::kShared, group), 0, lengths_[group]};
  }

 private:
  std::size_t draw_group() {
    if (python_) return python_->below(lengths_.size());
    if (cumulative_.empty()) return choice_.below(lengths_.size());
    const double at = choice_.uniform() * cumulative_.back();
    const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end(), at);
    return std::min(static_cast<std::size_t>(found - cumulative_.begin()), lengths_.size() - 1);
  }

  Rng choice_;
  std::vector<std::int64_t> lengths_;
  std::optional<PythonRandom> python_;
  std::vector<double> cumulative_;  // weights of the groups up to each; empty = all equal
};

// The prompts of `users`: what follows the group's text, and how long the answer is.
class FixedPrompts {
 public:
  struct Prompt {
    std::size_t group;
    ContentRun text;
    std::int64_t output;
  };

  FixedPrompts(const GeneratorConfig& config, const GeneratorSeeds& seeds) {
    const CountDistribution input(config.input, "/workload/input");
    const CountDistribution output(config.output, "/workload/output");
    Rng rng = stream(seeds.prefixes, "workload/users");
    const auto groups = static_cast<std::size_t>(config.prefix->groups);
    const auto users = static_cast<std::size_t>(*config.prefix->users);
    prompts_.reserve(groups * users);
    for (std::size_t i = 0; i < groups * users; ++i)
      prompts_.push_back({i / users,
                          {content_stream(StreamKind::kShared, kFirst + i), 0, input.draw(rng)},
                          output.draw(rng)});
    Rng order = stream(seeds.prefixes, "workload/order_of_users");
    for (std::size_t i = prompts_.size(); i > 1; --i)
      std::swap(prompts_[i - 1], prompts_[order.below(i)]);
  }

  [[nodiscard]] const Prompt& at(std::int64_t request) const {
    return prompts_[static_cast<std::size_t>(request) % prompts_.size()];
  }

 private:
  static constexpr std::uint64_t kFirst = 1ULL << 40;  // beyond every group's number
  std::vector<Prompt> prompts_;                        // in the order of their requests
};

void check(const GeneratorConfig& config) {
  if (!config.prefix || !config.prefix->users) return;
  if (config.sessions) fail_at("/workload/prefix/users", "it with sessions", "one of the two");
  if (config.prefix->choice != "uniform")
    fail_at("/workload/prefix/choice", "\"" + config.prefix->choice + "\" with users",
            "\"uniform\"");
}

class Generator final : public RequestSource {
 public:
  Generator(const GeneratorConfig& config, const GeneratorSeeds& seeds)
      : requests_(config.known_requests().value_or(kUnbounded)),
        input_(config.input, "/workload/input"),
        output_(config.output, "/workload/output"),
        input_rng_(stream(seeds.draws, "workload/input")),
        output_rng_(stream(seeds.draws, "workload/output")),
        config_(config),
        seeds_(seeds) {
    if (config.prefix) prefix_.emplace(*config.prefix, seeds);
    if (config.prefix && config.prefix->users) fixed_.emplace(config, seeds);
    if (config.sessions) sessions_.emplace(*config.sessions, seeds.draws);
  }

  bool next(Request& request) override {
    if (made_ == requests_) return false;
    if (sessions_) {
      if (!next_turn(request)) return false;
    } else if (fixed_) {
      fixed(request);
    } else {
      single(request);
    }
    ++made_;
    return true;
  }

  // Made once more when asked for: whoever gives the requests their arrivals digests them anyway.
  [[nodiscard]] std::string digest() const override {
    Generator again(config_, seeds_);
    RequestDigest digest;
    Request request;
    for (std::int64_t i = 0; i < made_ && again.next(request); ++i) digest.add(request);
    return digest.hex();
  }

 private:
  // The new part of a prompt and the length of its answer.
  struct Turn {
    std::int64_t input;
    std::int64_t output;
  };

  struct Sessions {
    Sessions(const SessionConfig& config, std::uint64_t seed)
        : count(config.count.value_or(kUnbounded)),
          max_context(config.max_context.value_or(kUnbounded)),
          turns(config.turns, "/workload/sessions/turns"),
          think(config.think, "/workload/sessions/think"),
          turns_rng(stream(seed, "workload/turns")),
          think_rng(stream(seed, "workload/think")),
          first_rng(stream(seed, "workload/first_input")) {
      if (config.first_input)
        first_input.emplace(*config.first_input, "/workload/sessions/first_input");
    }

    std::int64_t count;
    std::int64_t max_context;
    CountDistribution turns;
    PauseDistribution think;
    std::optional<CountDistribution> first_input;
    Rng turns_rng;
    Rng think_rng;
    Rng first_rng;

    std::int64_t begun = 0;
    std::int64_t turn = 0;            // of the session under way, to come next
    std::int64_t turns_left = 0;      // of the session under way
    Turn ahead{};                     // the turn to come next
    std::vector<ContentRun> history;  // prompt and answer of the turn before
    std::int64_t history_tokens = 0;
  };

  void reset(Request& request) const {
    request.id = made_;
    request.arrival = Seconds(0);
    request.think = Seconds(0);
    request.session = -1;
    request.turn = 0;
    request.last_turn = false;
    request.priority = static_cast<std::int32_t>(config_.priority.value_or(0));
    request.llm = 0;
    request.tenant = 0;
    request.prompt.clear();
    request.answer.clear();
    request.answer_stream = content_stream(StreamKind::kAnswer, static_cast<std::uint64_t>(made_));
  }

  [[nodiscard]] ContentRun fresh_text(std::int64_t tokens) const {
    return {content_stream(StreamKind::kPrompt, static_cast<std::uint64_t>(made_)), 0, tokens};
  }

  void fixed(Request& request) {
    reset(request);
    const FixedPrompts::Prompt& prompt = fixed_->at(made_);
    request.prompt.push_back(prefix_->text(prompt.group));
    request.prompt.push_back(prompt.text);
    request.input = Tokens(request.prompt.front().length + prompt.text.length);
    request.output = Tokens(prompt.output);
  }

  void single(Request& request) {
    reset(request);
    const std::int64_t input = input_.draw(input_rng_);
    std::int64_t shared = 0;
    if (prefix_) {
      request.prompt.push_back(prefix_->draw());
      shared = request.prompt.back().length;
    }
    request.prompt.push_back(fresh_text(input));
    request.input = Tokens(shared + input);
    request.output = Tokens(output_.draw(output_rng_));
  }

  [[nodiscard]] Turn draw_turn(bool first) {
    Sessions& s = *sessions_;
    return {first && s.first_input ? s.first_input->draw(s.first_rng) : input_.draw(input_rng_),
            output_.draw(output_rng_)};
  }

  void begin_session() {
    Sessions& s = *sessions_;
    ++s.begun;
    s.turn = 0;
    s.turns_left = s.turns.draw(s.turns_rng);
    s.history.clear();
    s.history_tokens = 0;
    if (prefix_) {
      s.history.push_back(prefix_->draw());
      s.history_tokens = s.history.back().length;
    }
    s.ahead = draw_turn(true);
  }

  bool next_turn(Request& request) {
    Sessions& s = *sessions_;
    if (s.turns_left == 0) {
      if (s.begun == s.count) return false;
      begin_session();
    }
    reset(request);
    request.session = s.begun - 1;
    request.turn = static_cast<std::int32_t>(s.turn);
    if (s.turn > 0) request.think = s.think.draw(s.think_rng);
    s.history.push_back(fresh_text(s.ahead.input));
    s.history_tokens += s.ahead.input;
    request.prompt.assign(s.history.begin(), s.history.end());
    request.input = Tokens(s.history_tokens);
    request.output = Tokens(s.ahead.output);
    s.history.push_back({request.answer_stream, 0, s.ahead.output});
    s.history_tokens += s.ahead.output;
    go_on(request);
    return true;
  }

  // Draws the turn after `request`, so that its own end of session is known with it.
  void go_on(Request& request) {
    Sessions& s = *sessions_;
    ++s.turn;
    --s.turns_left;
    if (s.turns_left > 0) {
      s.ahead = draw_turn(false);
      // Written so that a context without bound cannot overflow.
      if (s.ahead.input + s.ahead.output > s.max_context - s.history_tokens) s.turns_left = 0;
    }
    request.last_turn = s.turns_left == 0 || made_ + 1 == requests_;
  }

  std::int64_t requests_;
  std::int64_t made_ = 0;
  CountDistribution input_;
  CountDistribution output_;
  Rng input_rng_;
  Rng output_rng_;
  std::optional<PrefixGroups> prefix_;
  std::optional<FixedPrompts> fixed_;
  std::optional<Sessions> sessions_;
  GeneratorConfig config_;
  GeneratorSeeds seeds_;
};

}  // namespace

std::optional<std::int64_t> GeneratorConfig::known_requests() const {
  if (requests || (sessions && sessions->count)) return requests;
  return kRequests;
}

std::unique_ptr<RequestSource> make_generator(const GeneratorConfig& config,
                                              const GeneratorSeeds& seeds) {
  check(config);
  return std::make_unique<Generator>(config, seeds);
}

}  // namespace kvsim
