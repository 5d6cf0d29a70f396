// Configuration files of real systems in an experiment, in place of our own keys:
//
//   a store       "kvrocks_conf": "kvrocks.conf", "redis_conf": "redis.conf"
//   a connector   "lmcache_yaml": "lmcache.yaml"
//   a pool        "vllm_args": "--max-num-seqs 256 ...", the text or a file that holds it
//   the router    "epp_yaml": "epp.yaml", llm-d's EndpointPickerConfig
//                 "dynamo_args": "--router-mode kv ...", the text or a file that holds it
//
// The last two may also stand at the top of the experiment. What they say of prefill and decode
// apart becomes its "disaggregation".
//
// Each is translated (sim/explain), put under the keys that stand beside it (ours win) and taken
// out, before anything is checked. Paths are relative to the experiment's file. LMCache's store is
// the one called like the scheme of its URL; where there is none, the only store that there is.
#pragma once

#include <string>

#include "sim/base/json.hpp"

namespace kvsim {

// What a reader must know (contradictions, options that are ignored or not modelled) is appended to
// the experiment's "warnings". Throws ConfigError naming the file for what it cannot read, and for
// a value that the real system would refuse.
[[nodiscard]] Json with_real_configurations(Json experiment, const std::string& file);

}  // namespace kvsim
