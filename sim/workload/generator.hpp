// A made-up workload: lengths from distributions, shared prefixes, conversations of several turns.
//
// {"kind": "generate", "requests": 2000, "input": {...}, "output": {...}} is the simplest. Arrivals
// are all 0: the "load" section gives them (sim/workload/arrivals.hpp). Each quantity is drawn from
// a named stream of its own, so changing one leaves the others as they were.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "sim/workload/distribution.hpp"
#include "sim/workload/request_source.hpp"

namespace kvsim {

// Prompts begin with the text of one of `groups` groups (system prompts, documents), whose length
// is drawn once a group and comes on top of the input's. A session keeps the group of its first
// turn.
//
// With `users` there are so many prompts in a group and no others, each with its own text, input
// and output: requests take all of them in turn, in an order that is shuffled once, and begin again
// (inference-perf's shared_prefix). Stages have the same prompts and begin with the same one.
struct PrefixConfig {
  std::int64_t groups = 1;
  CountConfig length;
  std::string choice = "uniform";
  double exponent = 1;
  std::int64_t seed = 42;
  std::optional<std::int64_t> users;

  template <class F>
  void fields(F& f) {
    f.required("groups", groups, Range{1, 1e7}, "Distinct shared prefixes.");
    f.required("length", length, "Tokens of each.");
    f.choice("choice", choice, {"uniform", "zipf", "guidellm"},
             "How a request or session picks its group: zipf gives group k the weight "
             "1 / k^exponent; guidellm draws the very groups that GuideLLM does.");
    f.optional("exponent", exponent, Range{0, 10}, "Of zipf.");
    f.optional("seed", seed, Range{0, 4294967292.0}, "Of guidellm: its --random-seed.");
    f.optional("users", users, Range{1, 1e6},
               "Prompts of each group, which come again and again. Default: every prompt is new.");
  }
};

// Conversations: the prompt of a turn is the prompt of the turn before, its answer, and `input` new
// tokens. The turns of a session follow each other in the source, all with the first one's arrival.
struct SessionConfig {
  std::optional<std::int64_t> count;
  CountConfig turns = CountConfig::constant(4);
  PauseConfig think;
  std::optional<CountConfig> first_input;
  std::optional<std::int64_t> max_context;

  template <class F>
  void fields(F& f) {
    f.optional("count", count, Range{1, 1e12}, "Sessions; then `requests` need not be given.");
    f.optional("turns", turns, "Turns of a session. Default: 4.");
    f.optional("think", think, "Pause between an answer and the next turn. Default: none.");
    f.optional("first_input", first_input,
               "New tokens of the first turn, such as a document. Default: as `input`.");
    f.optional("max_context", max_context, Range{1, 1e9},
               "A session ends before a turn whose prompt and answer would exceed this.");
  }
};

struct GeneratorConfig {
  std::string kind = "generate";
  std::optional<std::int64_t> requests;
  CountConfig input = CountConfig::normal(768, 128, 512, 1024);
  CountConfig output = CountConfig::normal(192, 32, 128, 256);
  std::optional<PrefixConfig> prefix;
  std::optional<SessionConfig> sessions;
  std::optional<std::int64_t> priority;

  static constexpr std::int64_t kRequests = 1000;

  template <class F>
  void fields(F& f) {
    f.choice("kind", kind, {"generate"}, "What this workload is.");
    f.optional("requests", requests, Range{1, 1e12},
               "How many, all turns counted. Default: 1,000, or what sessions.count gives.");
    f.optional("input", input,
               "New tokens of a prompt. Default: normal, 768 +- 128 in 512 to 1,024.");
    f.optional("output", output, "Tokens of an answer. Default: normal, 192 +- 32 in 128 to 256.");
    f.optional("prefix", prefix, "Beginnings that prompts share. Default: none.");
    f.optional("sessions", sessions, "Conversations of several turns. Default: none.");
    f.optional("priority", priority, Range{-1e6, 1e6}, "Lower is served first. Default: 0.");
  }

  // How many there will be; none where only the number of sessions is given.
  [[nodiscard]] std::optional<std::int64_t> known_requests() const;
};

// Of random streams. Generators with equal prefix seeds share prefixes: group k of one is group k
// of another, with the same text and length, however many groups they have.
struct GeneratorSeeds {
  std::uint64_t draws = 0;     // everything else
  std::uint64_t prefixes = 0;  // lengths of prefix groups, prompts of their users
};

// Throws ConfigError with JSON paths below /workload. Memory: a prefix group takes 16 bytes, a user
// 32, the session under way the runs of its history.
[[nodiscard]] std::unique_ptr<RequestSource> make_generator(const GeneratorConfig& config,
                                                            const GeneratorSeeds& seeds);
[[nodiscard]] inline std::unique_ptr<RequestSource> make_generator(const GeneratorConfig& config,
                                                                   std::uint64_t seed) {
  return make_generator(config, GeneratorSeeds{seed, seed});
}

}  // namespace kvsim
