// LLMServingSim JSONL: flat requests and sessions of tool calls, also mixed in one file.
//
//   {"input_toks": 3, "output_toks": 2, "arrival_time_ns": 46926808, "input_tok_ids": [7, 9, 4],
//    "output_tok_ids": [5, 6]}
//   {"session_id": "a", "arrival_time_ns": 0, "sub_requests": [
//     {"input_toks": 100, "output_toks": 9, "tool_duration_ns": 2000000},
//     {"input_toks": 150, "output_toks": 9, "tool_duration_ns": 0}]}
//
// With literal tokens, prompts share what their tokens share, answers included. Without them a flat
// prompt is unique; a session's prompt is the one before it, its answer and new content, or wholly
// new when it is too short for that. tool_duration is the pause after a call: the think time of the
// turn after it. All turns of a session carry the session's arrival.
#include "sim/workload/content_stream.hpp"
#include "sim/workload/json_line.hpp"
#include "sim/workload/session_numbers.hpp"
#include "sim/workload/trace_format.hpp"
#include "sim/workload/trace_source.hpp"

namespace kvsim {

namespace {

class LlmServingSimSource final : public TraceSource {
 public:
  explicit LlmServingSimSource(TraceInput input)
      : lines_(std::move(input.bytes)),
        unknown_({"input_toks", "output_toks", "arrival_time_ns", "input_tok_ids", "output_tok_ids",
                  "session_id", "sub_requests", "tool_duration_ns"},
                 std::move(input.warn)) {}

 protected:
  bool decode(Request& request) override {
    if (turn_ == turns_.size() && !read_line()) return false;
    const JsonObject line(line_, lines_);
    request.arrival = Seconds(line.number({"arrival_time_ns"}) / 1e9);
    const bool session = line.find({"sub_requests"}) != nullptr;
    const JsonObject call(session ? turns_[turn_] : line_, lines_);
    if (session) {
      sessions_.number(session_, request);
      request.last_turn = turn_ + 1 == turns_.size();
      if (turn_ > 0) request.think = tool_time(JsonObject(turns_[turn_ - 1], lines_));
    }
    read_call(call, request);
    ++turn_;
    return true;
  }
  std::string place() const override { return lines_.place(); }

 private:
  bool read_line() {
    std::string_view text;
    if (!lines_.next(text)) return false;
    line_ = parse_json_line(text, lines_);
    const JsonObject line(line_, lines_);
    unknown_.look(line_, lines_);
    turn_ = 0;
    history_.clear();
    history_tokens_ = 0;
    const nlohmann::json* calls = line.find({"sub_requests"});
    if (calls == nullptr) {
      turns_.assign(1, nullptr);
      return true;
    }
    if (!calls->is_array() || calls->empty())
      line.fail("sub_requests", "no calls", "a list of at least one");
    turns_ = calls->get<std::vector<nlohmann::json>>();
    // Sessions need no name; one that comes twice is two.
    session_ = lines_.place();
    for (const nlohmann::json& call : turns_) {
      if (call.is_object()) unknown_.look(call, lines_);
    }
    return true;
  }

  static Seconds tool_time(const JsonObject& call) {
    if (call.find({"tool_duration_ns"}) == nullptr) return Seconds(0);
    return Seconds(call.number({"tool_duration_ns"}) / 1e9);
  }

  void read_call(const JsonObject& call, Request& request) {
    const auto id = static_cast<std::uint64_t>(read_++);
    request.input = Tokens(call.integer({"input_toks"}, 1));
    request.output = Tokens(call.integer({"output_toks"}, 1));
    request.answer_stream = content_stream(StreamKind::kAnswer, id);
    if (call.list("output_tok_ids", tokens_)) append_tokens(request.answer);
    if (call.list("input_tok_ids", tokens_)) {
      append_tokens(request.prompt);
    } else {
      if (history_tokens_ <= request.input.count()) request.prompt = history_;
      const std::int64_t known = request.prompt.empty() ? 0 : history_tokens_;
      append_run(request.prompt,
                 {content_stream(StreamKind::kPrompt, id), 0, request.input.count() - known});
    }
    history_ = request.prompt;
    if (request.answer.empty())
      append_run(history_, {request.answer_stream, 0, request.output.count()});
    history_.insert(history_.end(), request.answer.begin(), request.answer.end());
    history_tokens_ = request.input.count() + request.output.count();
  }

  void append_tokens(std::vector<ContentRun>& content) const {
    for (const std::uint64_t token : tokens_)
      append_run(content, {content_stream(StreamKind::kToken, token), 0, 1});
  }

  LineReader lines_;
  UnknownKeys unknown_;
  SessionNumbers sessions_;
  nlohmann::json line_;
  std::vector<nlohmann::json> turns_;  // the calls of the line; one null for a flat request
  std::size_t turn_ = 0;               // the next of them
  std::string session_;
  std::vector<ContentRun> history_;  // prompt and answer of the turn before
  std::int64_t history_tokens_ = 0;
  std::vector<std::uint64_t> tokens_;
  std::int64_t read_ = 0;
};

class LlmServingSim final : public TraceFormat {
 public:
  using Options = NoOptions;
  LlmServingSim(const Options&, const Context&) {}

  bool recognises(std::string_view head) const override {
    // The first key may stand behind thousands of tokens, but not in every tool's order.
    return head.find('{') != std::string_view::npos &&
           (head.find("\"input_toks\"") != std::string_view::npos ||
            head.find("\"input_tok_ids\"") != std::string_view::npos ||
            head.find("\"sub_requests\"") != std::string_view::npos);
  }
  std::unique_ptr<RequestSource> open(TraceInput input) const override {
    return std::make_unique<LlmServingSimSource>(std::move(input));
  }
};

const Register<TraceFormat, LlmServingSim> kRegistered(
    "llmservingsim", "LLMServingSim JSONL: literal tokens, or sessions of tool calls.");

}  // namespace

}  // namespace kvsim
