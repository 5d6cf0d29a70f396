// What a configuration file of a real system means here, option by option.
#pragma once

#include <string>
#include <vector>

#include "sim/base/json.hpp"

namespace kvsim {

enum class Effect {
  kModelled,       // changes our configuration
  kIgnoredByReal,  // the real system reads over it or overrules it
  kNotModelled,    // has an effect there, none here
  kRefused,        // the real system does not start with this value
  kUnknown         // no option that we know of
};

// "modelled", "ignored by the real system", ...: for tables and JSON.
[[nodiscard]] const char* effect_name(Effect effect);

struct Explained {
  std::string option;  // as the real system spells it
  std::string value;   // as the file says it
  Effect effect = Effect::kUnknown;
  std::string text;  // one sentence: what it changes, or why it changes nothing
  std::string key;   // JSON pointer into Explanation::config; "" when none
};

struct Explanation {
  std::string format;
  std::string target;  // what `config` is in an experiment: "store", "connector" or "pool"
  std::vector<Explained> options;
  std::vector<std::string> contradictions;  // options that defeat each other or themselves
  std::vector<std::string> notes;           // what follows from the options taken together
  Json config = Json::object();             // our keys

  // The last mention of an option; null when the file does not have it.
  [[nodiscard]] Explained* find(const std::string& option);
};

[[nodiscard]] Json explanation_json(const Explanation& explanation);

}  // namespace kvsim
