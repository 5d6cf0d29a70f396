// kvsim explain: what each option of a real configuration file does here, which options the real
// system ignores or defeats, and the same configuration in our own keys.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "sim/base/errors.hpp"
#include "sim/cli/commands.hpp"
#include "sim/explain/translate.hpp"

namespace kvsim {

namespace {

struct ExplainFlags {
  std::string file;
  std::string text;
  std::string format;
  bool json = false;
};

constexpr std::size_t kColumns = 100;
// Wider names and values push the rest of their line to the right instead of widening the table.
constexpr std::size_t kWidestColumn = 44;

// Words of `text` in lines of at most kColumns, each line after `indent` spaces.
std::string wrapped(const std::string& text, std::size_t indent) {
  std::string out;
  std::string line(indent, ' ');
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find(' ', start), text.size());
    const std::string word = text.substr(start, end - start);
    start = end + 1;
    if (line.size() > indent && line.size() + 1 + word.size() > kColumns) {
      out += line + '\n';
      line.assign(indent, ' ');
    }
    if (line.size() > indent) line += ' ';
    line += word;
  }
  return out + line + '\n';
}

// Where an option went: "/lsm/write_buffer_bytes = 67108864".
std::string place_of(const Explained& option, const Json& config) {
  if (option.key.empty()) return "";
  const Json::json_pointer pointer(option.key);
  return config.contains(pointer) ? fmt::format("{} = {}", option.key, config[pointer].dump())
                                  : option.key;
}

template <class Member>
std::size_t column_width(const Explanation& explanation, Member member) {
  std::size_t width = 0;
  for (const Explained& option : explanation.options)
    width = std::max(width, std::min(kWidestColumn, (option.*member).size()));
  return width;
}

void print_group(const Explanation& explanation, Effect effect) {
  const std::size_t name = column_width(explanation, &Explained::option);
  const std::size_t value = column_width(explanation, &Explained::value);
  bool first = true;
  for (const Explained& option : explanation.options) {
    if (option.effect != effect) continue;
    if (first) fmt::print("\n{}\n", effect_name(effect));
    first = false;
    const std::string row = fmt::format("  {:<{}}  {:<{}}  {}", option.option, name, option.value,
                                        value, place_of(option, explanation.config));
    fmt::print("{}\n{}", row.substr(0, row.find_last_not_of(' ') + 1), wrapped(option.text, 6));
  }
}

void print_list(const char* title, const std::vector<std::string>& lines) {
  if (!lines.empty()) fmt::print("\n{}\n", title);
  for (const std::string& line : lines) fmt::print("  - {}", wrapped(line, 4).substr(4));
}

void print_explanation(const std::string& name, const Explanation& explanation) {
  fmt::print("{}: {} ({} options)\n", name, explanation.format, explanation.options.size());
  for (const Effect effect : {Effect::kModelled, Effect::kIgnoredByReal, Effect::kNotModelled,
                              Effect::kRefused, Effect::kUnknown})
    print_group(explanation, effect);
  print_list("contradictions", explanation.contradictions);
  print_list("notes", explanation.notes);
  fmt::print("\nas a {} of an experiment\n{}\n", explanation.target, explanation.config.dump(2));
}

void run_explain(const ExplainFlags& flags) {
  const bool direct = flags.file.empty();
  const Explanation explanation =
      direct ? explain_text(flags.format, flags.text, "") : explain_file(flags.format, flags.file);
  if (flags.json) {
    fmt::print("{}\n", explanation_json(explanation).dump(2));
  } else {
    print_explanation(direct ? "--args" : flags.file, explanation);
  }
}

}  // namespace

void add_explain_command(CLI::App& app) {
  const auto flags = std::make_shared<ExplainFlags>();
  CLI::App* command =
      app.add_subcommand("explain", "What a real system's configuration file means here");
  CLI::Option* file = command->add_option(
      "file", flags->file, "kvrocks.conf, redis.conf, LMCache YAML, a vLLM command line");
  CLI::Option* text = command->add_option("--args", flags->text, "A command line given directly");
  file->excludes(text);
  command->add_option("--format", flags->format, "Its format; default: recognised");
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, file, text] {
    if (file->count() + text->count() == 0)
      throw ConfigError("explain: found neither; allowed: FILE or --args TEXT");
    run_explain(*flags);
  });
}

}  // namespace kvsim
