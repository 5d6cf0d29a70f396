// What an inference engine adds to the kernels, by version range: gaps on the GPU, host time of a
// step, and what a request costs the API server. Files: models/engine/*.json.
#pragma once

#include <string>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/perf/provenance.hpp"

namespace kvsim {

// "0.11", "v0.13.0+x": major and minor count, the rest is ignored.
struct EngineVersion {
  int major = 0;
  int minor = 0;
  auto operator<=>(const EngineVersion&) const = default;

  // Throws ConfigError when `text` does not begin with two numbers.
  static EngineVersion parse(const std::string& text);
};

// Outside the engine's steps: API server, tokeniser, detokeniser.
struct RequestOverhead {
  Seconds cpu_per_request{0};
  Seconds cpu_per_input_token{0};
  Seconds cpu_per_output_token{0};
  Seconds latency{0};  // part of the time to first token that no processor spends

  template <class F>
  void fields(F& f) {
    f.required("cpu_per_request_s", cpu_per_request, Range{0, 1}, "HTTP, templates, queues.");
    f.required("cpu_per_input_token_s", cpu_per_input_token, Range{0, 1}, "Tokenising.");
    f.required("cpu_per_output_token_s", cpu_per_output_token, Range{0, 1},
               "Detokenising and streaming.");
    f.required("latency_s", latency, Range{0, 10}, "Fixed delay of the first token.");
  }
};

// Filtering the logits of a step by top-p or top-k, on every rank:
// fixed + rows * vocabulary * logit / the GPU's multiprocessors.
struct FilterCost {
  Seconds fixed{0};
  Seconds logit{0};  // of one multiprocessor: sorting is bound by them rather than by memory

  template <class F>
  void fields(F& f) {
    f.required("fixed_s", fixed, Range{0, 1e-2}, "One step.");
    f.required("logit_s", logit, Range{0, 1e-6}, "One logit on one multiprocessor.");
  }
};

struct EngineOverheads {
  std::string from_version = "0.0";
  bool async_scheduling = true;  // on by default in these versions
  // Gaps between kernels that no overlap hides: step + layer * layers + sequence * sequences.
  Seconds gap_step{0};
  Seconds gap_layer{0};
  Seconds gap_sequence{0};
  double prefill_factor = 1;  // on the kernels of a step that holds prompt tokens
  // Ranks reach an all-reduce at times that differ with this standard deviation; it begins with the
  // last of them.
  Seconds rank_skew{0};
  double quantise_share = 1;  // of the pass that quantises activations to fp8: 0 = fused away
  Seconds sampler{0};         // GPU time of sampling: sampler + sampler_row * rows
  Seconds sampler_row{0};
  // With top-p or top-k: a sort of every row's logits by a dozen kernels, or from `fused_rows` rows
  // on a kernel of its own (0 = never).
  FilterCost filter_sort;
  FilterCost filter_fused;
  std::int64_t fused_rows = 0;
  // Host time of a step: scheduling, input preparation, output processing.
  Seconds cpu_step{0};
  Seconds cpu_layer{0};
  Seconds cpu_sequence{0};
  RequestOverhead request;
  Provenance provenance;

  template <class F>
  void fields(F& f) {
    f.required("from_version", from_version, "First version this holds for.");
    f.required("async_scheduling", async_scheduling, "Scheduling overlaps the step by default.");
    f.required("gap_step_s", gap_step, Range{0, 1}, "Exposed time a step.");
    f.required("gap_layer_s", gap_layer, Range{0, 1}, "Exposed time a layer.");
    f.required("gap_sequence_s", gap_sequence, Range{0, 1}, "Exposed time a sequence.");
    f.required("prefill_factor", prefill_factor, Range{1, 3},
               "Kernel time of steps with prompt tokens, over the kernels alone.");
    f.optional("rank_skew_s", rank_skew, Range{0, 1e-3},
               "Standard deviation of the ranks' arrival at an all-reduce.");
    f.optional("quantise_share", quantise_share, Range{0, 1},
               "Share of the fp8 quantising pass that compilation leaves.");
    f.required("sampler_s", sampler, Range{0, 1}, "Sampling one row.");
    f.required("sampler_row_s", sampler_row, Range{0, 1}, "Sampling one more row.");
    f.optional("filter_sort", filter_sort, "Filtering by top-p or top-k with a sort.");
    f.optional("filter_fused", filter_fused, "The same by one kernel.");
    f.optional("filter_fused_rows", fused_rows, Range{0, 1e6},
               "Fewest rows that the one kernel is used for; 0 = never.");
    f.required("cpu_step_s", cpu_step, Range{0, 1}, "Host time a step.");
    f.required("cpu_layer_s", cpu_layer, Range{0, 1}, "Host time a layer.");
    f.required("cpu_sequence_s", cpu_sequence, Range{0, 1}, "Host time a sequence.");
    f.required("request", request, "Outside the engine's steps.");
    f.required("provenance", provenance, "Where these come from.");
  }
};

// What `kvsim validate --fit --write` found: the numbers at `path` are `value`, and the
// measurements allow for `low_95` to `high_95`. For readers: nothing is computed from it.
struct FittedInterval {
  std::string path;
  double value = 0;
  double low_95 = 0;
  double high_95 = 0;

  template <class F>
  void fields(F& f) {
    f.required("path", path, "JSON pointer into the file; * is every element of a list.");
    f.required("value", value, "As fitted.");
    f.required("low_95", low_95, "Lower end of the 95 % interval.");
    f.required("high_95", high_95, "Upper end.");
  }
};

struct EngineProfile {
  std::string schema;
  std::string name;
  std::vector<EngineOverheads> versions;  // by rising from_version
  std::vector<FittedInterval> fitted;

  template <class F>
  void fields(F& f) {
    f.choice("schema", schema, {"kvsim.engine/1"}, "What this file is.");
    f.required("name", name, "The profile's name: that of its file.");
    f.required("versions", versions, "By rising from_version.");
    f.optional("fitted", fitted, "Numbers that a fit to published runs gave.");
  }
  void check(const ConfigNode& node) const;

  // The entry that holds for `version`.
  [[nodiscard]] const EngineOverheads& overheads(const std::string& version) const;
};

EngineProfile load_engine(const std::string& name);

}  // namespace kvsim
