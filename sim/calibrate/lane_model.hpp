// What the simulator believes of a lane: its constants, as they follow from measurements, and what
// its components then say of an operation.
//
// The bench of the same name (sim/probe/bench.hpp) does the operation for real; a calibration's
// residuals and the error of a live lane in shadow mode are the difference of the two.
#pragma once

#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/des/tasks.hpp"
#include "sim/probe/sample.hpp"

namespace kvsim {

// Options of our components, as experiments write them. A calibration's file holds one, which lies
// under what an experiment says itself:
//
//   cpu       {cores, copy_bytes_per_s, memory_bytes_per_s}     under each of /nodes' "cpu"
//   disk      a disk plug-in with its options                   in place of local disks
//   network   {loopback_round_trip_s, ...}                      under /network
//   codecs    {NAME: {KV TYPE: {ratio, encode_bytes_per_s, decode_bytes_per_s}}}   under that codec
//   clients   {"redis" | "resp": ClientOptions}                 under client_costs
//   stores    {KIND: options}                                   under each store of that kind
//   gpus      {PROFILE: blocks of kvsim.gpu/1}                  over models/gpu
using Figures = Json;

// A constant and how sure it is.
struct FittedFigure {
  std::string path;  // in Figures, as a JSON pointer: "/stores/redis/command_s"
  double value = 0;
  double low = 0;  // 95 % interval, of the samples' scatter
  double high = 0;
};

class LaneModel {
 public:
  static constexpr const char* kPlugin = "lane model";
  struct Context {};

  virtual ~LaneModel() = default;
  // What a calibration measures with the bench of this name: sizes times callers. A quick one takes
  // at most 15 s.
  [[nodiscard]] virtual std::vector<BenchOperation> plan(bool full) const = 0;
  // Sets this lane's constants in `figures`, which holds those of the lanes before it (host_copy,
  // disk, network, codec, resp, rocksdb: in this order), and says how sure they are. What it does
  // not find out stays as it is.
  [[nodiscard]] virtual std::vector<FittedFigure> fit(const std::vector<Sample>& samples,
                                                      Figures& figures) const = 0;
  // Simulates what the bench does, by components on a host of their own: as many callers at once,
  // each a few times. `mean` is that of the operations. Means instead of draws.
  [[nodiscard]] virtual Task run(Tasks& tasks, BenchOperation operation, const Figures& figures,
                                 Seconds& mean) const = 0;
};

// What the model says, in a world in which nothing else happens. For fits and residuals.
[[nodiscard]] Seconds evaluate(const LaneModel& model, Tasks& tasks,
                               const BenchOperation& operation, const Figures& figures);

}  // namespace kvsim
