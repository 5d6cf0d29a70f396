// What every registered trace format owes.
#include "sim/workload/trace_format.hpp"

#include "sim/base/rng.hpp"
#include "sim/workload/trace_writer.hpp"
#include "tests/unit/traces.hpp"

namespace kvsim {
namespace {

// A small trace of each format, our own included.
std::string example(const std::string& format) {
  for (const auto& [name, text] : example_traces()) {
    if (name == format) return text;
  }
  if (format != "kvsim") return "";
  std::string out;
  const auto writer = make_kvsim_writer([&](std::string_view part) { out += part; });
  for (const Request& request : read_text(example("llmservingsim")).requests)
    writer->write(request);
  writer->finish();
  return out;
}

class TraceFormats : public testing::TestWithParam<std::string> {};

TEST_P(TraceFormats, RecognisesItsOwnExampleAndNobodyElses) {
  const TemporaryFile file("trace", example(GetParam()));
  const auto bytes = ByteStream::open(file.path());
  ASSERT_FALSE(bytes->peek().empty()) << "add an example to tests/unit/traces.hpp";
  for (const auto& [name, entry] : Registry<TraceFormat>::instance().entries()) {
    const Json kind = name;
    const auto format = entry.make(ConfigNode(kind, "test"), {});
    EXPECT_EQ(format->recognises(bytes->peek()), name == GetParam()) << name;
  }
}

TEST_P(TraceFormats, RequestsAreWellFormed) {
  std::int64_t id = 0;
  Seconds last{0};
  for (const Request& request : read_text(example(GetParam())).requests) {
    EXPECT_EQ(request.id, id++);
    EXPECT_GE(request.arrival, last);
    last = request.arrival;
    EXPECT_GT(request.output, Tokens(0));
    std::int64_t tokens = 0;
    for (const ContentRun& run : request.prompt) {
      EXPECT_GT(run.length, 0);
      tokens += run.length;
    }
    EXPECT_EQ(request.input, Tokens(tokens));
    EXPECT_TRUE(request.turn == 0 || request.session >= 0);
  }
  EXPECT_GT(id, 0);
}

TEST_P(TraceFormats, TheSameBytesGiveTheSameDigest) {
  const std::string bytes = example(GetParam());
  EXPECT_EQ(read_text(bytes).digest, read_text(bytes).digest);
}

TEST_P(TraceFormats, AFileCutAnywhereIsReadOrComplainedOf) {
  const std::string bytes = example(GetParam());
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_NO_THROW(static_cast<void>(complaint(bytes.substr(0, size)))) << size;
}

TEST_P(TraceFormats, DamagedBytesAreReadOrComplainedOf) {
  const std::string bytes = example(GetParam());
  Rng rng = stream(11, GetParam());
  for (int round = 0; round < 2000; ++round) {
    std::string damaged = bytes;
    for (std::uint64_t i = 1 + rng.below(3); i > 0; --i)
      damaged[rng.below(damaged.size())] = static_cast<char>(rng.below(256));
    EXPECT_NO_THROW(static_cast<void>(complaint(damaged))) << "round " << round;
  }
}

// Past the packing, where checksums no longer help.
TEST(OwnFormatUnpacked, DamagedItemsAreReadOrComplainedOf) {
  const TemporaryFile file("trace", example("kvsim"));
  const auto stream_of_bytes = ByteStream::open(file.path());
  std::string plain;
  for (auto part = stream_of_bytes->next(); !part.empty(); part = stream_of_bytes->next())
    plain += part;
  EXPECT_EQ(complaint(plain), "");
  Rng rng = stream(12, "items");
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = plain;
    for (std::uint64_t i = 1 + rng.below(3); i > 0; --i)
      damaged[rng.below(damaged.size())] = static_cast<char>(rng.below(256));
    EXPECT_NO_THROW(static_cast<void>(complaint(damaged))) << "round " << round;
  }
}

INSTANTIATE_TEST_SUITE_P(All, TraceFormats,
                         testing::ValuesIn(Registry<TraceFormat>::instance().names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace kvsim
