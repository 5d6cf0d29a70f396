// Does one kind of operation for real, on this machine: what `kvsim calibrate` measures with and
// what a live lane runs. The only code that sees the wall clock, beside the command line.
//
// A bench checks that data came back as it went (EnvironmentError when not), cleans up after
// itself, and touches nothing that it did not create.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/probe/measure.hpp"
#include "sim/probe/sample.hpp"
#include "sim/probe/scratch.hpp"

namespace kvsim {

class Bench {
 public:
  static constexpr const char* kPlugin = "bench";
  struct Context {
    Scratch& scratch;  // for its files and servers
  };

  virtual ~Bench() = default;
  // Names of what it can do: "put", "get/memtable", ...
  [[nodiscard]] virtual std::vector<std::string> operations() const = 0;
  // What it runs on: versions, options, device, file system, mount options.
  [[nodiscard]] virtual Json identity() const = 0;
  // Callers do the operation at once until patience is satisfied. What the operation needs (keys,
  // caches in the state that its name says) is prepared, and not measured. EnvironmentError in one
  // clear line when it cannot be done.
  virtual Sample measure(const BenchOperation& operation, const Patience& patience) = 0;
  // Bytes in the scratch folder, or in a server's memory, while it measures this.
  [[nodiscard]] virtual Bytes needs(const BenchOperation& operation) const = 0;
};

}  // namespace kvsim
