// Changes to model files for one experiment: its "model_overrides". What is loaded while a
// ModelOverlay lives has them; the files stay as they are.
//
//   "model_overrides": [
//     {"model": "engine/vllm", "path": "/versions/*/cpu_step_s", "times": 1.1},
//     {"model": "disk/micron-7450", "path": "/nvme/read_latency_s", "value": 1e-4}
//   ]
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"

namespace kvsim {

struct ModelOverride {
  std::string model;
  std::string path;
  std::optional<double> times;
  std::optional<double> value;

  template <class F>
  void fields(F& f) {
    f.required("model", model, "<kind>/<name> of models/, or <kind>/<file>.json.");
    f.required("path", path, "JSON pointer to a number of it; * is every element of a list.");
    f.optional("times", times, Range{0, 1e9}, "The number is multiplied by this.");
    f.optional("value", value, "The number is this.");
  }

  // For people: "engine/vllm /versions/*/cpu_step_s times 1.1".
  [[nodiscard]] std::string text() const;
};

// The numbers of `json` that `path` means, changed; those of integers stay integers. ConfigError
// naming `file`, the path and what is known there, when there is no such number.
void override_model(Json& json, const ModelOverride& change, const std::string& file);

// A scope: load_model() looks at the innermost one of the thread.
class ModelOverlay {
 public:
  // `list` is where `changes` were read: messages and relative file names are relative to it. All
  // are tried on their files. Throws ConfigError.
  ModelOverlay(const std::vector<ModelOverride>& changes, const ConfigNode& list);
  ~ModelOverlay();
  ModelOverlay(const ModelOverlay&) = delete;
  ModelOverlay& operator=(const ModelOverlay&) = delete;

  // Those of models that nothing has loaded while this lives.
  [[nodiscard]] std::vector<ModelOverride> unused() const;

 private:
  friend void lay_over(Json& json, const std::string& file);
  struct Change {
    ModelOverride change;
    std::string file;
    bool used = false;
  };
  std::vector<Change> changes_;
  ModelOverlay* outer_;
};

// What load_model() does to a whole file it has read; nothing without an overlay.
void lay_over(Json& json, const std::string& file);

}  // namespace kvsim
