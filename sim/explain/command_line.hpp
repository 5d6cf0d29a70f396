// Command lines as people keep them: with environment, line continuations, quotes and comments.
#pragma once

#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/explain/option_table.hpp"

namespace kvsim {

struct CommandLine {
  std::vector<NamedValue> environment;  // NAME=value, export NAME=value, docker's -e NAME=value
  std::vector<std::string> arguments;   // all words after the program, or all if it is not there
  bool has_program = false;
};

// Words as a shell splits them: quotes, backslashes, # comments; variables stay as they are
// written. Throws ConfigError for a quote that does not end.
[[nodiscard]] std::vector<std::string> split_words(const std::string& text,
                                                   const std::string& name);

// `is_program` tells whether the words up to and with words[index] start the program.
using IsProgram = bool (*)(const std::vector<std::string>& words, std::size_t index);
[[nodiscard]] CommandLine parse_command_line(const std::string& text, const std::string& name,
                                             IsProgram is_program);

// How a table spells flags.
enum class FlagNames {
  kUnderscores,  // max_num_seqs
  kDashes        // --max-num-seqs, also of -max-num-seqs and --max_num_seqs
};

// "--x 8" and "--x=8" have the value "8", a flag without value "true", "--no-x" of a known flag x
// "false". Words that belong to no flag have the name "". "--a.b c" is {"--a.b", "c"}. `table`
// tells which flags take no value. Ends at what ends a command in a shell (|, &, ;, >).
[[nodiscard]] std::vector<NamedValue> parse_flags(const std::vector<std::string>& arguments,
                                                  const OptionTable& table, FlagNames names);

// The scalars of a JSON object: nested names joined by dots under `prefix`.
[[nodiscard]] std::vector<NamedValue> flatten_json(const Json& json, const std::string& prefix);

}  // namespace kvsim
