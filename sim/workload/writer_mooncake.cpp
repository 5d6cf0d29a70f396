#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <unordered_map>

#include "sim/workload/block_hash.hpp"
#include "sim/workload/trace_writer.hpp"

namespace kvsim {

namespace {

constexpr std::int64_t kBlockTokens = 512;

class MooncakeWriter final : public TraceWriter {
 public:
  explicit MooncakeWriter(Sink sink) : sink_(std::move(sink)) {}

  void write(const Request& request) override {
    const std::int64_t input = request.input.count();
    hashes_.clear();
    extend_block_hashes(request, kBlockTokens, input, hashes_);
    if (input % kBlockTokens != 0)
      hashes_.push_back(prefix_hash(request, kBlockTokens, input, hashes_));
    line_.clear();
    auto out = std::back_inserter(line_);
    constexpr double kMicrosecondsPerMillisecond = 1e3;
    const double arrival_ms = static_cast<double>(std::llround(request.arrival.count() * 1e6)) /
                              kMicrosecondsPerMillisecond;
    fmt::format_to(out, "{{\"timestamp\": {}, \"input_length\": {}, \"output_length\": {}, ",
                   arrival_ms, input, request.output.count());
    if (request.session >= 0) fmt::format_to(out, "\"session_id\": \"{}\", ", request.session);
    if (request.turn > 0) fmt::format_to(out, "\"delay\": {}, ", request.think.count() * 1e3);
    if (request.priority != 0) fmt::format_to(out, "\"priority\": {}, ", request.priority);
    fmt::format_to(out, "\"hash_ids\": [");
    const char* separator = "";
    for (const BlockHash hash : hashes_) {
      // Numbers in the order of appearance; only looked up, so the table's order does not matter.
      const std::size_t id = ids_.try_emplace(hash, ids_.size()).first->second;
      fmt::format_to(out, "{}{}", separator, id);
      separator = ", ";
    }
    line_ += "]}\n";
    sink_(line_);
  }
  void finish() override {}

 private:
  Sink sink_;
  std::unordered_map<BlockHash, std::size_t> ids_;
  std::vector<BlockHash> hashes_;
  std::string line_;
};

}  // namespace

std::unique_ptr<TraceWriter> make_mooncake_writer(TraceWriter::Sink sink) {
  return std::make_unique<MooncakeWriter>(std::move(sink));
}

}  // namespace kvsim
