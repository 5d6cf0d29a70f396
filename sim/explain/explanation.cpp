#include "sim/explain/explanation.hpp"

#include <algorithm>

namespace kvsim {

const char* effect_name(Effect effect) {
  switch (effect) {
    case Effect::kModelled:
      return "modelled";
    case Effect::kIgnoredByReal:
      return "ignored by the real system";
    case Effect::kNotModelled:
      return "not modelled";
    case Effect::kRefused:
      return "refused by the real system";
    case Effect::kUnknown:
      break;
  }
  return "unknown";
}

Explained* Explanation::find(const std::string& option) {
  const auto found = std::find_if(options.rbegin(), options.rend(),
                                  [&](const Explained& other) { return other.option == option; });
  return found == options.rend() ? nullptr : &*found;
}

Json explanation_json(const Explanation& explanation) {
  Json options = Json::array();
  for (const Explained& option : explanation.options)
    options.push_back({{"option", option.option},
                       {"value", option.value},
                       {"effect", effect_name(option.effect)},
                       {"key", option.key},
                       {"text", option.text}});
  return {{"schema", "kvsim.explanation/1"},
          {"format", explanation.format},
          {"target", explanation.target},
          {"options", options},
          {"contradictions", explanation.contradictions},
          {"notes", explanation.notes},
          {"config", explanation.config}};
}

}  // namespace kvsim
