// Mooncake JSONL (FAST'25 traces) and the fields that Dynamo's tools add to it.
//
//   {"timestamp": 0, "input_length": 1100, "output_length": 500, "hash_ids": [0, 1, 2]}
//   {"session_id": "a", "delay": 800, "input_length": 1700, "output_length": 20, "hash_ids": [...]}
//
// timestamp: ms from the start. hash_ids: one for each 512 tokens of the prompt, the last of them
// for the rest; equal ids are equal content. A prompt longer than its ids cover ends in content of
// its own. The ids say nothing of answers: a later prompt that repeats one has other ids, so
// generated tokens never match here.
//
// Dynamo's names: created_time, input_tokens, output_tokens; session_id makes a line the next turn
// of a session, delay or delay_ms (ms) its think time; a turn without a timestamp carries the
// latest arrival before it. priority as it stands. Left out: delta and agentic dialects,
// output_token_ids.
//
// Two of the published traces have their timestamps rounded to 3 s: `smooth_batches_s` spreads
// requests of equal timestamps evenly over the time to the next one, at most so many seconds.
#include <fmt/format.h>

#include <deque>

#include "sim/workload/content_stream.hpp"
#include "sim/workload/json_line.hpp"
#include "sim/workload/session_numbers.hpp"
#include "sim/workload/trace_format.hpp"
#include "sim/workload/trace_source.hpp"

namespace kvsim {

namespace {

struct MooncakeOptions {
  std::int64_t block_tokens = 512;
  Seconds smooth_batches{0};
  template <class F>
  void fields(F& f) {
    f.optional("block_tokens", block_tokens, Range{1, 1e9}, "Prompt tokens that a hash id covers.");
    f.optional("smooth_batches_s", smooth_batches, Range{0, 1e6},
               "Spreads requests of equal timestamps evenly until the next, at most so long.");
  }
};

class MooncakeSource final : public TraceSource {
 public:
  MooncakeSource(const MooncakeOptions& options, TraceInput input)
      : options_(options),
        lines_(std::move(input.bytes)),
        unknown_({"timestamp", "created_time", "input_length", "input_tokens", "output_length",
                  "output_tokens", "hash_ids", "session_id", "delay", "delay_ms", "priority",
                  "request_id"},
                 std::move(input.warn)) {}

 protected:
  bool decode(Request& request) override {
    if (options_.smooth_batches == Seconds(0)) return read(request);
    if (batch_.empty() && !read_batch()) return false;
    request = std::move(batch_.front());
    batch_.pop_front();
    return true;
  }
  std::string place() const override { return lines_.place(); }

 private:
  bool read(Request& request) {
    std::string_view line;
    if (!lines_.next(line)) return false;
    const nlohmann::json json = parse_json_line(line, lines_);
    const JsonObject object(json, lines_);
    unknown_.look(json, lines_);
    const auto id = static_cast<std::uint64_t>(read_++);
    request.input = Tokens(object.integer({"input_length", "input_tokens"}, 1));
    request.output = Tokens(object.integer({"output_length", "output_tokens"}, 1));
    request.answer_stream = content_stream(StreamKind::kAnswer, id);
    read_prompt(object, id, request);
    read_session(object, request);
    if (request.turn == 0 || object.find({"timestamp", "created_time"}) != nullptr)
      last_arrival_ = Seconds(object.number({"timestamp", "created_time"}) / 1e3);
    request.arrival = last_arrival_;
    if (object.find({"priority"}) != nullptr)
      request.priority = static_cast<std::int32_t>(object.integer({"priority"}, -1'000'000));
    return true;
  }

  void read_prompt(const JsonObject& object, std::uint64_t id, Request& request) {
    object.list("hash_ids", hash_ids_);
    const std::int64_t block = options_.block_tokens;
    const auto blocks = static_cast<std::int64_t>(hash_ids_.size());
    std::int64_t left = request.input.count();
    if (left <= block * (blocks - 1))
      object.fail("hash_ids", fmt::format("{} ids for {} tokens", blocks, left),
                  fmt::format("one for each {} tokens", block));
    for (const std::uint64_t hash_id : hash_ids_) {
      append_run(request.prompt,
                 {content_stream(StreamKind::kShared, hash_id), 0, std::min(left, block)});
      left -= std::min(left, block);
    }
    append_run(request.prompt, {content_stream(StreamKind::kPrompt, id), 0, left});
  }

  void read_session(const JsonObject& object, Request& request) {
    const nlohmann::json* session = object.find({"session_id"});
    if (session == nullptr) return;
    sessions_.number(session->is_string() ? session->get<std::string>() : session->dump(), request);
    if (request.turn > 0 && object.find({"delay", "delay_ms"}) != nullptr)
      request.think = Seconds(object.number({"delay", "delay_ms"}) / 1e3);
  }

  // Reads the requests of one timestamp and, to know where they end, the first one after them.
  bool read_batch() {
    if (!have_ahead_ && !read(ahead_)) return false;
    const Seconds start = ahead_.arrival;
    do {
      batch_.push_back(std::move(ahead_));
      ahead_ = Request();
      have_ahead_ = read(ahead_);
    } while (have_ahead_ && ahead_.arrival == start);
    Seconds spread = options_.smooth_batches;
    if (have_ahead_) spread = std::min(spread, ahead_.arrival - start);
    const auto size = static_cast<double>(batch_.size());
    for (std::size_t i = 0; i < batch_.size(); ++i)
      batch_[i].arrival += spread * (static_cast<double>(i) / size);
    return true;
  }

  MooncakeOptions options_;
  LineReader lines_;
  UnknownKeys unknown_;
  SessionNumbers sessions_;
  std::vector<std::uint64_t> hash_ids_;
  std::int64_t read_ = 0;
  Seconds last_arrival_{0};
  std::deque<Request> batch_;
  Request ahead_;
  bool have_ahead_ = false;
};

class Mooncake final : public TraceFormat {
 public:
  using Options = MooncakeOptions;
  Mooncake(const Options& options, const Context&) : options_(options) {}

  bool recognises(std::string_view head) const override {
    const std::string_view line = first_line(head);
    return line.find('{') != std::string_view::npos &&
           (line.find("\"hash_ids\"") != std::string_view::npos ||
            line.find("\"input_length\"") != std::string_view::npos);
  }
  std::unique_ptr<RequestSource> open(TraceInput input) const override {
    return std::make_unique<MooncakeSource>(options_, std::move(input));
  }

 private:
  Options options_;
};

const Register<TraceFormat, Mooncake> kRegistered(
    "mooncake", "Mooncake JSONL: lengths and a hash id for each 512 prompt tokens.");

}  // namespace

}  // namespace kvsim
