#include "sim/report/requests_csv.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include "sim/base/check.hpp"
#include "sim/report/recorder.hpp"

namespace kvsim {

namespace {

// One row, field by field. Far larger than the longest: 30 fields of at most 20 characters.
class Row {
 public:
  void whole(std::int64_t value) {
    separate();
    digits(value);
  }
  void text(std::string_view value) {
    separate();
    for (const char c : value) buffer_[size_++] = c;
  }
  void time(Seconds value) {
    separate();
    constexpr std::int64_t kNano = 1'000'000'000;
    std::int64_t nanoseconds = std::llround(value.count() * 1e9);
    if (nanoseconds < 0) {
      buffer_[size_++] = '-';
      nanoseconds = -nanoseconds;
    }
    digits(nanoseconds / kNano);
    buffer_[size_++] = '.';
    std::int64_t rest = nanoseconds % kNano;
    for (int place = 8; place >= 0; --place, rest /= 10)
      buffer_[size_ + static_cast<std::size_t>(place)] = static_cast<char>('0' + rest % 10);
    size_ += 9;
  }
  void time(const std::optional<Seconds>& value) {
    if (value)
      time(*value);
    else
      separate();
  }
  std::string_view finish() {
    buffer_[size_++] = '\n';
    return {buffer_.data(), size_};
  }

 private:
  void separate() {
    if (size_ > 0) buffer_[size_++] = ',';
  }
  void digits(std::int64_t value) {
    char* const end = buffer_.data() + buffer_.size();
    size_ = static_cast<std::size_t>(std::to_chars(buffer_.data() + size_, end, value).ptr -
                                     buffer_.data());
  }

  std::array<char, 1024> buffer_;
  std::size_t size_ = 0;
};

}  // namespace

RequestsCsv::RequestsCsv(const std::string& path, const std::vector<std::string>& tiers,
                         const std::vector<std::string>& stages)
    : file_(path), tiers_(tiers.size()), stages_(stages.size()) {
  KV_CHECK(tiers_ <= RequestRecord().hit_tokens.size(), "{} tiers", tiers_);
  KV_CHECK(stages_ <= RequestRecord().fetch_stages.size(), "{} stages", stages_);
  file_.write("id,session,turn,replica,outcome,preemptions,input_tokens,output_tokens");
  for (const std::string& tier : tiers) file_.write(",hit_tokens_" + tier);
  file_.write(
      ",intended_s,sent_s,first_token_s,ended_s,ttft_s,tpot_s,e2e_s,queue_s,lookup_s,fetch_s,"
      "prefill_s,other_s");
  for (const std::string& stage : stages) file_.write(",fetch_" + stage + "_s");
  file_.write(",stage\n");
}

void RequestsCsv::finished(const RequestRecord& record) {
  std::optional<Seconds> first;
  std::optional<Seconds> ttft;
  if (record.first_token >= Seconds(0)) {
    first = record.first_token;
    ttft = record.first_token - record.sent;
  }
  Row row;
  row.whole(record.id);
  row.whole(record.session);
  row.whole(record.turn);
  row.whole(record.replica);
  row.text(outcome_name(record.outcome));
  row.whole(record.preemptions);
  row.whole(record.input_tokens);
  row.whole(record.output_tokens);
  for (std::size_t tier = 0; tier < tiers_; ++tier) row.whole(record.hit_tokens[tier]);
  row.time(record.intended);
  row.time(record.sent);
  row.time(first);
  row.time(record.ended);
  row.time(ttft);
  row.time(time_per_output_token(record));
  row.time(record.ended - record.sent);
  row.time(record.queue);
  row.time(record.lookup);
  row.time(record.fetch);
  row.time(record.prefill);
  row.time(record.other);
  for (std::size_t stage = 0; stage < stages_; ++stage) row.time(record.fetch_stages[stage]);
  row.whole(record.stage);
  file_.write(row.finish());
}

void RequestsCsv::close(const Json&) { file_.commit(); }

}  // namespace kvsim
