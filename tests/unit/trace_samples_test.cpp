// The traces that lie in files: our samples in traces/, and real ones where they are at hand.
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/unit/traces.hpp"

namespace kvsim {
namespace {

namespace fs = std::filesystem;

const fs::path kSource = KVSIM_SOURCE_DIR;

ReadTrace read_path(const fs::path& path) {
  TraceSpec spec;
  spec.path = path.string();
  return read_file(spec);
}

// The digests that traces/README.md states, by file.
std::map<std::string, std::string> manifest() {
  constexpr std::size_t kDigestLength = 64;
  std::ifstream file(kSource / "traces/README.md");
  std::map<std::string, std::string> digests;
  std::string before;
  for (std::string word; file >> word; before = word)
    if (before.size() == kDigestLength) digests[word] = before;
  return digests;
}

TEST(TraceSamples, AreRecognisedAndHaveTheDigestsOfTheManifest) {
  const auto digests = manifest();
  std::size_t samples = 0;
  for (const auto& entry : fs::directory_iterator(kSource / "traces")) {
    const std::string name = entry.path().filename().string();
    if (name == "README.md") continue;
    ++samples;
    ASSERT_EQ(digests.count(name), 1U) << name << " is not in traces/README.md";
    EXPECT_EQ(read_path(entry.path()).digest, digests.at(name)) << name;
  }
  EXPECT_EQ(samples, digests.size());
}

TEST(RealTraces, AreReadWholeWithTheLengthsTheyAreKnownFor) {
  struct Known {
    const char* file;
    std::size_t requests;
    double input_mean;
  };
  const fs::path folder = kSource / "../shared/traces";
  if (!fs::exists(folder)) GTEST_SKIP() << "no real traces in ../shared/traces";
  for (const Known& known : {
           Known{"mooncake_fast25_conversation_trace.jsonl", 12'031, 12'035.1},
           Known{"mooncake_fast25_synthetic_trace.jsonl", 3'993, 15'325.5},
           Known{"AzureLLMInferenceTrace_2023_code.csv", 8'819, 2'047.8},
           Known{"AzureLLMInferenceTrace_2023_conv.csv", 19'366, 1'154.7},
           Known{"llmservingsim_sharegpt-llama-3.1-8b-300-sps10.jsonl.gz", 300, 857.5},
           Known{"llmservingsim_sharegpt-qwen3-32b-300-sps10.jsonl.gz", 300, 862.3},
           Known{"vidur_arxiv_summarization_llama2_lengths.csv", 28'257, 2'588.1},
       }) {
    const ReadTrace trace = read_path(folder / known.file);
    EXPECT_EQ(trace.requests.size(), known.requests) << known.file;
    double sum = 0;
    for (const Request& request : trace.requests) sum += request.input.real();
    EXPECT_NEAR(sum / static_cast<double>(known.requests), known.input_mean, 0.06) << known.file;
    EXPECT_TRUE(trace.warnings.empty()) << known.file;
  }
}

}  // namespace
}  // namespace kvsim
