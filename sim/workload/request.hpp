// What a client asks for: lengths, times, and the identity of every token.
//
// Token identity is what prefix caches live on. A prompt is a list of runs; a run is `length`
// consecutive tokens of a stream, so two prompts share a prefix exactly when their runs name the
// same (stream, offset) tokens. A trace reader gives equal content equal streams: one stream per
// Mooncake hash id, per shared system prompt, per literal token, per generated answer.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/units.hpp"

namespace kvsim {

struct ContentRun {
  std::uint64_t stream = 0;
  std::int64_t offset = 0;  // of the run's first token in its stream
  std::int64_t length = 0;  // tokens, > 0
  bool operator==(const ContentRun&) const = default;
};

// Appends a run, merged with the last one when it continues it, so that equal content always has
// equal runs. A run of length 0 is ignored.
inline void append_run(std::vector<ContentRun>& content, const ContentRun& run) {
  if (run.length <= 0) return;
  if (!content.empty()) {
    ContentRun& last = content.back();
    if (last.stream == run.stream && last.offset + last.length == run.offset) {
      last.length += run.length;
      return;
    }
  }
  content.push_back(run);
}

struct Request {
  std::int64_t id = 0;        // position in the workload, from 0
  Seconds arrival{0};         // intended sending time, from the start of the run
  Tokens input{0};            // prompt tokens, > 0; equals the sum of the runs of `prompt`
  Tokens output{0};           // generated tokens, > 0
  std::int64_t session = -1;  // turns of one conversation share it; -1 = none
  std::int32_t turn = 0;      // 0, 1, ... within the session
  bool last_turn = false;     // the source knows that no later turn follows
  Seconds think{0};           // turn > 0: pause after the answer to the turn before it
  std::int32_t priority = 0;  // lower is served first where a scheduler looks at it
  std::int32_t llm = 0;       // which of the deployment's LLMs it asks for
  std::int32_t tenant = 0;    // whose it is, where admission looks at it
  std::int32_t stage = 0;     // of the experiment, which sends it
  std::vector<ContentRun> prompt;
  std::uint64_t answer_stream = 0;  // generated token i is (answer_stream, i), ...
  std::vector<ContentRun> answer;   // ... unless its content is known: then runs of `output` tokens
};

}  // namespace kvsim
