// A line of a JSONL trace, read strictly: what is wrong is named with file and line.
#pragma once

#include <functional>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/workload/line_reader.hpp"

namespace kvsim {

// An object within a line; both must outlive it.
class JsonObject {
 public:
  JsonObject(const nlohmann::json& json, const LineReader& lines);

  [[nodiscard]] const nlohmann::json& json() const { return json_; }
  // The first of `names` (one key and its aliases) that is there and not null; nullptr = none.
  [[nodiscard]] const nlohmann::json* find(std::initializer_list<const char*> names) const;
  // The value of the first of `names`; a whole number in [low, 2^53], or a number >= 0.
  [[nodiscard]] std::int64_t integer(std::initializer_list<const char*> names,
                                     std::int64_t low) const;
  [[nodiscard]] double number(std::initializer_list<const char*> names) const;
  // A list of whole numbers >= 0; false when the key is absent.
  bool list(const char* name, std::vector<std::uint64_t>& out) const;
  [[noreturn]] void fail(const char* key, const std::string& found,
                         const std::string& allowed) const;

 private:
  const nlohmann::json& json_;
  const LineReader& lines_;
};

// Throws TraceError unless `line` is one JSON value.
[[nodiscard]] nlohmann::json parse_json_line(std::string_view line, const LineReader& lines);

// Warns of each key that is not `known`, once per reader.
class UnknownKeys {
 public:
  UnknownKeys(std::initializer_list<const char*> known,
              std::function<void(const std::string&)> warn)
      : seen_(known.begin(), known.end()), warn_(std::move(warn)) {}
  void look(const nlohmann::json& object, const LineReader& lines);

 private:
  std::set<std::string, std::less<>> seen_;
  std::function<void(const std::string&)> warn_;
};

}  // namespace kvsim
