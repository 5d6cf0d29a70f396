#include "sim/explain/command_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace kvsim {

namespace {

// One pass over the text; `word` grows until a space outside quotes ends it.
class WordSplitter {
 public:
  WordSplitter(const std::string& text, const std::string& name) : text_(text), name_(name) {}

  std::vector<std::string> split() {
    for (place_ = 0; place_ < text_.size(); ++place_) take(text_[place_]);
    end_word();
    return std::move(words_);
  }

 private:
  void take(char letter) {
    if (letter == '\'' || letter == '"') {
      quoted(letter);
    } else if (letter == '\\') {
      escaped();
    } else if (letter == '#' && !in_word_) {
      place_ = std::min(text_.find('\n', place_), text_.size());
    } else if (std::isspace(static_cast<unsigned char>(letter)) != 0) {
      end_word();
    } else {
      in_word_ = true;
      word_ += letter;
    }
  }

  // A backslash at the end of a line, also with spaces or a carriage return behind it, joins lines.
  void escaped() {
    const std::size_t next = text_.find_first_not_of(" \t\r", place_ + 1);
    if (next == std::string::npos || text_[next] == '\n') {
      place_ = std::min(next, text_.size());
      end_word();
      return;
    }
    in_word_ = true;
    word_ += text_[++place_];
  }

  void quoted(char quote) {
    in_word_ = true;
    const std::size_t start = place_;
    while (++place_ < text_.size() && text_[place_] != quote) {
      const bool escape = quote == '"' && text_[place_] == '\\' && place_ + 1 < text_.size() &&
                          (text_[place_ + 1] == '"' || text_[place_ + 1] == '\\');
      if (escape) ++place_;
      word_ += text_[place_];
    }
    if (place_ >= text_.size())
      throw ConfigError(fmt::format("{}: found a {} without its partner: {}", name_, quote,
                                    text_.substr(start, 40)));
  }

  void end_word() {
    if (in_word_) words_.push_back(std::move(word_));
    word_.clear();
    in_word_ = false;
  }

  const std::string& text_;
  const std::string& name_;
  std::size_t place_ = 0;
  std::string word_;
  bool in_word_ = false;
  std::vector<std::string> words_;
};

// NAME=value with a name in capitals, as environment variables have.
bool is_assignment(const std::string& word) {
  const std::size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0) return false;
  return std::all_of(
      word.begin(), word.begin() + static_cast<std::ptrdiff_t>(equals), [](unsigned char letter) {
        return std::isupper(letter) != 0 || std::isdigit(letter) != 0 || letter == '_';
      });
}

bool is_flag(const std::string& word) {
  if (word.empty() || word[0] != '-') return false;
  // Neither a negative number nor dashes alone.
  const std::size_t first = word.find_first_not_of('-');
  return first != std::string::npos && std::isalpha(static_cast<unsigned char>(word[first])) != 0;
}

std::string flag_name(const std::string& word, FlagNames names) {
  std::string name = word.substr(word.find_first_not_of('-'));
  name = name.substr(0, name.find('='));
  // Only in the flag's own name: what follows a dot is a key of the program's.
  const std::size_t dot = std::min(name.find('.'), name.size());
  const bool dashes = names == FlagNames::kDashes;
  std::replace(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(dot), dashes ? '_' : '-',
               dashes ? '-' : '_');
  return (dashes ? "--" : "") + name;
}

// The x of "--no-x"; "" for other names.
std::string negated(const std::string& name) {
  if (name.starts_with("--no-")) return "--" + name.substr(5);
  return name.starts_with("no_") ? name.substr(3) : "";
}

bool ends_command(const std::string& word) {
  return word[0] == '|' || word[0] == '&' || word[0] == ';' || word[0] == '>' ||
         word.starts_with("2>");
}

bool is_truth(const std::string& word) { return parse_unit(word, Unit::kFlag).has_value(); }

}  // namespace

std::vector<std::string> split_words(const std::string& text, const std::string& name) {
  return WordSplitter(text, name).split();
}

CommandLine parse_command_line(const std::string& text, const std::string& name,
                               IsProgram is_program) {
  const std::vector<std::string> words = split_words(text, name);
  CommandLine out;
  std::size_t start = 0;
  for (std::size_t i = 0; i < words.size() && start == 0; ++i)
    if (is_program(words, i)) start = i + 1;
  out.has_program = start > 0;
  // Without a program only what stands in front of the first flag can be environment.
  std::size_t end = start;
  while (start == 0 && end < words.size() && !is_flag(words[end])) ++end;
  for (std::size_t i = 0; i < end; ++i) {
    if (!is_assignment(words[i])) continue;
    const std::size_t equals = words[i].find('=');
    out.environment.push_back({words[i].substr(0, equals), words[i].substr(equals + 1)});
  }
  for (std::size_t i = start; i < words.size(); ++i)
    if (start > 0 || (!is_assignment(words[i]) && words[i] != "export"))
      out.arguments.push_back(words[i]);
  return out;
}

std::vector<NamedValue> parse_flags(const std::vector<std::string>& arguments,
                                    const OptionTable& table, FlagNames names) {
  std::vector<NamedValue> out;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (!word.empty() && ends_command(word)) break;
    if (!is_flag(word)) {
      out.push_back({"", word});
      continue;
    }
    const std::string name = flag_name(word, names);
    const std::size_t equals = word.find('=');
    const OptionRow* row = table.find(name);
    const bool has_next = i + 1 < arguments.size() && !is_flag(arguments[i + 1]);
    const bool is_switch = row != nullptr && row->unit == Unit::kFlag;
    if (equals != std::string::npos) {
      out.push_back({name, word.substr(equals + 1)});
    } else if (row == nullptr && table.find(negated(name)) != nullptr) {
      out.push_back({negated(name), "false"});
    } else if (has_next && (!is_switch || is_truth(arguments[i + 1]))) {
      out.push_back({name, arguments[++i]});
    } else {
      out.push_back({name, "true"});
    }
  }
  return out;
}

std::vector<NamedValue> flatten_json(const Json& json, const std::string& prefix) {
  std::vector<NamedValue> out;
  for (const auto& entry : json.items()) {
    const std::string name = prefix + entry.key();
    if (entry.value().is_object()) {
      const auto inner = flatten_json(entry.value(), name + ".");
      out.insert(out.end(), inner.begin(), inner.end());
    } else if (entry.value().is_string()) {
      out.push_back({name, entry.value().get<std::string>()});
    } else {
      out.push_back({name, entry.value().dump()});
    }
  }
  return out;
}

}  // namespace kvsim
