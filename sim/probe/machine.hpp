// What this process may use of the machine that it runs on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/units.hpp"

namespace kvsim {

// Cores, by affinity and by the quota of the control group (v1 or v2), at least 1.
std::int64_t usable_cores();
// Bytes of the largest cache; 32 MiB where the system does not say.
Bytes last_level_cache();
// Bytes that can be had without swapping (MemAvailable).
Bytes available_memory();
// The processor's name, "" where the system does not say.
std::string processor_name();

struct MemoryNode {
  int number = 0;
  std::vector<int> cpus;
};
// NUMA nodes that have cores; one of number 0 where the system does not say.
std::vector<MemoryNode> memory_nodes();
// The calling thread runs on these only, from now on. EnvironmentError when it may not.
void pin_to(const std::vector<int>& cpus);
// Where the calling thread may run.
std::vector<int> allowed_cpus();

}  // namespace kvsim
