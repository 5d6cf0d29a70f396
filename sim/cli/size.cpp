#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "sim/base/errors.hpp"
#include "sim/base/json.hpp"
#include "sim/cli/break_even.hpp"
#include "sim/cli/commands.hpp"
#include "sim/perf/memory_budget.hpp"

namespace kvsim {

namespace {

struct SizeFlags {
  std::string model;
  std::string gpu;
  MemoryOptions memory;
  std::int64_t context = 4096;
  bool json = false;
  bool break_even = false;
  std::string experiment;
  std::vector<std::string> tiers;
};

double gib(Bytes bytes) { return bytes.real() / static_cast<double>(std::int64_t{1} << 30); }

void print_line(const char* name, Bytes bytes, const std::string& note = "") {
  fmt::print("  {:<28}{:>9.2f} GiB  {}\n", name, gib(bytes), note);
}

void print_count(const char* name, std::int64_t count, const std::string& note = "") {
  fmt::print("  {:<28}{:>9}      {}\n", name, count, note);
}

void print_table(const SizeFlags& flags, const LlmProfile& llm, const GpuProfile& gpu,
                 const MemoryBudget& budget) {
  fmt::print("{} on {} x {}, vLLM {}\n", llm.name, flags.memory.tensor_parallel, gpu.name,
             flags.memory.version);
  fmt::print("  per GPU\n");
  print_line("memory", budget.total);
  print_line("requested", budget.requested,
             fmt::format("utilisation {:g}", budget.gpu_memory_utilization));
  print_line("weights", budget.weights);
  print_line("activations", budget.activations,
             fmt::format("assumed; {} tokens, {} sequences", budget.max_num_batched_tokens,
                         budget.max_num_seqs));
  print_line("collectives", budget.collectives);
  print_line("other", budget.other, "assumed");
  print_line("CUDA graphs", budget.graphs,
             budget.graphs.count() == 0 ? "not counted by this version" : "assumed");
  print_line("KV cache", budget.kv, fmt::format("{} bytes a token", budget.kv_per_token.count()));
  fmt::print("  per replica\n");
  print_count("KV blocks", budget.blocks.count(), fmt::format("of {} tokens", budget.block_size));
  print_count("KV tokens", budget.kv_tokens().count());
  print_count(
      "max_model_len", budget.max_model_len,
      budget.max_model_len_lowered ? fmt::format("lowered from {}", llm.max_model_len) : "");
  print_count("concurrent clients", budget.clients(Tokens(flags.context)),
              fmt::format("at {} tokens each", flags.context));
}

Json budget_json(const SizeFlags& flags, const LlmProfile& llm, const GpuProfile& gpu,
                 const MemoryBudget& budget) {
  return {{"schema", "kvsim.size/1"},
          {"model", llm.name},
          {"gpu", gpu.name},
          {"tensor_parallel", flags.memory.tensor_parallel},
          {"version", flags.memory.version},
          {"gpu_memory_utilization", budget.gpu_memory_utilization},
          {"max_num_batched_tokens", budget.max_num_batched_tokens},
          {"max_num_seqs", budget.max_num_seqs},
          {"total_bytes", budget.total.count()},
          {"requested_bytes", budget.requested.count()},
          {"weights_bytes", budget.weights.count()},
          {"activations_bytes", budget.activations.count()},
          {"collectives_bytes", budget.collectives.count()},
          {"other_bytes", budget.other.count()},
          {"graphs_bytes", budget.graphs.count()},
          {"kv_bytes", budget.kv.count()},
          {"kv_bytes_per_token", budget.kv_per_token.count()},
          {"block_bytes", budget.block_bytes.count()},
          {"blocks", budget.blocks.count()},
          {"kv_tokens", budget.kv_tokens().count()},
          {"max_model_len", budget.max_model_len},
          {"context_tokens", flags.context},
          {"clients", budget.clients(Tokens(flags.context))}};
}

// A profile's own name, or its file wherever the probes lie.
template <class Profile>
std::string profile_of(const std::string& given, const Profile& profile) {
  return given.ends_with(".json") ? std::filesystem::absolute(given).string() : profile.name;
}

Json pool_of(const SizeFlags& flags) {
  const MemoryOptions& memory = flags.memory;
  Json engine = {{"version", memory.version}, {"block_size", memory.block_size}};
  if (memory.max_num_batched_tokens)
    engine["max_num_batched_tokens"] = *memory.max_num_batched_tokens;
  if (memory.max_num_seqs) engine["max_num_seqs"] = *memory.max_num_seqs;
  if (!memory.weight_dtype.empty()) engine["weight_dtype"] = memory.weight_dtype;
  if (!memory.kv_dtype.empty()) engine["kv_cache_dtype"] = memory.kv_dtype;
  return {{"llm", profile_of(flags.model, load_llm(flags.model))},
          {"gpu", profile_of(flags.gpu, load_gpu(flags.gpu))},
          {"tensor_parallel", memory.tensor_parallel},
          {"engine", std::move(engine)}};
}

void run_size(const SizeFlags& flags) {
  if (!flags.experiment.empty() && !flags.break_even)
    throw ConfigError("size: found --experiment alone; allowed: with --break-even");
  if (flags.experiment.empty() && (flags.model.empty() || flags.gpu.empty()))
    throw ConfigError("size: found no LLM or no GPU; allowed: --model and --gpu");
  if (flags.break_even) {
    run_break_even({.experiment = flags.experiment,
                    .tiers = flags.tiers,
                    .pool = flags.experiment.empty() ? pool_of(flags) : Json(),
                    .json = flags.json});
    return;
  }
  const LlmProfile llm = load_llm(flags.model);
  const GpuProfile gpu = load_gpu(flags.gpu);
  const MemoryBudget budget = memory_budget(llm, gpu, flags.memory);
  if (flags.json) {
    fmt::print("{}\n", budget_json(flags, llm, gpu, budget).dump(2));
  } else {
    print_table(flags, llm, gpu, budget);
  }
}

}  // namespace

void add_size_command(CLI::App& app) {
  const auto flags = std::make_shared<SizeFlags>();
  CLI::App* command = app.add_subcommand("size", "GPU memory budget: KV blocks, tokens, clients");
  command->add_option("--model,--llm", flags->model, "LLM profile, hub name or file");
  command->add_option("--gpu", flags->gpu, "GPU profile or file");
  command->add_option("--tp", flags->memory.tensor_parallel, "Tensor parallelism")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_option("--version", flags->memory.version, "vLLM version")->capture_default_str();
  command->add_option("--context", flags->context, "Tokens held by each client")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000'000}))
      ->capture_default_str();
  command->add_option("--max-model-len", flags->memory.max_model_len, "Longest context")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--gpu-memory-utilization", flags->memory.gpu_memory_utilization,
                   "Share of the memory; default by version")
      ->check(CLI::Range(0.05, 1.0));
  command
      ->add_option("--max-num-batched-tokens", flags->memory.max_num_batched_tokens,
                   "Tokens a step; default by version and GPU")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--max-num-seqs", flags->memory.max_num_seqs,
                   "Sequences a step; default by version and GPU")
      ->check(CLI::PositiveNumber);
  command->add_option("--weight-dtype", flags->memory.weight_dtype, "Default: as published")
      ->check(CLI::IsMember({"bf16", "fp8"}));
  command->add_option("--kv-dtype", flags->memory.kv_dtype, "Default: as published")
      ->check(CLI::IsMember({"bf16", "fp8"}));
  command->add_option("--block-size", flags->memory.block_size, "Tokens a KV block")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_flag("--break-even", flags->break_even,
                    "From which length on fetching a prefix beats computing it");
  command->add_option("--experiment", flags->experiment,
                      "With --break-even: the pool and connector of an experiment file");
  command
      ->add_option("--tier", flags->tiers,
                   "With --break-even: one more tier, NAME=BYTES_PER_S[,LATENCY_S]")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags] { run_size(*flags); });
}

}  // namespace kvsim
