#include "sim/report/result_pb.hpp"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/delimited_message_util.h>

#include "sim/base/check.hpp"
#include "sim/report/result.pb.h"

namespace kvsim {

namespace {

void write_item(OutputFile& file, std::string& buffer, const result::Item& item) {
  buffer.clear();
  {
    google::protobuf::io::StringOutputStream stream(&buffer);
    KV_CHECK(google::protobuf::util::SerializeDelimitedToZeroCopyStream(item, &stream));
  }
  file.write(buffer);
}

result::Outcome outcome_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCompleted:
      return result::COMPLETED;
    case Outcome::kRefused:
      return result::REFUSED;
    case Outcome::kFailed:
      return result::FAILED;
    case Outcome::kTimedOut:
      return result::TIMED_OUT;
    case Outcome::kUnfinished:
      return result::UNFINISHED;
  }
  KV_CHECK(false, "outcome {}", static_cast<int>(outcome));
}

}  // namespace

ResultPb::ResultPb(const std::string& path, const RunProvenance& provenance,
                   const std::vector<std::string>& tiers, const Json& config,
                   const std::vector<std::string>& stages)
    : file_(path), tiers_(tiers.size()), stages_(stages.size()) {
  KV_CHECK(tiers_ <= RequestRecord().hit_tokens.size(), "{} tiers", tiers_);
  KV_CHECK(stages_ <= RequestRecord().fetch_stages.size(), "{} stages", stages_);
  result::Item item;
  result::Header& header = *item.mutable_header();
  header.set_schema("kvsim.result/1");
  header.set_version(provenance.version);
  header.set_config_sha256(provenance.config_sha256);
  header.set_seed(provenance.seed);
  for (const std::string& profile : provenance.profiles) header.add_profiles(profile);
  for (const std::string& profile : provenance.assumed_profiles)
    header.add_assumed_profiles(profile);
  for (const std::string& tier : tiers) header.add_tiers(tier);
  header.set_config_json(config.dump());
  for (const std::string& stage : stages) header.add_fetch_stages(stage);
  write_item(file_, buffer_, item);
}

void ResultPb::finished(const RequestRecord& record) {
  result::Item item;
  result::RequestEnd& out = *item.mutable_request();
  out.set_id(record.id);
  if (record.session >= 0) out.set_session(record.session);
  out.set_turn(record.turn);
  if (record.replica >= 0) out.set_replica(record.replica);
  out.set_outcome(outcome_of(record.outcome));
  out.set_preemptions(record.preemptions);
  out.set_input_tokens(record.input_tokens);
  out.set_output_tokens(record.output_tokens);
  for (std::size_t tier = 0; tier < tiers_; ++tier) out.add_hit_tokens(record.hit_tokens[tier]);
  out.set_intended_s(record.intended.count());
  out.set_sent_s(record.sent.count());
  if (record.first_token >= Seconds(0)) out.set_first_token_s(record.first_token.count());
  out.set_ended_s(record.ended.count());
  out.set_queue_s(record.queue.count());
  out.set_lookup_s(record.lookup.count());
  out.set_fetch_s(record.fetch.count());
  out.set_prefill_s(record.prefill.count());
  out.set_other_s(record.other.count());
  for (std::size_t stage = 0; stage < stages_; ++stage)
    out.add_fetch_stages_s(record.fetch_stages[stage].count());
  out.set_stage(record.stage);
  write_item(file_, buffer_, item);
}

void ResultPb::close(const Json& summary) {
  result::Item item;
  item.mutable_trailer()->set_summary_json(summary.dump());
  write_item(file_, buffer_, item);
  file_.commit();
}

}  // namespace kvsim
