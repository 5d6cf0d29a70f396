// kvsim explain, as a person or a script calls it.
#include <sstream>

#include "sim/base/json.hpp"
#include "tests/cli/command.hpp"

namespace kvsim::cli_test {
namespace {

using Explain = CommandTest;

constexpr const char* kKvrocks =
    "workers 16   # two sockets\n"
    "rocksdb.write_buffer_size 256\n"
    "rocksdb.dump_malloc_stats yes\n"
    "rocksdb.block_cach_size 1000\n"
    "timeout 0\n";

TEST_F(Explain, GroupsTheOptionsOfAFileAndEndsWithOurKeys) {
  write("cache.conf", kKvrocks);
  const CommandResult result = kvsim({"explain", "cache.conf"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::size_t place = 0;
  for (const char* text :
       {"cache.conf: kvrocks", "\nmodelled\n", "/lsm/write_buffer_bytes = 268435456",
        "\nignored by the real system\n", "rocksdb.dump_malloc_stats", "\nnot modelled\n",
        "timeout", "\nunknown\n", "Did you mean rocksdb.block_cache_size?", "\ncontradictions\n",
        "delayed_write_rate is 0", "\nnotes\n", "as a store of an experiment",
        "\"kind\": \"kvrocks\""}) {
    place = result.out.find(text, place);
    ASSERT_NE(place, std::string::npos) << text << "\n" << result.out;
  }
}

TEST_F(Explain, LinesStayWithinATerminal) {
  write("cache.conf", kKvrocks);
  std::istringstream lines(kvsim({"explain", "cache.conf"}).out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 110u) << line;
}

TEST_F(Explain, JsonHasEveryOptionAndTheConfiguration) {
  write("cache.conf", kKvrocks);
  const CommandResult result = kvsim({"explain", "cache.conf", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = Json::parse(result.out);
  EXPECT_EQ(json["schema"], "kvsim.explanation/1");
  EXPECT_EQ(json["format"], "kvrocks");
  EXPECT_EQ(json["options"].size(), 5u);
  EXPECT_EQ(json["config"]["workers"], 16);
}

TEST_F(Explain, ACommandLineCanBeGivenDirectly) {
  const CommandResult result =
      kvsim({"explain", "--args", "vllm serve a/b --max-num-seqs 64 -tp 2", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json config = Json::parse(result.out)["config"];
  EXPECT_EQ(config["engine"]["max_num_seqs"], 64);
  EXPECT_EQ(config["tensor_parallel"], 2);
}

TEST_F(Explain, AMissingFileIsAUserError) {
  const CommandResult result = kvsim({"explain", "absent.conf"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("absent.conf"), std::string::npos) << result.err;
}

TEST_F(Explain, AFolderIsAUserError) {
  const CommandResult result = kvsim({"explain", "."});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("folder"), std::string::npos) << result.err;
}

TEST_F(Explain, AFileOfNoKnownFormatIsAUserErrorThatListsTheFormats) {
  write("notes.txt", "the quick brown fox\n");
  const CommandResult result = kvsim({"explain", "notes.txt"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("kvrocks"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("lmcache"), std::string::npos) << result.err;
}

TEST_F(Explain, AnUnknownFormatIsAUserError) {
  write("cache.conf", kKvrocks);
  const CommandResult result = kvsim({"explain", "cache.conf", "--format", "sqlite"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("sqlite"), std::string::npos) << result.err;
}

TEST_F(Explain, NothingToExplainIsAUserError) {
  EXPECT_EQ(kvsim({"explain"}).exit_code, 2);
  EXPECT_EQ(kvsim({"explain", "--args", ""}).exit_code, 2);
}

TEST_F(Explain, BrokenYamlNamesLineAndColumn) {
  write("lmcache.yaml", "chunk_size: 256\nextra_config: {a: 1\n");
  const CommandResult result = kvsim({"explain", "lmcache.yaml"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("lmcache.yaml:"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace kvsim::cli_test
