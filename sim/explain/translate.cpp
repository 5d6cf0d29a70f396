#include "sim/explain/translate.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/explain/config_format.hpp"

namespace kvsim {

namespace {

const auto& formats() { return Registry<ConfigFormat>::instance(); }

std::unique_ptr<ConfigFormat> make_format(const std::string& format) {
  const Json kind = format;
  return formats().make(ConfigNode(kind, "--format"), {});
}

std::string recognise(const std::string& text, const std::string& name) {
  std::vector<std::string> found;
  for (const std::string& format : formats().names())
    if (make_format(format)->recognises(text, name)) found.push_back(format);
  if (found.size() == 1) return found.front();
  throw ConfigError(
      fmt::format("{}: found {}; allowed: a file of a known format, or --format with "
                  "one of {}",
                  name.empty() ? "text" : name,
                  found.empty() ? "no format that recognises it"
                                : "formats that all recognise it: " + join_names(found),
                  join_names(formats().names())));
}

std::string read_text(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw ConfigError(fmt::format("{}: cannot be read: {}", file, std::strerror(errno)));
  // Opening a folder succeeds, reading from it does not.
  if (std::filesystem::is_directory(file))
    throw ConfigError(file + ": found a folder; allowed: a file");
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

Json config_of(const Explanation& explanation, const std::string& name) {
  for (const Explained& option : explanation.options)
    if (option.effect == Effect::kRefused)
      throw ConfigError(
          fmt::format("{}: {}: found \"{}\"; {}", name, option.option, option.value, option.text));
  return explanation.config;
}

}  // namespace

Explanation explain_text(const std::string& format, const std::string& text,
                         const std::string& name) {
  const std::string chosen = format.empty() ? recognise(text, name) : format;
  Explanation out = make_format(chosen)->explain(text, name.empty() ? "text" : name);
  out.format = chosen;
  return out;
}

Explanation explain_file(const std::string& format, const std::string& file) {
  return explain_text(format, read_text(file), file);
}

Json translate_text(const std::string& format, const std::string& text, const std::string& name) {
  return config_of(explain_text(format, text, name), name);
}

Json translate(const std::string& format, const std::string& file) {
  return config_of(explain_file(format, file), file);
}

}  // namespace kvsim
