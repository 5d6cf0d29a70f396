#include "sim/base/fields.hpp"

#include <gtest/gtest.h>

#include "sim/base/registry.hpp"

namespace kvsim {
namespace {

struct Wire {
  Bandwidth bandwidth{0};
  Seconds latency{0.5};
  std::string mode = "duplex";
  std::vector<std::int64_t> sizes = {1, 2};
  template <class F>
  void fields(F& f) {
    f.required("bandwidth_bytes_per_s", bandwidth, Range{1, 1e15}, "Payload rate, one way.");
    f.optional("latency_s", latency, Range{0, 10}, "Delay before the first byte.");
    f.choice("mode", mode, {"duplex", "simplex"}, "Directions.");
    f.optional("sizes", sizes, "Sizes.");
  }
};

std::string message_of(const char* text) {
  const Json json = Json::parse(text);
  try {
    read_config<Wire>(ConfigNode(json, "x.json", "/wire"));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Fields, ReadsEchoesAndKeepsDefaults) {
  const Json json = Json::parse(R"({"bandwidth_bytes_per_s": 2e9, "sizes": [3]})");
  Wire wire = read_config<Wire>(ConfigNode(json, "x.json"));
  EXPECT_EQ(wire.bandwidth, Bandwidth(2e9));
  EXPECT_EQ(
      echo_config(wire).dump(),
      R"({"bandwidth_bytes_per_s":2000000000.0,"latency_s":0.5,"mode":"duplex","sizes":[3]})");
}

TEST(Fields, EveryMistakeNamesPathFoundAndAllowed) {
  EXPECT_EQ(message_of(R"({})"),
            "x.json: /wire: found no \"bandwidth_bytes_per_s\"; allowed: an object with "
            "\"bandwidth_bytes_per_s\"");
  EXPECT_EQ(message_of(R"({"bandwidth_bytes_per_s": 0})"),
            "x.json: /wire/bandwidth_bytes_per_s: found 0; allowed: a number in [1, 1e+15]");
  EXPECT_EQ(message_of(R"({"bandwidth_bytes_per_s": 1, "late": 1})"),
            "x.json: /wire/late: found the unknown key \"late\"; allowed: bandwidth_bytes_per_s, "
            "latency_s, mode, sizes");
  EXPECT_EQ(message_of(R"({"bandwidth_bytes_per_s": 1, "mode": "half"})"),
            "x.json: /wire/mode: found \"half\"; allowed: one of duplex, simplex");
  EXPECT_EQ(message_of(R"({"bandwidth_bytes_per_s": 1, "sizes": [1.5]})"),
            "x.json: /wire/sizes/0: found 1.5; allowed: a whole number in [-9e+18, 9e+18]");
}

TEST(Fields, SchemaNamesRangesDefaultsAndRequired) {
  const Json schema = schema_config<Wire>();
  EXPECT_EQ(schema["required"].dump(), R"(["bandwidth_bytes_per_s"])");
  EXPECT_EQ(schema["properties"]["latency_s"]["default"], 0.5);
  EXPECT_EQ(schema["properties"]["latency_s"]["maximum"], 10.0);
}

class Greeter {
 public:
  static constexpr const char* kPlugin = "greeter";
  struct Context {};
  virtual ~Greeter() = default;
  virtual std::string greet() const = 0;
};

class Loud : public Greeter {
 public:
  struct Options {
    std::int64_t times = 1;
    template <class F>
    void fields(F& f) {
      f.optional("times", times, Range{1, 3}, "How often.");
    }
  };
  Loud(const Options& options, const Context&) : options_(options) {}
  std::string greet() const override { return std::string(options_.times, '!'); }

 private:
  Options options_;
};
const Register<Greeter, Loud> kRegistered("loud", "Shouts.");

TEST(Registry, MakesAPluginFromItsNameOrItsOptions) {
  const auto& registry = Registry<Greeter>::instance();
  const Json bare = "loud";
  const Json full = {{"kind", "loud"}, {"times", 3}};
  EXPECT_EQ(registry.make(ConfigNode(bare, "x"), {})->greet(), "!");
  EXPECT_EQ(registry.make(ConfigNode(full, "x"), {})->greet(), "!!!");
}

TEST(Registry, AnUnknownNameListsTheKnownOnes) {
  const Json wrong = {{"kind", "quiet"}};
  try {
    (void)Registry<Greeter>::instance().make(ConfigNode(wrong, "x", "/g"), {});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(), "x: /g/kind: found \"quiet\"; allowed: a greeter: one of loud");
  }
}

}  // namespace
}  // namespace kvsim
