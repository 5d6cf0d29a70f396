// Request records for tests of the report.
#pragma once

#include "sim/report/request_record.hpp"

namespace kvsim {

// Sent at `sent`, first token `ttft` later, `output` tokens with `tpot` between them.
inline RequestRecord completed_record(std::int64_t id, double sent, double ttft, double tpot,
                                      std::int64_t output) {
  RequestRecord record;
  record.id = id;
  record.replica = 0;
  record.input_tokens = 100;
  record.output_tokens = output;
  record.hit_tokens = {32, 16, 0, 0};
  record.intended = Seconds(sent);
  record.sent = Seconds(sent);
  record.first_token = Seconds(sent + ttft);
  record.ended = Seconds(sent + ttft + tpot * static_cast<double>(output - 1));
  record.queue = Seconds(0.25 * ttft);
  record.fetch = Seconds(0.125 * ttft);
  record.fetch_stages[0] = record.fetch;
  record.prefill = Seconds(0.5 * ttft);
  record.other = record.first_token - record.sent - record.queue - record.fetch - record.prefill;
  return record;
}

// Gave up, was refused or was cut off `after` seconds, before its first token.
inline RequestRecord tokenless_record(std::int64_t id, double sent, double after, Outcome outcome) {
  RequestRecord record;
  record.id = id;
  record.outcome = outcome;
  record.input_tokens = 100;
  record.intended = Seconds(sent);
  record.sent = Seconds(sent);
  record.ended = Seconds(sent + after);
  return record;
}

}  // namespace kvsim
