// Plug-ins by name. A plug-in lives wholly in its .cpp, which ends in its registration line:
//
//   namespace { const Register<Router, RoundRobin> kRegistered("round-robin", "Each in turn."); }
//
// The contract class names its kind (`static constexpr const char* kPlugin = "router";`) and the
// `Context` that constructors get. The plug-in has `struct Options` with fields() and a constructor
// (const Options&, const Contract::Context&). In a configuration a plug-in is an object
// {"kind": NAME, ...its options} or just "NAME".
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/fields.hpp"

namespace kvsim {

template <class Contract>
class Registry {
 public:
  struct Entry {
    std::string help;
    std::function<std::unique_ptr<Contract>(const ConfigNode&, const typename Contract::Context&)>
        make;
    std::function<Json(const ConfigNode&)> resolve;  // checks the options, echoes with defaults
    std::function<Json()> schema;
  };

  static Registry& instance() {
    static Registry registry;
    return registry;
  }

  void add(const std::string& name, Entry entry) { entries_[name] = std::move(entry); }
  [[nodiscard]] const std::map<std::string, Entry>& entries() const { return entries_; }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> out;
    for (const auto& [name, entry] : entries_) out.push_back(name);
    return out;
  }

  // The entry that `node` names; ConfigError listing the registered names otherwise.
  [[nodiscard]] const Entry& find(const ConfigNode& node) const {
    const ConfigNode kind = node.json().is_object() && node.has("kind") ? node.at("kind") : node;
    if (!kind.json().is_string()) kind.fail(kind.found(), allowed());
    const auto found = entries_.find(kind.json().template get<std::string>());
    if (found == entries_.end()) kind.fail(kind.found(), allowed());
    return found->second;
  }
  [[nodiscard]] std::unique_ptr<Contract> make(const ConfigNode& node,
                                               const typename Contract::Context& context) const {
    return find(node).make(node, context);
  }

 private:
  [[nodiscard]] std::string allowed() const {
    return std::string("a ") + Contract::kPlugin + ": one of " + join_names(names());
  }
  std::map<std::string, Entry> entries_;
};

// Options of a plug-in without any.
struct NoOptions {
  template <class F>
  void fields(F&) {}
};

// The options of a plug-in plus its "kind" key.
template <class Options>
struct PluginFields {
  std::string kind;
  Options options;
  template <class F>
  void fields(F& f) {
    f.required("kind", kind, "Which plug-in.");
    options.fields(f);
  }
};

template <class Options>
PluginFields<Options> read_plugin(const ConfigNode& node) {
  if (node.json().is_string()) {
    const Json bare = {{"kind", node.json()}};
    return read_config<PluginFields<Options>>(ConfigNode(bare, node.file(), node.path()));
  }
  return read_config<PluginFields<Options>>(node);
}

template <class Contract, class Implementation>
class Register {
 public:
  Register(const char* name, const char* help) {
    using Options = typename Implementation::Options;
    typename Registry<Contract>::Entry entry;
    entry.help = help;
    entry.make = [](const ConfigNode& node, const typename Contract::Context& context) {
      return std::unique_ptr<Contract>(
          std::make_unique<Implementation>(read_plugin<Options>(node).options, context));
    };
    entry.resolve = [](const ConfigNode& node) { return echo_config(read_plugin<Options>(node)); };
    entry.schema = [] { return schema_config<PluginFields<Options>>(); };
    Registry<Contract>::instance().add(name, std::move(entry));
  }
};

}  // namespace kvsim
