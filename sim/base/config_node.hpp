// A JSON value together with where it stands, so that every complaint names file and JSON path.
#pragma once

#include <string>
#include <vector>

#include "sim/base/errors.hpp"
#include "sim/base/json.hpp"

namespace kvsim {

// Numbers a field may take, ends included.
struct Range {
  double low;
  double high;
};

class ConfigNode {
 public:
  // `value` must outlive the node. `file` is the name to print, `path` a JSON pointer ("" = root).
  ConfigNode(const Json& value, std::string file, std::string path = "")
      : value_(&value), file_(std::move(file)), path_(std::move(path)) {}

  [[nodiscard]] const Json& json() const { return *value_; }
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] const std::string& path() const { return path_; }

  [[nodiscard]] bool has(const char* key) const {
    return value_->is_object() && value_->contains(key);
  }
  [[nodiscard]] ConfigNode at(const std::string& key) const;
  [[nodiscard]] ConfigNode at(std::size_t index) const;

  // Paths inside a configuration file are relative to that file's folder.
  [[nodiscard]] std::string resolve_path(const std::string& path) const;

  [[nodiscard]] double number(Range range) const;
  [[nodiscard]] std::int64_t integer(Range range) const;
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] std::string text() const;
  void expect_object() const;
  void expect_array() const;

  // Throws ConfigError "file: /path: found X; allowed: Y".
  [[noreturn]] void fail(const std::string& found, const std::string& allowed) const;
  // The value as it would be quoted in a message: short JSON.
  [[nodiscard]] std::string found() const;

 private:
  const Json* value_;
  std::string file_;
  std::string path_;
};

// Parses a JSON file (comments with // allowed). Throws ConfigError naming file and line:column.
Json load_json(const std::string& file);
Json parse_json(const std::string& text, const std::string& name);
// One line "a, b, c" of names, for messages that list what is allowed.
std::string join_names(const std::vector<std::string>& names);

}  // namespace kvsim
