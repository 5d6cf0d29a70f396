#include "sim/base/fields.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kvsim {

void FieldReader::choice(const char* name, std::string& member,
                         const std::vector<std::string>& allowed, const char* help) {
  (void)help;
  know(name);
  if (!node_.has(name)) return;
  const ConfigNode node = node_.at(name);
  if (node.json().is_string()) {
    member = node.json().get<std::string>();
    if (std::find(allowed.begin(), allowed.end(), member) != allowed.end()) return;
  }
  node.fail(node.found(), "one of " + join_names(allowed));
}

void FieldReader::path(const char* name, std::string& member, const char* help) {
  (void)help;
  know(name);
  if (!node_.has(name)) return;
  const ConfigNode node = node_.at(name);
  member = node.text();
  if (!member.empty()) member = node.resolve_path(member);
}

void FieldReader::finish() const {
  for (const auto& item : node_.json().items()) {
    if (std::find(known_.begin(), known_.end(), item.key()) != known_.end()) continue;
    node_.at(item.key())
        .fail(fmt::format("the unknown key \"{}\"", item.key()), join_names(known_));
  }
}

void FieldReader::missing(const char* name) const {
  node_.fail(fmt::format("no \"{}\"", name), fmt::format("an object with \"{}\"", name));
}

void FieldSchema::choice(const char* name, std::string& member,
                         const std::vector<std::string>& allowed, const char* help) {
  Json schema = {{"type", "string"}, {"enum", allowed}, {"description", help}};
  if (!member.empty()) schema["default"] = member;
  out_["properties"][name] = std::move(schema);
}

void FieldSchema::path(const char* name, std::string& member, const char* help) {
  (void)member;
  out_["properties"][name] = {{"type", "string"}, {"description", help}};
}

Json FieldSchema::take() {
  if (!required_.empty()) out_["required"] = required_;
  return std::move(out_);
}

Json number_schema(bool whole, Range range) {
  Json schema = {{"type", whole ? "integer" : "number"}};
  if (range.low > kAnyNumber.low) schema["minimum"] = range.low;
  if (range.high < kAnyNumber.high) schema["maximum"] = range.high;
  return schema;
}

}  // namespace kvsim
