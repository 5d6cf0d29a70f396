// Kvrocks options that defeat each other, computed from their values and defaults.
#pragma once

#include "sim/explain/explanation.hpp"
#include "sim/explain/option_table.hpp"

namespace kvsim {

// Appends to out.contradictions and out.notes.
void check_kvrocks(const OptionReader& options, Explanation& out);

// Bytes of the block cache that string values share, whichever options state it.
[[nodiscard]] double kvrocks_block_cache_bytes(const OptionReader& options);

}  // namespace kvsim
