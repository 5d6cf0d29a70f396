// Redis: see memory_store.hpp. As shipped, one thread does everything, copies included.
#include "sim/base/registry.hpp"
#include "sim/store/memory_store.hpp"

namespace kvsim {
namespace {
const Register<Store, MemoryStore> kRegistered(
    "redis", "Redis: values in DRAM, one thread for all, or io_threads for its sockets.");
}
}  // namespace kvsim
