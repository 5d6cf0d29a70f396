// Valkey: see memory_store.hpp. The same process model as Redis; what differs is how it is set up:
// threads for the sockets, which also parse. Its own default is 1 thread; 9 is what its authors
// show it with (Valkey 8: 8 I/O threads beside the main one), so say which you run.
#include "sim/base/registry.hpp"
#include "sim/store/memory_store.hpp"

namespace kvsim {
namespace {

class Valkey final : public MemoryStore {
 public:
  struct Options : MemoryStoreOptions {
    Options() { io_threads = 9; }
  };
  Valkey(const Options& options, const Context& context) : MemoryStore(options, context) {}
};

const Register<Store, Valkey> kRegistered(
    "valkey", "Valkey: values in DRAM, threads for the sockets, one thread that executes.");

}  // namespace
}  // namespace kvsim
