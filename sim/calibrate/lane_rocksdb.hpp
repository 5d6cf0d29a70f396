// The parts of the twin of the bench of RocksDB.
#pragma once

#include <vector>

#include "sim/calibrate/lane_model.hpp"
#include "sim/probe/bench_rocksdb.hpp"
#include "sim/store/rocksdb_options.hpp"

namespace kvsim {

// Of a Kvrocks store with these figures.
[[nodiscard]] RocksdbOptions rocksdb_options(const Figures& figures);

// RocksdbEngine on a host of its own, in the state that the operation's name says.
[[nodiscard]] Task run_rocksdb_twin(Tasks& tasks, BenchOperation operation, Figures figures,
                                    RocksdbBenchOptions options, Seconds& mean);

// Constants of RocksdbOptions under /stores/kvrocks, of samples by one caller: concurrency follows
// from the model. What was not measured stays as it is.
[[nodiscard]] std::vector<FittedFigure> fit_rocksdb(const std::vector<Sample>& samples,
                                                    const RocksdbBenchOptions& options,
                                                    const LaneModel& twin, Figures& figures);

// Of the twin alone: what the copy into the caller's string takes of a value that stays in the
// processor's caches, in copies' worth of time. In a simulation it is one of the server's copies.
constexpr const char* kSmallStringCopies = "/lanes/rocksdb/small_string_copies";

}  // namespace kvsim
