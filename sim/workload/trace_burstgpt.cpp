// BurstGPT (CSV), current and v1.1 (without Session ID and Elapsed time).
//
//   Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
//   5,1,3.1,ChatGPT,472,18,490,Conversation log
//
// Timestamp: seconds from midnight of the first day. Requests of one session wait for the answer to
// the one before; an empty session id is none. Nothing is known of content: every prompt is unique.
// A response of 0 tokens is a request that failed. The model's name is not used.
#include <fmt/format.h>

#include "sim/workload/content_stream.hpp"
#include "sim/workload/csv_reader.hpp"
#include "sim/workload/session_numbers.hpp"
#include "sim/workload/trace_format.hpp"
#include "sim/workload/trace_source.hpp"

namespace kvsim {

namespace {

struct BurstGptOptions {
  std::string failures = "drop";
  bool sessions = true;
  template <class F>
  void fields(F& f) {
    f.choice("failures", failures, {"drop", "keep"},
             "Requests with a response of 0 tokens; kept ones generate 1 token.");
    f.optional("sessions", sessions, "A session's requests wait for the answer before.");
  }
};

class BurstGptSource final : public TraceSource {
 public:
  BurstGptSource(const BurstGptOptions& options, TraceInput input)
      : options_(options),
        warn_(std::move(input.warn)),
        csv_(std::move(input.bytes)),
        time_(csv_.column("Timestamp")),
        request_(csv_.column("Request tokens")),
        response_(csv_.column("Response tokens")),
        session_(csv_.find_column("Session ID")) {}

 protected:
  bool decode(Request& request) override {
    std::int64_t output = 0;
    do {
      if (!csv_.next()) return finish();
      output = csv_.integer(response_, 0);
      dropped_ += output == 0 && options_.failures == "drop" ? 1 : 0;
    } while (output == 0 && options_.failures == "drop");
    request.arrival = Seconds(csv_.number(time_, 0));
    const auto id = static_cast<std::uint64_t>(read_++);
    append_run(request.prompt,
               {content_stream(StreamKind::kPrompt, id), 0, csv_.integer(request_, 1)});
    request.output = Tokens(std::max<std::int64_t>(output, 1));
    request.answer_stream = content_stream(StreamKind::kAnswer, id);
    if (options_.sessions && session_ && !csv_.text(*session_).empty())
      sessions_.number(std::string(csv_.text(*session_)), request);
    return true;
  }
  std::string place() const override { return csv_.place(); }

 private:
  bool finish() {
    if (dropped_ > 0)
      warn_(fmt::format("{}: {} failed requests dropped (a response of 0 tokens)", csv_.place(),
                        dropped_));
    dropped_ = 0;
    return false;
  }

  BurstGptOptions options_;
  std::function<void(const std::string&)> warn_;
  CsvReader csv_;
  std::size_t time_;
  std::size_t request_;
  std::size_t response_;
  std::optional<std::size_t> session_;
  SessionNumbers sessions_;
  std::int64_t read_ = 0;
  std::int64_t dropped_ = 0;
};

class BurstGpt final : public TraceFormat {
 public:
  using Options = BurstGptOptions;
  BurstGpt(const Options& options, const Context&) : options_(options) {}

  bool recognises(std::string_view head) const override {
    return first_line(head).find("Request tokens") != std::string_view::npos;
  }
  std::unique_ptr<RequestSource> open(TraceInput input) const override {
    return std::make_unique<BurstGptSource>(options_, std::move(input));
  }

 private:
  Options options_;
};

const Register<TraceFormat, BurstGpt> kRegistered("burstgpt",
                                                  "BurstGPT: CSV of lengths and sessions.");

}  // namespace

}  // namespace kvsim
