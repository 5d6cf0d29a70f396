// Any CSV file with a header and one request a line: the options say which column is what.
//
//   arrival_s,input_tokens,output_tokens
//   0.00,591,140
//   0.05,589,48
//
// Times count from the file's own zero and must not decrease. Lengths are all that is known of
// content: prompts are unique, but for beginnings of `prefix_tokens` tokens that the requests of a
// group share; request i is of group i modulo `prefix_groups`.
#include <algorithm>
#include <string>

#include "sim/workload/content_stream.hpp"
#include "sim/workload/csv_reader.hpp"
#include "sim/workload/trace_format.hpp"
#include "sim/workload/trace_source.hpp"

namespace kvsim {

namespace {

struct ColumnsOptions {
  std::string arrival = "arrival_s";
  Seconds arrival_unit{1};
  std::string input = "input_tokens";
  std::string output = "output_tokens";
  std::int64_t prefix_tokens = 0;
  std::int64_t prefix_groups = 1;

  template <class F>
  void fields(F& f) {
    f.optional("arrival", arrival, "Column of the arrival.");
    f.optional("arrival_unit_s", arrival_unit, Range{1e-12, 1e6}, "What 1 is there.");
    f.optional("input", input, "Column of the prompt's tokens.");
    f.optional("output", output, "Column of the answer's tokens; 0 counts as 1.");
    f.optional("prefix_tokens", prefix_tokens, Range{0, 1e9}, "Beginning that a group shares.");
    f.optional("prefix_groups", prefix_groups, Range{1, 1e9}, "Groups.");
  }
};

class ColumnsSource final : public TraceSource {
 public:
  ColumnsSource(const ColumnsOptions& options, TraceInput input)
      : options_(options),
        csv_(std::move(input.bytes)),
        arrival_(csv_.column(options.arrival)),
        input_(csv_.column(options.input)),
        output_(csv_.column(options.output)) {}

 protected:
  bool decode(Request& request) override {
    if (!csv_.next()) return false;
    request.arrival = csv_.number(arrival_, 0) * options_.arrival_unit;
    const std::int64_t length = csv_.integer(input_, 1);
    const std::int64_t shared = std::min(options_.prefix_tokens, length);
    const auto id = static_cast<std::uint64_t>(read_);
    const auto group = static_cast<std::uint64_t>(read_ % options_.prefix_groups);
    append_run(request.prompt, {content_stream(StreamKind::kShared, group), 0, shared});
    append_run(request.prompt, {content_stream(StreamKind::kPrompt, id), 0, length - shared});
    request.output = Tokens(std::max<std::int64_t>(csv_.integer(output_, 0), 1));
    request.answer_stream = content_stream(StreamKind::kAnswer, id);
    ++read_;
    return true;
  }
  std::string place() const override { return csv_.place(); }

 private:
  ColumnsOptions options_;
  CsvReader csv_;
  std::size_t arrival_;
  std::size_t input_;
  std::size_t output_;
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
    return has("arrival_s") && has("input_tokens") && has("output_tokens");
  }
  std::unique_ptr<RequestSource> open(TraceInput input) const override {
    return std::make_unique<ColumnsSource>(options_, std::move(input));
  }

 private:
  Options options_;
};

const Register<TraceFormat, Columns> kRegistered("columns",
                                                 "Any CSV of arrivals and lengths, by column.");

}  // namespace

}  // namespace kvsim
