// kvsim trace stats|convert|generate|head|mrc: trace files and generated workloads, without
// simulating anything.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/cli/commands.hpp"
#include "sim/experiment/simulation.hpp"
#include "sim/experiment/workload_assembly.hpp"
#include "sim/report/output_file.hpp"
#include "sim/workload/open_trace.hpp"
#include "sim/workload/trace_format.hpp"
#include "sim/workload/trace_stats.hpp"
#include "sim/workload/trace_writer.hpp"

namespace kvsim {

namespace {

struct InputFlags {
  std::string file;
  std::string format = "auto";
  std::vector<std::string> options;    // NAME=VALUE, of the trace format
  std::vector<std::string> overrides;  // of an experiment
  std::optional<std::int64_t> seed;    // of an experiment
  std::int64_t requests_max = 0;       // 0 = all
};

// NAME=VALUE, the value JSON if it parses, else a string.
Json options_of(const std::vector<std::string>& texts) {
  Json options = Json::object();
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      throw ConfigError(fmt::format("--option: found \"{}\"; allowed: NAME=VALUE", text));
    Json value = Json::parse(text.substr(equals + 1), nullptr, /*allow_exceptions=*/false);
    if (value.is_discarded()) value = text.substr(equals + 1);
    options[text.substr(0, equals)] = std::move(value);
  }
  return options;
}

std::unique_ptr<RequestSource> open_experiment(const InputFlags& flags) {
  const Json json = load_experiment(flags.file, flags.overrides);
  const ConfigNode experiment(json, flags.file);
  experiment.expect_object();
  if (!experiment.has("workload")) experiment.fail("no \"workload\"", "an experiment's workload");
  const LoadConfig load = read_load(experiment, json.value("load", Json::object()));
  constexpr Range kSeeds{0, 9e15};
  const std::int64_t seed = flags.seed               ? *flags.seed
                            : experiment.has("seed") ? experiment.at("seed").integer(kSeeds)
                                                     : 1;
  return make_source(experiment, load, static_cast<std::uint64_t>(seed));
}

// A trace, or the workload of an experiment (*.json) as its load makes it arrive.
std::unique_ptr<RequestSource> open_input(const InputFlags& flags) {
  const bool experiment = flags.format == "auto" && flags.file.ends_with(".json");
  if (experiment) {
    if (!flags.options.empty())
      throw ConfigError("--option: found with an experiment; allowed: with a trace");
    return open_experiment(flags);
  }
  if (!flags.overrides.empty() || flags.seed)
    throw ConfigError("--set, --seed: found with a trace; allowed: with an experiment (*.json)");
  TraceSpec spec;
  spec.path = flags.file;
  spec.format = flags.format;
  spec.options = options_of(flags.options);
  return open_trace(spec);
}

// Calls `take` with each request, up to the number asked for. Returns how many.
template <class Take>
std::int64_t read_all(RequestSource& source, std::int64_t requests_max, const Take& take) {
  Request request;
  std::int64_t read = 0;
  while ((requests_max == 0 || read < requests_max) && source.next(request)) {
    take(request);
    ++read;
  }
  return read;
}

void add_input(CLI::App* command, InputFlags& flags) {
  command
      ->add_option("file", flags.file,
                   "A trace (plain, gzip or LZ4), or an experiment (*.json): its workload")
      ->required();
  command->add_option("--format", flags.format, "Format of the trace; auto = by its first bytes")
      ->capture_default_str();
  command->add_option("--option", flags.options, "NAME=VALUE for the format; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--set", flags.overrides, "Override in an experiment: /json/pointer=value")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--seed", flags.seed, "Of an experiment's workload, in place of its own")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--max-requests", flags.requests_max, "Read only so many")
      ->check(CLI::PositiveNumber);
}

double share(double part, std::int64_t whole) {
  return whole > 0 ? part / static_cast<double>(whole) : 0;
}

// ---- stats

struct StatsFlags {
  InputFlags input;
  std::vector<std::int64_t> block_tokens = {16};
  bool json = false;
};

Json lengths_json(const LengthStats& lengths) {
  return {{"mean", lengths.mean},
          {"p50", lengths.p50},
          {"p90", lengths.p90},
          {"p99", lengths.p99},
          {"max", lengths.max}};
}

Json stats_json(const TraceStats& stats, const std::string& digest) {
  Json sharing = Json::array();
  for (const Sharing& item : stats.sharing())
    sharing.push_back(
        {{"block_tokens", item.block_tokens},
         {"hit_tokens_max", item.hit_tokens},
         {"hit_rate_max", share(static_cast<double>(item.hit_tokens), stats.input_tokens())},
         {"distinct_blocks", static_cast<std::int64_t>(item.distinct_blocks)}});
  return {
      {"schema", "kvsim.trace_stats/1"},
      {"requests", stats.requests()},
      {"sessions", stats.sessions()},
      {"duration_s", stats.duration().count()},
      {"requests_per_s", stats.rate_per_s()},
      {"input_tokens", stats.input_tokens()},
      {"output_tokens", stats.output_tokens()},
      {"input", lengths_json(stats.input())},
      {"output", lengths_json(stats.output())},
      {"repeated_tokens", stats.repeated_tokens()},
      {"repeated_share", share(static_cast<double>(stats.repeated_tokens()), stats.input_tokens())},
      {"sharing", std::move(sharing)},
      {"sha256", digest}};
}

void print_lengths(const char* name, const LengthStats& lengths) {
  fmt::print("{:<24}mean {:.1f}, p50 {:g}, p90 {:g}, p99 {:g}, max {}\n", name, lengths.mean,
             lengths.p50, lengths.p90, lengths.p99, lengths.max);
}

void print_stats(const TraceStats& stats, const std::string& digest) {
  fmt::print("{:<24}{}\n{:<24}{}\n", "requests", stats.requests(), "sessions", stats.sessions());
  fmt::print("{:<24}{:.1f} s, {:.3f} requests/s\n", "duration", stats.duration().count(),
             stats.rate_per_s());
  print_lengths("input tokens", stats.input());
  print_lengths("output tokens", stats.output());
  fmt::print("{:<24}{:.2f} % of {}\n", "repeated prompt tokens",
             100 * share(static_cast<double>(stats.repeated_tokens()), stats.input_tokens()),
             stats.input_tokens());
  for (const Sharing& item : stats.sharing())
    fmt::print("{:<24}at most {:.2f} % hit ({} tokens); {:.0f} distinct blocks\n",
               fmt::format("blocks of {}", item.block_tokens),
               100 * share(static_cast<double>(item.hit_tokens), stats.input_tokens()),
               item.hit_tokens, item.distinct_blocks);
  fmt::print("{:<24}{}\n", "sha256", digest);
}

void run_stats(const StatsFlags& flags) {
  const auto source = open_input(flags.input);
  TraceStats stats(flags.block_tokens);
  read_all(*source, flags.input.requests_max, [&](const Request& request) { stats.add(request); });
  if (flags.json) {
    fmt::print("{}\n", stats_json(stats, source->digest()).dump(2));
  } else {
    print_stats(stats, source->digest());
  }
}

// ---- convert, generate

struct WriteFlags {
  InputFlags input;
  std::string output;
  std::string to;
};

std::string format_to_write(const WriteFlags& flags) {
  if (!flags.to.empty()) return flags.to;
  if (flags.output.ends_with(".kvt")) return "kvsim";
  if (flags.output.ends_with(".jsonl")) return "mooncake";
  throw ConfigError(
      fmt::format("{}: found no format to write; allowed: a name that ends in .kvt "
                  "or .jsonl, or --to {}",
                  flags.output, join_names(trace_writer_names())));
}

void run_write(const WriteFlags& flags) {
  const std::string format = format_to_write(flags);
  const auto source = open_input(flags.input);
  OutputFile file(flags.output);
  const auto writer =
      make_trace_writer(format, [&file](std::string_view bytes) { file.write(bytes); });
  const std::int64_t written =
      read_all(*source, flags.input.requests_max,
               [&writer](const Request& request) { writer->write(request); });
  writer->finish();
  file.commit();
  fmt::print("{}: {} requests, {} bytes, sha256 of what was read {}\n", flags.output, written,
             std::filesystem::file_size(flags.output), source->digest());
}

// ---- head

struct HeadFlags {
  InputFlags input;
  std::int64_t requests = 10;
  bool json = false;
};

Json runs_json(const std::vector<ContentRun>& runs) {
  Json out = Json::array();
  for (const ContentRun& run : runs)
    out.push_back(Json::array({run.stream, run.offset, run.length}));
  return out;
}

Json request_json(const Request& request) {
  return {{"id", request.id},
          {"arrival_s", request.arrival.count()},
          {"input_tokens", request.input.count()},
          {"output_tokens", request.output.count()},
          {"session", request.session},
          {"turn", request.turn},
          {"last_turn", request.last_turn},
          {"think_s", request.think.count()},
          {"priority", request.priority},
          {"prompt", runs_json(request.prompt)},
          {"answer_stream", request.answer_stream},
          {"answer", runs_json(request.answer)}};
}

void run_head(const HeadFlags& flags) {
  const auto source = open_input(flags.input);
  if (!flags.json)
    fmt::print("{:>8} {:>14} {:>10} {:>10} {:>8} {:>5} {:>10} {:>6}\n", "id", "arrival s", "input",
               "output", "session", "turn", "think s", "runs");
  const std::int64_t most = flags.input.requests_max;
  read_all(*source, most > 0 ? std::min(most, flags.requests) : flags.requests,
           [&](const Request& request) {
             if (flags.json) {
               fmt::print("{}\n", request_json(request).dump());
               return;
             }
             const std::string session =
                 request.session < 0 ? "-" : std::to_string(request.session);
             fmt::print("{:>8} {:>14.6f} {:>10} {:>10} {:>8} {:>5} {:>10.3f} {:>6}\n", request.id,
                        request.arrival.count(), request.input.count(), request.output.count(),
                        session, request.turn, request.think.count(), request.prompt.size());
           });
}

// ---- mrc

struct MrcFlags {
  InputFlags input;
  HitRateCurve::Options curve;
  std::vector<std::int64_t> capacity_tokens;
  double kv_bytes_per_token = 0;
  bool prompts_only = false;
  bool json = false;
};

struct CurvePoint {
  std::int64_t blocks;  // -1 = unlimited
  double hit_rate;
};

// As asked for, else powers of two up to a cache that holds everything; then an unlimited one.
std::vector<CurvePoint> points_of(const MrcFlags& flags, const HitRateCurve& curve) {
  std::vector<std::int64_t> blocks;
  for (const std::int64_t tokens : flags.capacity_tokens)
    blocks.push_back(tokens / flags.curve.block_tokens);
  if (blocks.empty()) {
    constexpr std::int64_t kPoints = 16;
    std::int64_t largest = 1;
    while (static_cast<double>(largest) < curve.distinct_blocks()) largest *= 2;
    for (std::int64_t size = std::max<std::int64_t>(1, largest >> (kPoints - 1)); size < largest;
         size *= 2)
      blocks.push_back(size);
  }
  std::vector<CurvePoint> points;
  for (const std::int64_t size : blocks) points.push_back({size, curve.hit_rate(size)});
  points.push_back({-1, curve.hit_rate(-1)});
  return points;
}

Json mrc_json(const MrcFlags& flags, const HitRateCurve& curve,
              const std::vector<CurvePoint>& points) {
  Json rows = Json::array();
  for (const CurvePoint& point : points) {
    const auto tokens = Json(point.blocks * flags.curve.block_tokens);
    rows.push_back({{"capacity_blocks", point.blocks < 0 ? Json() : Json(point.blocks)},
                    {"capacity_tokens", point.blocks < 0 ? Json() : tokens},
                    {"hit_rate", point.hit_rate}});
  }
  return {{"schema", "kvsim.trace_mrc/1"},
          {"policy", "lru"},
          {"block_tokens", flags.curve.block_tokens},
          {"sample_rate", flags.curve.sample_rate},
          {"prompt_tokens", curve.prompt_tokens()},
          {"distinct_blocks", curve.distinct_blocks()},
          {"points", std::move(rows)}};
}

void print_mrc(const MrcFlags& flags, const HitRateCurve& curve,
               const std::vector<CurvePoint>& points) {
  fmt::print(
      "LRU, blocks of {} tokens, {} prompt tokens, {:.0f} distinct blocks{}\n",
      flags.curve.block_tokens, curve.prompt_tokens(), curve.distinct_blocks(),
      flags.curve.sample_rate < 1 ? fmt::format(", sampled at {:g}", flags.curve.sample_rate) : "");
  const bool bytes = flags.kv_bytes_per_token > 0;
  fmt::print("{:>14} {:>14} {}{:>9}\n", "blocks", "tokens", bytes ? "         GB " : "",
             "hit rate");
  for (const CurvePoint& point : points) {
    const std::int64_t tokens = point.blocks * flags.curve.block_tokens;
    constexpr double kGigabyte = 1e9;
    std::string size = bytes ? fmt::format("{:>11.2f} ", static_cast<double>(tokens) *
                                                             flags.kv_bytes_per_token / kGigabyte)
                             : "";
    if (point.blocks < 0) {
      fmt::print("{:>14} {:>14} {}{:>7.2f} %\n", "unlimited", "unlimited",
                 std::string(size.size(), ' '), 100 * point.hit_rate);
    } else {
      fmt::print("{:>14} {:>14} {}{:>7.2f} %\n", point.blocks, tokens, size, 100 * point.hit_rate);
    }
  }
}

void run_mrc(MrcFlags flags) {
  flags.curve.answers = !flags.prompts_only;
  const auto source = open_input(flags.input);
  HitRateCurve curve(flags.curve);
  read_all(*source, flags.input.requests_max, [&](const Request& request) { curve.add(request); });
  const std::vector<CurvePoint> points = points_of(flags, curve);
  if (flags.json) {
    fmt::print("{}\n", mrc_json(flags, curve, points).dump(2));
  } else {
    print_mrc(flags, curve, points);
  }
}

// ---- commands

void add_stats(CLI::App& trace) {
  const auto flags = std::make_shared<StatsFlags>();
  CLI::App* command = trace.add_subcommand("stats", "Lengths, rate, and how much repeats");
  add_input(command, flags->input);
  command
      ->add_option("--block-tokens", flags->block_tokens,
                   "Block sizes whose greatest possible hit is counted")
      ->delimiter(',')
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags] { run_stats(*flags); });
}

