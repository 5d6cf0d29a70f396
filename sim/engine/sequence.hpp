// A request inside an engine.
#pragma once

#include <cstdint>

#include "sim/kv/connector.hpp"
#include "sim/report/request_record.hpp"
#include "sim/workload/request.hpp"

namespace kvsim {

struct Sequence : KvSequence {
  enum class State : std::uint8_t {
    kWaiting,
    kLoading,     // waiting for KV from a lower tier (vLLM's WAITING_FOR_REMOTE_KVS)
    kPrefill,     // running, more than one token to compute
    kDecode,      // running, one token a step
    kCompleting,  // running, its last token is in a planned step
    kEnded,
  };

  RequestRecord record;
  State state = State::kWaiting;
  bool looked_up = false;    // hits are taken; after a load: its blocks are in place
  bool aborted = false;      // leaves when the load under way has arrived
  bool blocks_held = false;  // its last token is planned: its blocks are no request's any more
  Outcome abort_outcome = Outcome::kTimedOut;

  // Progress as of planning, not of execution (spec/vllm.md section 1.4).
  std::int64_t computed = 0;    // tokens with KV; for kDecode see DecodeSet::computed
  std::int64_t produced = 0;    // answer tokens in planned steps; for kDecode see DecodeSet
  std::int64_t chunk_from = 0;  // where its last planned prompt chunk begins
  std::int64_t hashed = 0;      // leading blocks in the prefix cache's table
  std::int64_t lost = 0;        // tokens with KV when it was preempted last
  std::int64_t order = 0;       // admission order: place in the running list

  // Decode bookkeeping: token computed in step s is s + shift.
  std::int64_t shift = 0;
  std::int32_t bucket_slot = -1;
  std::int32_t below_slot = -1;  // in the list of those shorter than the sliding window
  std::uint32_t epoch = 0;       // outdates entries of the finish heap

  // Waiting list links.
  Sequence* previous = nullptr;
  Sequence* next = nullptr;

  Seconds received{-1};  // by the engine
  Seconds first_scheduled{-1};
  Seconds last_token{-1};
  Seconds load_began{-1};
  std::int64_t load_to = 0;   // end of the prefix that the latest load promised
  Seconds fetched_before{0};  // part of record.fetch that lies before first_scheduled
  Seconds lookup_before{0};   // the same of lookup_time

  // What a connector brought into DRAM while this waited counts as fetching, before a first token
  // (which another replica may have given).
  void take_prefetched() {
    for (std::size_t i = 0; i < kStages && record.first_token < Seconds(0); ++i) {
      record.fetch += prefetched.seconds[i];
      record.fetch_stages[i] += prefetched.seconds[i];
    }
    prefetched = {};
  }
  [[nodiscard]] std::int64_t known() const { return prompt_tokens + produced; }
};

}  // namespace kvsim
