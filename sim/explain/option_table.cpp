#include "sim/explain/option_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

// A whole file in MB is never meant to be 16 TiB; bytes written by mistake are always more.
constexpr double kImplausibleMebibytes = double{1 << 24};

// Letters to insert, delete or replace (Levenshtein).
std::size_t edit_distance(const std::string& left, const std::string& right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t replaced = diagonal + (left[i] == right[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::string number_text(double value) {
  return fmt::format("{}", static_cast<std::int64_t>(value));
}

std::string allowed(const OptionRow& row) {
  std::string out = unit_name(row.unit);
  const bool limited = row.range.low != kAnyRange.low || row.range.high != kAnyRange.high;
  if (limited && row.unit != Unit::kText && row.unit != Unit::kFlag)
    out += fmt::format(" from {} to {}", number_text(row.range.low), number_text(row.range.high));
  return out;
}

// The number as the real parser compares it, in its own unit.
double real_number(const OptionRow& row, const Json& value) {
  return value.is_number() ? value.get<double>() / unit_factor(row.unit) : 0;
}

bool in_range(const OptionRow& row, const Json& value) {
  const double number = real_number(row, value);
  return !value.is_number() || (number >= row.range.low && number <= row.range.high);
}

std::string bytes_hint(const OptionRow& row, const Json& value) {
  const double number = real_number(row, value);
  if (row.unit != Unit::kMebibytes || number < unit_factor(row.unit)) return "";
  return fmt::format("; it looks like bytes: {} would be written {}", human_bytes(number),
                     number_text(number / unit_factor(row.unit)));
}

}  // namespace

OptionTable::OptionTable(std::string system, std::vector<OptionRow> rows)
    : system_(std::move(system)), rows_(std::move(rows)) {}

const OptionRow* OptionTable::find(const std::string& name) const {
  const auto found = std::find_if(rows_.begin(), rows_.end(),
                                  [&](const OptionRow& row) { return name == row.name; });
  return found == rows_.end() ? nullptr : &*found;
}

std::string OptionTable::near_miss(const std::string& name) const {
  // A third of the letters wrong is another word.
  std::size_t best = name.size() / 3 + 1;
  std::string out;
  for (const OptionRow& row : rows_) {
    const std::size_t distance = edit_distance(name, row.name);
    if (distance >= best) continue;
    best = distance;
    out = row.name;
  }
  return out;
}

void OptionReader::read(const NamedValue& given) {
  if (const Explained* before = out_->find(given.name); before != nullptr)
    out_->contradictions.push_back(
        fmt::format("{} is given more than once ({}, {}): the last holds.", given.name,
                    before->value, given.value));
  Explained option{.option = given.name, .value = given.value};
  if (const OptionRow* row = table_->find(given.name); row != nullptr) {
    read_known(*row, option);
  } else {
    explain_unknown(option);
  }
  out_->options.push_back(std::move(option));
}

void OptionReader::read_known(const OptionRow& row, Explained& option) {
  option.effect = row.effect;
  option.text = row.text;
  if (row.effect == Effect::kIgnoredByReal) return;
  const auto parsed = parse_unit(option.value, row.unit);
  if (!parsed && option.value.find('$') != std::string::npos) {
    option.effect = Effect::kNotModelled;
    option.text = "A variable, whose value is not known here.";
    return;
  }
  if (!parsed || !in_range(row, *parsed)) {
    option.effect = Effect::kRefused;
    option.text = fmt::format("{} takes {}{}.", table_->system(), allowed(row),
                              parsed ? bytes_hint(row, *parsed) : "");
    out_->contradictions.push_back(fmt::format("{} {}: {} takes {}{}.", option.option, option.value,
                                               table_->system(), allowed(row),
                                               parsed ? bytes_hint(row, *parsed) : ""));
    return;
  }
  if (row.unit == Unit::kMebibytes && real_number(row, *parsed) >= kImplausibleMebibytes)
    out_->contradictions.push_back(fmt::format("{} {} means {}{}.", option.option, option.value,
                                               human_bytes(parsed->get<double>()),
                                               bytes_hint(row, *parsed)));
  values_[option.option] = *parsed;
  option.key = row.key;
  set_key(out_->config, option.key, *parsed);
}

void OptionReader::explain_unknown(Explained& option) {
  const std::string near = table_->near_miss(option.option);
  option.text = fmt::format("Not an option of {} that is known here.", table_->system());
  if (!near.empty()) option.text += fmt::format(" Did you mean {}?", near);
}

Json OptionReader::value(const std::string& name) const {
  if (given(name)) return values_[name];
  const OptionRow* row = table_->find(name);
  KV_CHECK(row != nullptr, "no option {}", name);
  const auto parsed = parse_unit(row->initial, row->unit);
  KV_CHECK(parsed.has_value(), "default of {}", name);
  return *parsed;
}

double OptionReader::number(const std::string& name) const { return value(name).get<double>(); }
bool OptionReader::flag(const std::string& name) const { return value(name).get<bool>(); }
std::string OptionReader::text(const std::string& name) const {
  return value(name).get<std::string>();
}
std::string OptionReader::origin(const std::string& name) const {
  return given(name) ? "" : " (default)";
}

void set_key(Json& config, const std::string& key, const Json& value) {
  if (!key.empty()) config[Json::json_pointer(key)] = value;
}

}  // namespace kvsim
