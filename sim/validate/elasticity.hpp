// Which input moves which output: elasticities d ln(output) / d ln(input) around an experiment, by
// central differences under common random numbers. An elasticity of 0.5: one per cent more of the
// input gives half a per cent more of the output.
//
// Inputs are the numbers of the experiment with all defaults filled in, and those of the model
// files in use. What a number is follows from its place, never from an experiment's name.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/json.hpp"

namespace kvsim {

struct Input {
  std::string model;  // "gpu/l4"; empty: the experiment itself
  std::string path;   // JSON pointer; in a model file * stands for every element of a list
  double value = 0;   // the first number there
  bool whole = false;

  [[nodiscard]] std::string name() const { return model.empty() ? path : model + " " + path; }
};

// All numbers that can be varied: not zero, no identities, dimensions of the deployment, lengths of
// the measurement or objectives. Whole numbers below 4 are left out: no small step exists.
[[nodiscard]] std::vector<Input> inputs_of_experiment(const Json& resolved);
[[nodiscard]] std::vector<Input> inputs_of_model(const Json& file, const std::string& model);
// "disk/<name>" for each disk profile that the experiment's nodes name.
[[nodiscard]] std::vector<std::string> disks_of(const Json& resolved);

// Those whose name matches one of the patterns, as shells match file names (* is also any path).
[[nodiscard]] std::vector<Input> chosen(const std::vector<Input>& inputs,
                                        const std::vector<std::string>& patterns);

// One perturbed run.
struct Nudge {
  double factor = 1;          // of the input, after rounding
  std::string override_text;  // for `kvsim run --set`
};
// Down and up by about `step`; nothing when rounding leaves no difference.
[[nodiscard]] std::optional<std::array<Nudge, 2>> nudges_of(const Input& input, double step,
                                                            const Json& resolved);

// A figure of a run's summary.
struct Output {
  std::string name;
  std::string pointer;
};
[[nodiscard]] const std::vector<Output>& sensitivity_outputs();

struct Slope {
  double central = 0;
  double down = 0;  // one-sided, from below
  double up = 0;
  // The sides differ by more than half of the larger: a limit, a threshold, or noise.
  [[nodiscard]] bool kinked() const;
};

struct Sensitivity {
  Input input;
  std::vector<std::optional<Slope>> slopes;  // by sensitivity_outputs(); none: no positive figure
  std::string error;                         // why a perturbed run failed

  // The largest central slope, of either sign.
  [[nodiscard]] double effect() const;
};

// From the summaries of the runs: base, down, up. A side whose factor is 1 was not run: the slope
// is that of the other.
[[nodiscard]] Sensitivity slopes_of(const Input& input, const std::array<Nudge, 2>& nudges,
                                    const Json& base, const Json& down, const Json& up);

// Effects below this are none: what rounding of single requests gives.
inline constexpr double kNoEffect = 0.005;

// A table by falling effect; inputs without effect, kinks and failures in a line each below.
[[nodiscard]] std::string sensitivity_table(std::vector<Sensitivity> all);
[[nodiscard]] std::string sensitivity_csv(std::vector<Sensitivity> all);
[[nodiscard]] Json sensitivity_json(std::vector<Sensitivity> all, double step);

}  // namespace kvsim
