// requests.csv: one row per request in the order of ending, streamed.
//
// Columns: id, session (-1 = none), turn, replica (-1 = none), outcome, preemptions, input_tokens,
// output_tokens, hit_tokens_<tier>..., then simulated times in seconds with 9 decimals: intended_s,
// sent_s, first_token_s, ended_s, and durations ttft_s, tpot_s, e2e_s, queue_s, lookup_s, fetch_s,
// prefill_s, other_s, fetch_<stage>_s..., and stage (of the experiment; 0 without stages). What a
// request did not reach is an empty field.
//
// queue_s + lookup_s + fetch_s + prefill_s + other_s = ttft_s; the fetch_<stage>_s add up to
// fetch_s.
#pragma once

#include <string>
#include <vector>

#include "sim/report/output_file.hpp"
#include "sim/report/request_sink.hpp"

namespace kvsim {

class RequestsCsv final : public RequestSink {
 public:
  // `tiers` names RequestRecord::hit_tokens from its first on, `stages` names its fetch_stages; at
  // most as many as it holds.
  RequestsCsv(const std::string& path, const std::vector<std::string>& tiers,
              const std::vector<std::string>& stages = {});
  void finished(const RequestRecord& record) override;
  void close(const Json& summary) override;

 private:
  OutputFile file_;
  std::size_t tiers_;
  std::size_t stages_;
};

}  // namespace kvsim
