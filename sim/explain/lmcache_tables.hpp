// LMCache's options as data, after its lmcache/v1/config.py, lmcache/v1/multiprocess/config.py and
// lmcache/v1/distributed/config.py.
#pragma once

#include "sim/explain/option_table.hpp"

namespace kvsim {

[[nodiscard]] const OptionTable& lmcache_table();
[[nodiscard]] const OptionTable& lmcache_server_table();

}  // namespace kvsim
