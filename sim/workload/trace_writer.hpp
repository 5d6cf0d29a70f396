// Writes requests as a trace file. The bytes go to a sink, so that the caller decides where they
// lie and what becomes of a file that was not finished.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/workload/request.hpp"

namespace kvsim {

class TraceWriter {
 public:
  using Sink = std::function<void(std::string_view)>;
  virtual ~TraceWriter() = default;

  virtual void write(const Request& request) = 0;
  // After the last request, once.
  virtual void finish() = 0;
};

// Our own format: keeps everything; read again, the digest is equal.
[[nodiscard]] std::unique_ptr<TraceWriter> make_kvsim_writer(TraceWriter::Sink sink);

// Mooncake JSONL with Dynamo's fields for sessions: for other tools. Arrivals are rounded to 1 us,
// shared content to whole blocks of 512 tokens, and what a prompt shares with answers is only seen
// among prompts. Memory grows with the distinct blocks.
[[nodiscard]] std::unique_ptr<TraceWriter> make_mooncake_writer(TraceWriter::Sink sink);

// "kvsim" or "mooncake". Throws ConfigError.
[[nodiscard]] std::unique_ptr<TraceWriter> make_trace_writer(const std::string& format,
                                                             TraceWriter::Sink sink);
[[nodiscard]] const std::vector<std::string>& trace_writer_names();

}  // namespace kvsim
