// Configuration structs describe their fields once:
//
//   struct LinkConfig {
//     Bandwidth bandwidth{0};
//     Seconds latency{0};
//     template <class F> void fields(F& f) {
//       f.required("bandwidth_bytes_per_s", bandwidth, Range{1, 1e15}, "Payload rate, one way.");
//       f.optional("latency_s", latency, Range{0, 10}, "Delay before the first byte.");
//     }
//   };
//
// Three visitors use that description: FieldReader (strict: unknown keys are errors that list the
// known ones), FieldEcho (the resolved configuration) and FieldSchema (JSON Schema with the help
// text). The value a member holds before reading is its default. Members may be bool, integers,
// double, std::string, quantities, std::vector, std::optional, Json (kept as given), or structs
// with fields(). `f.choice` takes a string out of a list; `f.path` a file relative to the
// configuration.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "sim/base/config_node.hpp"
#include "sim/base/units.hpp"

namespace kvsim {

inline constexpr Range kAnyNumber{-1e300, 1e300};

template <class T>
concept QuantityLike = requires(T q) {
  typename T::Rep;
  { q.count() } -> std::same_as<typename T::Rep>;
};

class FieldReader;
class FieldEcho;
class FieldSchema;

template <class T>
concept HasFields = requires(T t, FieldReader& f) {
  t.fields(f);
};

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};

template <class T>
void read_value(const ConfigNode& node, T& value, Range range);
template <class T>
Json echo_value(const T& value);
template <class T>
Json schema_of(Range range);

class FieldReader {
 public:
  explicit FieldReader(const ConfigNode& node) : node_(node) { node_.expect_object(); }

  template <class T>
  void required(const char* name, T& member, Range range, const char* help) {
    (void)help;
    know(name);
    if (!node_.has(name)) missing(name);
    read_value(node_.at(name), member, range);
  }
  template <class T>
  void required(const char* name, T& member, const char* help) {
    required(name, member, kAnyNumber, help);
  }
  template <class T>
  void optional(const char* name, T& member, Range range, const char* help) {
    (void)help;
    know(name);
    if (node_.has(name)) read_value(node_.at(name), member, range);
  }
  template <class T>
  void optional(const char* name, T& member, const char* help) {
    optional(name, member, kAnyNumber, help);
  }
  void choice(const char* name, std::string& member, const std::vector<std::string>& allowed,
              const char* help);
  // A file name; a relative one is taken from the configuration's folder. Empty = none.
  void path(const char* name, std::string& member, const char* help);

  // Complains about keys that no field took.
  void finish() const;

 private:
  void know(const char* name) { known_.emplace_back(name); }
  [[noreturn]] void missing(const char* name) const;

  const ConfigNode& node_;
  std::vector<std::string> known_;
};

class FieldEcho {
 public:
  template <class T>
  void required(const char* name, T& member, Range, const char*) {
    out_[name] = echo_value(member);
  }
  template <class T>
  void required(const char* name, T& member, const char*) {
    out_[name] = echo_value(member);
  }
  template <class T>
  void optional(const char* name, T& member, Range, const char*) {
    add(name, member);
  }
  template <class T>
  void optional(const char* name, T& member, const char*) {
    add(name, member);
  }
  void choice(const char* name, std::string& member, const std::vector<std::string>&, const char*) {
    out_[name] = member;
  }
  void path(const char* name, std::string& member, const char*) {
    if (!member.empty()) out_[name] = member;
  }
  [[nodiscard]] Json take() { return std::move(out_); }

 private:
  template <class T>
  void add(const char* name, const T& member) {
    if constexpr (IsOptional<T>::value) {
      if (!member) return;
    }
    out_[name] = echo_value(member);
  }
  Json out_ = Json::object();
};

