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

}  // namespace kvsim
