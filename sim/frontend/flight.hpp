// A request on its way through the frontend: what the engine knows of it, and where it is. With
// prefill and decode apart a request is two of them: its decode half is the request's own, which
// has its record.
#pragma once

#include "sim/engine/sequence.hpp"
#include "sim/frontend/replica.hpp"

namespace kvsim {

struct Flight : Sequence {
  enum class Place : std::uint8_t {
    kUnused,
    kGateway,    // the gateway works on it
    kLookup,     // its router asks an index that lies elsewhere
    kHeld,       // by admission
    kPrefill,    // its other half is computing the prompt, or the result is on its way back
    kApiServer,  // of its replica
    kEngine,
    kRetry,  // waits before it is sent again
  };
  Place place = Place::kUnused;
  Replica* replica = nullptr;
  std::int32_t choice = -1;  // its replica's index among those that its router chooses from
  bool prefill_half = false;
  bool cancelled = false;        // recorded and told; only its engine has to forget it
  bool told_first = false;       // its router has heard of its first token
  Flight* other_half = nullptr;  // while that lives
  std::int32_t attempts = 0;
  std::int64_t visit = 0;  // which wait at a station this is; 0 = none
  // Answer tokens that the prefill half gives instead of the decode half; and those of it that have
  // come.
  std::int64_t taken = 0;
  std::int64_t answered = 0;
  Seconds prompt_computed{-1};                 // by the prefill half
  Seconds fetched_by_half{0};                  // part of record.fetch
  std::array<std::int64_t, 4> prefill_hits{};  // in terms of the run's tiers
};

}  // namespace kvsim
