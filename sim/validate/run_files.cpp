#include "sim/validate/run_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include "sim/base/config_node.hpp"
#include "sim/base/errors.hpp"

namespace kvsim {

namespace {

std::string content(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  if (!in || !(out << in.rdbuf()))
    throw TraceError(fmt::format("{}:1: found no readable text; allowed: a run's requests", file));
  return std::move(out).str();
}

Outcome outcome_of(std::string_view word) {
  if (word == "completed") return Outcome::kCompleted;
  if (word == "refused") return Outcome::kRefused;
  if (word == "failed") return Outcome::kFailed;
  if (word == "timed_out") return Outcome::kTimedOut;
  return Outcome::kUnfinished;
}

template <class T>
T number(std::string_view text, T none) {
  T value = none;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return text.empty() ? none : value;
}

// Columns by the header, then one line after the other.
class RequestLines {
 public:
  explicit RequestLines(const std::string& file) : file_(file), text_(content(file)), rest_(text_) {
    (void)split();
    const std::vector<std::string_view> header = fields_;
    columns_ = {
        find(header, "outcome"), find(header, "input_tokens"),  find(header, "output_tokens"),
        find(header, "sent_s"),  find(header, "first_token_s"), find(header, "ended_s"),
        find(header, "queue_s"), find(header, "fetch_s"),       find(header, "id")};
    const auto stage = std::find(header.begin(), header.end(), "stage");
    if (stage != header.end()) stage_ = static_cast<std::size_t>(stage - header.begin());
    for (std::size_t i = 0; i < header.size(); ++i)
      if (header[i].starts_with("hit_tokens_")) hits_.push_back(i);
    hits_.resize(std::min(hits_.size(), RequestRecord().hit_tokens.size()));
    width_ = header.size();
  }

  // The next request and its stage; false at the end.
  bool next(RequestRecord& record, std::size_t& stage) {
    if (!split()) return false;
    if (fields_.size() != width_)
      throw TraceError(
          fmt::format("{}: found a line of {} fields; allowed: {}", file_, fields_.size(), width_));
    record = RequestRecord();
    record.id = number<std::int64_t>(fields_[columns_[8]], 0);
    record.outcome = outcome_of(fields_[columns_[0]]);
    record.input_tokens = number<std::int64_t>(fields_[columns_[1]], 0);
    record.output_tokens = number<std::int64_t>(fields_[columns_[2]], 0);
    record.sent = Seconds(number<double>(fields_[columns_[3]], 0));
    record.first_token = Seconds(number<double>(fields_[columns_[4]], -1));
    record.ended = Seconds(number<double>(fields_[columns_[5]], 0));
    record.queue = Seconds(number<double>(fields_[columns_[6]], 0));
    record.fetch = Seconds(number<double>(fields_[columns_[7]], 0));
    for (std::size_t tier = 0; tier < hits_.size(); ++tier)
      record.hit_tokens[tier] = number<std::int64_t>(fields_[hits_[tier]], 0);
    stage = stage_ ? number<std::size_t>(fields_[*stage_], 0) : 0;
    return true;
  }

 private:
  std::size_t find(const std::vector<std::string_view>& header, std::string_view name) const {
    const auto found = std::find(header.begin(), header.end(), name);
    if (found == header.end())
      throw TraceError(
          fmt::format("{}:1: found no column \"{}\"; allowed: requests.csv of a run", file_, name));
    return static_cast<std::size_t>(found - header.begin());
  }

  bool split() {
    fields_.clear();
    if (rest_.empty()) return false;
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    for (std::size_t comma = 0; comma != std::string_view::npos;) {
      comma = line.find(',');
      fields_.push_back(line.substr(0, comma));
      if (comma != std::string_view::npos) line.remove_prefix(comma + 1);
    }
    return true;
  }

  const std::string& file_;
  std::string text_;
  std::string_view rest_;
  std::vector<std::string_view> fields_;
  std::vector<std::size_t> columns_;
  std::vector<std::size_t> hits_;
  std::optional<std::size_t> stage_;
  std::size_t width_ = 0;
};

double duration_s(const Json& experiment, std::size_t stage) {
  const auto in_load = [](const Json& json) -> double {
    if (!json.contains("load") || !json.at("load").is_object()) return 0;
    return json.at("load").value("duration_s", 0.0);
  };
  if (experiment.contains("stages") && stage < experiment.at("stages").size())
    if (const double own = in_load(experiment.at("stages").at(stage)); own > 0) return own;
  return in_load(experiment);
}

}  // namespace

std::vector<StageOutcome> read_run(const std::string& folder, const Json& experiment) {
  const Json summary = load_json(folder + "/summary.json");
  std::vector<StageOutcome> out;
  if (summary.contains("stages")) {
    for (const Json& stage : summary.at("stages"))
      out.push_back({stage.at("name").get<std::string>(),
                     Seconds(stage.at("begin_s").get<double>()),
                     Seconds(stage.at("end_s").get<double>()),
                     Seconds(0),
                     {}});
  } else {
    out.emplace_back();
  }
  for (std::size_t i = 0; i < out.size(); ++i) out[i].duration = Seconds(duration_s(experiment, i));
  const std::string file = folder + "/requests.csv";
  RequestLines lines(file);
  RequestRecord record;
  for (std::size_t stage = 0; lines.next(record, stage);) {
    if (stage >= out.size())
      throw TraceError(fmt::format("{}: found a request of stage {}; allowed: {} stages", file,
                                   stage, out.size()));
    out[stage].requests.push_back(record);
    // Without stages the run ends with its last request.
    if (!summary.contains("stages")) out[0].end = std::max(out[0].end, record.ended);
  }
  return out;
}

}  // namespace kvsim
