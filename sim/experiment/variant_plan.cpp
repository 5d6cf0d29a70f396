#include "sim/experiment/variant_plan.hpp"

#include <fmt/format.h>

#include <cctype>
#include <set>

#include "sim/base/fields.hpp"

namespace kvsim {

namespace {

constexpr std::size_t kMostVariants = 1000;

struct VariantConfig {
  std::string name;
  Json set = Json::object();

  template <class F>
  void fields(F& f) {
    f.required("name", name, "For the table and the folder of its results.");
    f.optional("set", set, "Values by JSON pointer into the experiment.");
  }
};

Variant read_variant(const ConfigNode& node) {
  const auto config = read_config<VariantConfig>(node);
  if (config.name.empty()) node.at("name").fail("an empty name", "a name");
  if (node.has("set")) node.at("set").expect_object();
  for (const auto& item : config.set.items())
    if (!item.key().starts_with('/'))
      node.at("set").fail(fmt::format("the key \"{}\"", item.key()),
                          "JSON pointers into the experiment, such as \"/load/rate_per_s\"");
  return {config.name, config.set};
}

std::vector<Variant> read_list(const ConfigNode& node) {
  node.expect_array();
  if (node.json().empty()) node.fail("an empty list", "at least one variant");
  std::vector<Variant> out;
  for (std::size_t i = 0; i < node.json().size(); ++i) out.push_back(read_variant(node.at(i)));
  return out;
}

Variant both(const Variant& first, const Variant& second) {
  Variant out = {first.name + " + " + second.name, first.set};
  for (const auto& item : second.set.items()) {
    out.set.erase(item.key());  // applied in the second's place
    out.set[item.key()] = item.value();
  }
  return out;
}

std::vector<Variant> read_product(const ConfigNode& node) {
  node.expect_array();
  if (node.json().empty()) node.fail("an empty list", "lists of variants");
  std::vector<Variant> out = read_list(node.at(std::size_t{0}));
  for (std::size_t i = 1; i < node.json().size(); ++i) {
    const std::vector<Variant> choices = read_list(node.at(i));
    if (out.size() * choices.size() > kMostVariants)
      node.fail("more variants than a table may have", fmt::format("at most {}", kMostVariants));
    std::vector<Variant> product;
    for (const Variant& variant : out)
      for (const Variant& choice : choices) product.push_back(both(variant, choice));
    out = std::move(product);
  }
  return out;
}

}  // namespace

std::string Variant::folder() const {
  std::string out;
  for (const char c : name) {
    const auto letter = static_cast<unsigned char>(c);
    const bool plain = std::isalnum(letter) != 0 || c == '.' || c == '_' || c == '-';
    if (plain) out += c;
    if (!plain && !out.empty() && out.back() != '-') out += '-';
  }
  while (out.ends_with('-')) out.pop_back();
  return out.empty() || out.front() == '.' ? "variant" + out : out;
}

std::vector<Variant> read_variants(const ConfigNode& experiment) {
  std::vector<Variant> out;
  if (experiment.has("variants")) out = read_list(experiment.at("variants"));
  if (experiment.has("variants_of"))
    for (Variant& variant : read_product(experiment.at("variants_of")))
      out.push_back(std::move(variant));
  std::set<std::string> folders;
  for (const Variant& variant : out)
    if (!folders.insert(variant.folder()).second)
      experiment.fail(fmt::format("two variants with results in \"{}\"", variant.folder()),
                      "names that differ in letters or digits");
  return out;
}

void add_variants_schema(Json& properties) {
  const Json list = {{"type", "array"}, {"items", schema_config<VariantConfig>()}};
  properties["variants"] = list;
  properties["variants"]["description"] =
      "Runs to compare in one table: this file with other values.";
  properties["variants_of"] = {{"type", "array"},
                               {"items", list},
                               {"description", "Their product: a choice out of each list."}};
}

}  // namespace kvsim