void add_writing(CLI::App& trace, const char* name, const char* help) {
  const auto flags = std::make_shared<WriteFlags>();
  CLI::App* command = trace.add_subcommand(name, help);
  add_input(command, flags->input);
  command->add_option("-o,--output", flags->output, "File to write")->required();
  command->add_option("--to", flags->to, "Format to write; default by the name: .kvt, .jsonl")
      ->check(CLI::IsMember(trace_writer_names()));
  command->callback([flags] { run_write(*flags); });
}

void add_head(CLI::App& trace) {
  const auto flags = std::make_shared<HeadFlags>();
  CLI::App* command = trace.add_subcommand("head", "The first requests");
  add_input(command, flags->input);
  command->add_option("-n,--requests", flags->requests, "How many")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--json", flags->json, "Print JSON, a line a request, with all content runs");
  command->callback([flags] { run_head(*flags); });
}

void add_mrc(CLI::App& trace) {
  const auto flags = std::make_shared<MrcFlags>();
  CLI::App* command =
      trace.add_subcommand("mrc", "Prefix-cache hit rate against capacity (LRU), in one pass");
  add_input(command, flags->input);
  command->add_option("--block-tokens", flags->curve.block_tokens, "Tokens of a block or chunk")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--sample", flags->curve.sample_rate, "Share of blocks looked at; 1 = exact")
      ->check(CLI::Range(1e-6, 1.0))
      ->capture_default_str();
  command
      ->add_option("--capacity-tokens", flags->capacity_tokens,
                   "Capacities to print; default: powers of two")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--kv-bytes-per-token", flags->kv_bytes_per_token,
                   "Prints capacities in GB as well (see kvsim size)")
      ->check(CLI::PositiveNumber);
  command->add_flag("--prompts-only", flags->prompts_only, "Generated tokens are not cached");
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags] { run_mrc(*flags); });
}

}  // namespace

void add_trace_command(CLI::App& app) {
  CLI::App* trace = app.add_subcommand("trace", "Trace files and generated workloads");
  trace->require_subcommand(1);
  add_stats(*trace);
  add_writing(*trace, "convert", "Writes a trace in another format");
  add_writing(*trace, "generate", "Writes the workload of an experiment as a trace");
  add_head(*trace);
  add_mrc(*trace);
}

}  // namespace kvsim