class FieldSchema {
 public:
  template <class T>
  void required(const char* name, T& member, Range range, const char* help) {
    optional(name, member, range, help);
    required_.push_back(name);
    out_["properties"][name].erase("default");
  }
  template <class T>
  void required(const char* name, T& member, const char* help) {
    required(name, member, kAnyNumber, help);
  }
  template <class T>
  void optional(const char* name, T& member, Range range, const char* help) {
    Json schema = schema_of<T>(range);
    schema["description"] = help;
    if constexpr (!HasFields<T>) {
      const Json standard = echo_value(member);
      if (!standard.is_null()) schema["default"] = standard;
    }
    out_["properties"][name] = std::move(schema);
  }
  template <class T>
  void optional(const char* name, T& member, const char* help) {
    optional(name, member, kAnyNumber, help);
  }
  void choice(const char* name, std::string& member, const std::vector<std::string>& allowed,
              const char* help);
  void path(const char* name, std::string& member, const char* help);
  [[nodiscard]] Json take();

 private:
  Json out_ = {{"type", "object"}, {"additionalProperties", false}, {"properties", Json::object()}};
  std::vector<std::string> required_;
};

// Reads a struct with fields(); complains about everything wrong, unknown keys included.
template <HasFields T>
T read_config(const ConfigNode& node) {
  T value;
  FieldReader reader(node);
  value.fields(reader);
  reader.finish();
  return value;
}

template <HasFields T>
Json echo_config(const T& value) {
  FieldEcho echo;
  const_cast<T&>(value).fields(echo);  // FieldEcho only reads
  return echo.take();
}

template <HasFields T>
Json schema_config() {
  T value;
  FieldSchema schema;
  value.fields(schema);
  return schema.take();
}

template <class T>
void read_value(const ConfigNode& node, T& value, Range range) {
  if constexpr (std::same_as<T, bool>) {
    value = node.boolean();
  } else if constexpr (std::integral<T>) {
    const Range whole{std::max(range.low, -9.0e18), std::min(range.high, 9.0e18)};
    value = static_cast<T>(node.integer(whole));
  } else if constexpr (std::floating_point<T>) {
    value = static_cast<T>(node.number(range));
  } else if constexpr (std::same_as<T, std::string>) {
    value = node.text();
  } else if constexpr (std::same_as<T, Json>) {
    value = node.json();
  } else if constexpr (QuantityLike<T>) {
    typename T::Rep inner{};
    read_value(node, inner, range);
    value = T(inner);
  } else if constexpr (IsOptional<T>::value) {
    if (node.json().is_null()) {
      value.reset();
    } else {
      typename T::value_type inner{};
      read_value(node, inner, range);
      value = std::move(inner);
    }
  } else if constexpr (IsVector<T>::value) {
    node.expect_array();
    value.clear();
    for (std::size_t i = 0; i < node.json().size(); ++i) {
      typename T::value_type inner{};
      read_value(node.at(i), inner, range);
      value.push_back(std::move(inner));
    }
  } else {
    static_assert(HasFields<T>, "a configuration member needs fields()");
    value = read_config<T>(node);
  }
}

template <class T>
Json echo_value(const T& value) {
  if constexpr (QuantityLike<T>) {
    return value.count();
  } else if constexpr (IsOptional<T>::value) {
    return value ? echo_value(*value) : Json();
  } else if constexpr (IsVector<T>::value) {
    Json list = Json::array();
    for (const auto& item : value) list.push_back(echo_value(item));
    return list;
  } else if constexpr (HasFields<T>) {
    return echo_config(value);
  } else {
    return value;
  }
}

Json number_schema(bool whole, Range range);

template <class T>
Json schema_of(Range range) {
  if constexpr (std::same_as<T, bool>) {
    return {{"type", "boolean"}};
  } else if constexpr (std::integral<T> || std::floating_point<T>) {
    return number_schema(std::integral<T>, range);
  } else if constexpr (std::same_as<T, std::string>) {
    return {{"type", "string"}};
  } else if constexpr (std::same_as<T, Json>) {
    return Json::object();
  } else if constexpr (QuantityLike<T>) {
    return schema_of<typename T::Rep>(range);
  } else if constexpr (IsOptional<T>::value) {
    return schema_of<typename T::value_type>(range);
  } else if constexpr (IsVector<T>::value) {
    return {{"type", "array"}, {"items", schema_of<typename T::value_type>(range)}};
  } else {
    return schema_config<T>();
  }
}

}  // namespace kvsim
