// Any file with one request a line, CSV with a header or JSON: the options say which field is what.
//
//   arrival_s,input_tokens,output_tokens
//   0.00,591,140
//   0.05,589,48
//
// Times count from the first request's and must not decrease. Lengths are all that is known of
// content: prompts are unique, but for beginnings of `prefix_tokens` tokens that the requests of a
// group share; request i is of group i modulo `prefix_groups`.
#include <algorithm>
#include <optional>
#include <string>

#include "sim/workload/content_stream.hpp"
#include "sim/workload/record_lines.hpp"
#include "sim/workload/trace_format.hpp"
#include "sim/workload/trace_source.hpp"

namespace kvsim {

namespace {

struct ColumnsOptions {
  std::string arrival = "arrival_s";
  Seconds arrival_unit{1};
  std::string input = "input_tokens";
  std::string output = "output_tokens";
  std::int64_t unknown_input = 0;
  std::int64_t unknown_output = 1;
  std::int64_t prefix_tokens = 0;
  std::int64_t prefix_groups = 1;

  template <class F>
  void fields(F& f) {
    f.optional("arrival", arrival, "Field of the arrival.");
    f.optional("arrival_unit_s", arrival_unit, Range{1e-12, 1e6}, "What 1 is there.");
    f.optional("input", input, "Field of the prompt's tokens.");
    f.optional("output", output, "Field of the answer's tokens; 0 counts as 1.");
    f.optional("unknown_input", unknown_input, Range{0, 1e9},
               "Prompt tokens where the field says 0, as logs do of failed requests; 0: an error.");
    f.optional("unknown_output", unknown_output, Range{1, 1e9}, "Answer tokens of such requests.");
    f.optional("prefix_tokens", prefix_tokens, Range{0, 1e9}, "Beginning that a group shares.");
    f.optional("prefix_groups", prefix_groups, Range{1, 1e9}, "Groups.");
  }
};

class ColumnsSource final : public TraceSource {
 public:
  ColumnsSource(ColumnsOptions options, TraceInput input)
      : options_(std::move(options)), records_(std::move(input.bytes)) {}

 protected:
  bool decode(Request& request) override {
    if (!records_.next()) return false;
    const double arrival = records_.number(options_.arrival);
    if (!first_) first_ = arrival;
    request.arrival = (arrival - *first_) * options_.arrival_unit;
    std::int64_t length = records_.integer(options_.input, options_.unknown_input > 0 ? 0 : 1);
    const bool unknown = length == 0;
    if (unknown) length = options_.unknown_input;
    const std::int64_t shared = std::min(options_.prefix_tokens, length);
    const auto id = static_cast<std::uint64_t>(read_);
    const auto group = static_cast<std::uint64_t>(read_ % options_.prefix_groups);
    append_run(request.prompt, {content_stream(StreamKind::kShared, group), 0, shared});
    append_run(request.prompt, {content_stream(StreamKind::kPrompt, id), 0, length - shared});
    request.output = Tokens(unknown ? options_.unknown_output : output());
    request.answer_stream = content_stream(StreamKind::kAnswer, id);
    ++read_;
    return true;
  }
  std::string place() const override { return records_.place(); }

 private:
  [[nodiscard]] std::int64_t output() const {
    return std::max<std::int64_t>(records_.integer(options_.output, 0), 1);
  }

  ColumnsOptions options_;
  RecordLines records_;
  std::optional<double> first_;
  std::int64_t read_ = 0;
};

class Columns final : public TraceFormat {
 public:
  using Options = ColumnsOptions;
  Columns(Options options, const Context&) : options_(std::move(options)) {}

  // By its default names only: others must be given.
  bool recognises(std::string_view head) const override {
    const std::string_view line = first_line(head);
    const auto has = [line](std::string_view name) {
      return line.find(name) != std::string_view::npos;
    };
    return !line.starts_with('{') && has("arrival_s") && has("input_tokens") &&
           has("output_tokens");
  }
  std::unique_ptr<RequestSource> open(TraceInput input) const override {
    return std::make_unique<ColumnsSource>(options_, std::move(input));
  }

 private:
  Options options_;
};

const Register<TraceFormat, Columns> kRegistered(
    "columns", "Arrivals and lengths from any CSV or JSON lines, by field.");

}  // namespace

}  // namespace kvsim
