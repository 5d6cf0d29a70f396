// The plug-ins of llm-d's endpoint picker and their parameters as data, after llm-d's router v0.8
// (spec/llm_d.md sections 2 to 8, spec/formats.md).
#pragma once

#include <string>

#include "sim/explain/explanation.hpp"

namespace kvsim {

struct EppType {
  const char* name;
  enum class Kind { kRouter, kDecider, kDetector, kOther } kind;
  const char* ours;  // our plug-in's name; "" = none
  Effect effect;
  const char* text;
};

struct EppParameter {
  const char* type;
  const char* name;
  const char* ours;  // our option; "" = none
  const char* text;
};

// nullptr = not known.
[[nodiscard]] const EppType* epp_type(const std::string& name);
[[nodiscard]] const EppParameter* epp_parameter(const std::string& type, const std::string& name);

}  // namespace kvsim
