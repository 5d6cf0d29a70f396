// The options of LMCache, in-process and multiprocess, wherever they are written: YAML,
// environment, or command line.
#pragma once

#include "sim/explain/option_table.hpp"

namespace kvsim {

// Explains `options`, whose names are as in LMCache's YAML with nested ones joined by dots
// ("extra_config.use_mset"), and writes a connector into out.config: "lmcache", or "lmcache-mp"
// when an option of the multiprocess server is among them. Adds contradictions and notes.
void explain_lmcache(const std::vector<NamedValue>& options, Explanation& out);

// The same for options that are known to be the multiprocess server's.
void explain_lmcache_server(const std::vector<NamedValue>& options, Explanation& out);

// Whether the name is one of LMCache's.
[[nodiscard]] bool is_lmcache_option(const std::string& name);
[[nodiscard]] bool is_lmcache_server_option(const std::string& name);

}  // namespace kvsim
