// Flags of vLLM that defeat each other, or that the simulator's user should know about together.
#pragma once

#include "sim/explain/explanation.hpp"
#include "sim/explain/option_table.hpp"

namespace kvsim {

// Appends to out.contradictions and out.notes; out.config is complete.
void check_vllm(const OptionReader& flags, Explanation& out);

}  // namespace kvsim
