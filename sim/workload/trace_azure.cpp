// Azure LLM inference traces of 2023 and 2024 (CSV).
//
//   TIMESTAMP,ContextTokens,GeneratedTokens
//   2023-11-16 18:15:46.6805900,374,44
//   2024-05-10 00:00:00.009930+00:00,2162,5
//
// Times are UTC and count from the first request. Nothing is known of content: every prompt is
// unique, so prefix caches never hit.
#include <charconv>
#include <chrono>
#include <optional>

#include "sim/workload/content_stream.hpp"
#include "sim/workload/csv_reader.hpp"
#include "sim/workload/trace_format.hpp"
#include "sim/workload/trace_source.hpp"

namespace kvsim {

namespace {

// Takes a number of exactly `digits` digits and one of the characters `after` off the text.
std::optional<int> take(std::string_view& text, std::size_t digits, std::string_view after) {
  int value = 0;
  if (text.size() < digits) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
  if (error != std::errc() || end != text.data() + digits) return std::nullopt;
  text.remove_prefix(digits);
  if (after.empty()) return value;
  if (text.empty() || after.find(text.front()) == std::string_view::npos) return std::nullopt;
  text.remove_prefix(1);
  return value;
}

// Nanoseconds since 1970 of "YYYY-MM-DD HH:MM:SS[.fraction][Z|+00:00]".
std::optional<std::int64_t> parse_utc(std::string_view text) {
  const auto year = take(text, 4, "-");
  const auto month = take(text, 2, "-");
  const auto day = take(text, 2, " T");
  const auto hour = take(text, 2, ":");
  const auto minute = take(text, 2, ":");
  const auto second = take(text, 2, "");
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  // Nanoseconds since 1970 fit until 2262.
  if (*year < 1970 || *year > 2200) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  std::int64_t nanoseconds =
      (((days * 24 + *hour) * 60 + *minute) * 60 + *second) * std::int64_t{1'000'000'000};
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    for (std::int64_t unit = 100'000'000; !text.empty() && text[0] >= '0' && text[0] <= '9';
         unit /= 10) {
      nanoseconds += (text[0] - '0') * unit;
      text.remove_prefix(1);
    }
  }
  if (!text.empty() && text != "Z" && text != "+00:00") return std::nullopt;
  return nanoseconds;
}

class AzureSource final : public TraceSource {
 public:
  explicit AzureSource(TraceInput input)
      : csv_(std::move(input.bytes)),
        time_(csv_.column("TIMESTAMP")),
        context_(csv_.column("ContextTokens")),
        generated_(csv_.column("GeneratedTokens")) {}

 protected:
  bool decode(Request& request) override {
    if (!csv_.next()) return false;
    const auto time = parse_utc(csv_.text(time_));
    if (!time) csv_.fail(time_, "UTC such as 2023-11-16 18:15:46.6805900");
    if (!first_) first_ = time;
    constexpr double kNanosecondsPerSecond = 1e9;
    request.arrival = Seconds(static_cast<double>(*time - *first_) / kNanosecondsPerSecond);
    const auto id = static_cast<std::uint64_t>(read_++);
    append_run(request.prompt,
               {content_stream(StreamKind::kPrompt, id), 0, csv_.integer(context_, 1)});
    request.output = Tokens(csv_.integer(generated_, 1));
    request.answer_stream = content_stream(StreamKind::kAnswer, id);
    return true;
  }
  std::string place() const override { return csv_.place(); }

 private:
  CsvReader csv_;
  std::size_t time_;
  std::size_t context_;
  std::size_t generated_;
  std::optional<std::int64_t> first_;
  std::int64_t read_ = 0;
};

class Azure final : public TraceFormat {
 public:
  using Options = NoOptions;
  Azure(const Options&, const Context&) {}

  bool recognises(std::string_view head) const override {
    return first_line(head).find("ContextTokens") != std::string_view::npos;
  }
  std::unique_ptr<RequestSource> open(TraceInput input) const override {
    return std::make_unique<AzureSource>(std::move(input));
  }
};

const Register<TraceFormat, Azure> kRegistered("azure",
                                               "Azure LLM traces 2023/2024: CSV of lengths.");

}  // namespace

}  // namespace kvsim
