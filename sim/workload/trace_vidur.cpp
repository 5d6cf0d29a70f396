// Vidur (CSV).
//
//   arrived_at,num_prefill_tokens,num_decode_tokens
//   0.13,2048,128
//
// arrived_at: seconds. Length files lack it: every request then arrives at 0, which suits a load
// that makes arrivals of its own. Other columns are not used. Nothing is known of content: every
// prompt is unique.
#include "sim/workload/content_stream.hpp"
#include "sim/workload/csv_reader.hpp"
#include "sim/workload/trace_format.hpp"
#include "sim/workload/trace_source.hpp"

namespace kvsim {

namespace {

class VidurSource final : public TraceSource {
 public:
  explicit VidurSource(TraceInput input)
      : csv_(std::move(input.bytes)),
        time_(csv_.find_column("arrived_at")),
        prefill_(csv_.column("num_prefill_tokens")),
        decode_(csv_.column("num_decode_tokens")) {}

 protected:
  bool decode(Request& request) override {
    if (!csv_.next()) return false;
    if (time_) request.arrival = Seconds(csv_.number(*time_, 0));
    const auto id = static_cast<std::uint64_t>(read_++);
    append_run(request.prompt,
               {content_stream(StreamKind::kPrompt, id), 0, csv_.integer(prefill_, 1)});
    request.output = Tokens(csv_.integer(decode_, 1));
    request.answer_stream = content_stream(StreamKind::kAnswer, id);
    return true;
  }
  std::string place() const override { return csv_.place(); }

 private:
  CsvReader csv_;
  std::optional<std::size_t> time_;
  std::size_t prefill_;
  std::size_t decode_;
  std::int64_t read_ = 0;
};

class Vidur final : public TraceFormat {
 public:
  using Options = NoOptions;
  Vidur(const Options&, const Context&) {}

  bool recognises(std::string_view head) const override {
    return first_line(head).find("num_prefill_tokens") != std::string_view::npos;
  }
  std::unique_ptr<RequestSource> open(TraceInput input) const override {
    return std::make_unique<VidurSource>(std::move(input));
  }
};

const Register<TraceFormat, Vidur> kRegistered("vidur", "Vidur: CSV of lengths.");

}  // namespace

}  // namespace kvsim
