// Traces as text for tests: reading them, and the message that a bad one gives.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <lz4frame.h>
#include <unistd.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "sim/base/errors.hpp"
#include "sim/workload/open_trace.hpp"

namespace kvsim {

// A file that is gone when the test is over.
class TemporaryFile {
 public:
  TemporaryFile(const std::string& name, const std::string& bytes)
      : path_(std::filesystem::path(testing::TempDir()) / ("kvsim-" + unique() + "-" + name)) {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  // Tests run as processes side by side, and a test may have several files.
  static std::string unique() {
    static int count = 0;
    return fmt::format("{}-{}", getpid(), ++count);
  }
  std::filesystem::path path_;
};

struct ReadTrace {
  std::vector<Request> requests;
  std::string digest;
  std::vector<std::string> warnings;
};

inline ReadTrace read_file(TraceSpec spec) {
  ReadTrace out;
  spec.warn = [&](const std::string& line) { out.warnings.push_back(line); };
  const auto source = open_trace(spec);
  Request request;
  while (source->next(request)) out.requests.push_back(request);
  out.digest = source->digest();
  return out;
}

inline ReadTrace read_text(const std::string& text, const Json& options = Json::object(),
                           const std::string& format = "auto") {
  const TemporaryFile file("trace", text);
  TraceSpec spec;
  spec.path = file.path();
  spec.format = format;
  spec.options = options;
  return read_file(spec);
}

// The message of the TraceError that reading gives, without the folder of the file; "" if none.
inline std::string complaint(const std::string& text, const Json& options = Json::object()) {
  try {
    read_text(text, options);
  } catch (const TraceError& error) {
    const std::string message = error.what();
    const std::size_t name = message.find("-trace:");
    return name == std::string::npos ? message : message.substr(name + 1);
  }
  return "";
}

inline std::string gzip(const std::string& text) {
  z_stream state{};
  deflateInit2(&state, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&state, text.size()) + 64, '\0');
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  state.avail_in = static_cast<uInt>(text.size());
  state.next_out = reinterpret_cast<Bytef*>(out.data());
  state.avail_out = static_cast<uInt>(out.size());
  deflate(&state, Z_FINISH);
  out.resize(state.total_out);
  deflateEnd(&state);
  return out;
}

inline std::string lz4(const std::string& text) {
  std::string out(LZ4F_compressFrameBound(text.size(), nullptr), '\0');
  out.resize(LZ4F_compressFrame(out.data(), out.size(), text.data(), text.size(), nullptr));
  return out;
}

// One small trace of each format, by name.
inline std::vector<std::pair<std::string, std::string>> example_traces() {
  return {
      {"mooncake",
       R"({"timestamp": 0, "input_length": 1100, "output_length": 5, "hash_ids": [0, 1, 2]})"
       "\n"
       R"({"timestamp": 1500, "input_length": 1500, "output_length": 7, "hash_ids": [0, 1, 3]})"
       "\n"},
      {"azure",
       "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46.6805900,374,44\r\n"
       "2023-11-16 18:15:50.9951690,396,109\r\n"},
      {"burstgpt",
       "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,"
       "Log Type\n5,7,3.1,ChatGPT,472,18,490,Conversation log\n"
       "45,7,1.5,GPT-4,1087,230,1317,Conversation log\n118,,2,ChatGPT,417,276,693,API log\n"},
      {"vidur", "arrived_at,num_prefill_tokens,num_decode_tokens\n0.5,2048,128\n0.75,10,1\n"},
      {"llmservingsim",
       R"({"input_toks": 3, "output_toks": 2, "arrival_time_ns": 500000000, "input_tok_ids": )"
       R"([7, 9, 4], "output_tok_ids": [5, 6]})"
       "\n"
       R"({"session_id": "a", "arrival_time_ns": 1000000000, "sub_requests": [)"
       R"({"input_toks": 100, "output_toks": 9, "tool_duration_ns": 2000000000},)"
       R"({"input_toks": 150, "output_toks": 9, "tool_duration_ns": 0}]})"
       "\n"},
      {"columns", "arrival_s,input_tokens,output_tokens\n0,591,140\n0.25,589,48\n"},
  };
}

}  // namespace kvsim
