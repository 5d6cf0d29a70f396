// The options of a real system as data: name, our key, unit, one sentence. A reader goes through a
// file's options, explains each, and keeps the values for the checks that follow.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "sim/base/config_node.hpp"
#include "sim/explain/explanation.hpp"
#include "sim/explain/unit_text.hpp"

namespace kvsim {

// An option of a file, before it is understood.
struct NamedValue {
  std::string name;
  std::string value;
};

struct OptionRow {
  const char* name;
  Effect effect;
  const char* key;  // JSON pointer into our configuration; "" when none
  Unit unit;
  Range range;          // of the real parser, in its own unit
  const char* initial;  // the real default, as a file would write it; "" when it has none
  const char* text;
};

// The range of options whose parser has none that matters.
inline constexpr Range kAnyRange{-9e15, 9e15};

class OptionTable {
 public:
  // `system` is for messages: "Kvrocks".
  OptionTable(std::string system, std::vector<OptionRow> rows);

  [[nodiscard]] const OptionRow* find(const std::string& name) const;
  // The known name that differs least, "" when none is close.
  [[nodiscard]] std::string near_miss(const std::string& name) const;
  [[nodiscard]] const std::string& system() const { return system_; }

 private:
  std::string system_;
  std::vector<OptionRow> rows_;
};

class OptionReader {
 public:
  // Both must outlive the reader. Options are explained into `out`, values written into its config.
  OptionReader(const OptionTable& table, Explanation& out) : table_(&table), out_(&out) {}

  void read(const NamedValue& option);

  [[nodiscard]] bool given(const std::string& name) const { return values_.contains(name); }
  // Read or default value in our unit; the option must be in the table and have a default.
  [[nodiscard]] double number(const std::string& name) const;
  [[nodiscard]] bool flag(const std::string& name) const;
  [[nodiscard]] std::string text(const std::string& name) const;
  // " (default)" when the file does not say.
  [[nodiscard]] std::string origin(const std::string& name) const;

 private:
  [[nodiscard]] Json value(const std::string& name) const;
  void read_known(const OptionRow& row, Explained& option);
  void explain_unknown(Explained& option);

  const OptionTable* table_;
  Explanation* out_;
  Json values_ = Json::object();
};

// Writes `value` at a JSON pointer, which may be "".
void set_key(Json& config, const std::string& key, const Json& value);

}  // namespace kvsim
