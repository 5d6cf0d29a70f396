// The live lanes of one run: does operations for real that the simulation asks for, with as many of
// their kind at once as it has in flight, or compares the model with them (shadow).
//
// Operations of nearly equal size and callers are one class. A class is done for real a few times,
// as often as it is asked for; after that its times are drawn from those measured. In shadow mode
// nothing is done during the run: afterwards the most frequent classes, and sizes between those
// that a calibration measures at 1, 4 and 16 at once, are done for real and by the model's own
// components on an idle host. What a real store does in the background meanwhile (flushes,
// compactions) is in the times measured.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "sim/base/config_node.hpp"
#include "sim/base/rng.hpp"
#include "sim/calibrate/lane_model.hpp"
#include "sim/probe/bench.hpp"
#include "sim/store/live_lanes.hpp"

namespace kvsim {

class LiveSession final : public LiveLanes {
 public:
  struct Options {
    std::vector<Json> lanes;  // bench plug-ins, each with "path", the folder for its files
    bool shadow = false;
    Figures figures;  // of the model that is compared
    std::uint64_t seed = 1;
  };
  // `node` is the experiment's /live, for complaints. Starts servers and makes folders.
  LiveSession(const ConfigNode& node, const Options& options);
  ~LiveSession() override;

  [[nodiscard]] bool drives(LiveLane lane) const override;
  [[nodiscard]] Seconds happened(const LiveOperation& operation) override;

  // After the run: in shadow mode measures. {"shadow": ..., "lanes": [...]}
  [[nodiscard]] Json report();

 private:
  struct Lane;
  struct Seen {
    std::int64_t count = 0;
    Seconds model{0};             // in all
    std::vector<Sample> samples;  // done for real
  };
  using Class = std::tuple<std::string, std::int64_t, std::int64_t>;  // name, bytes, at once

  void open(const ConfigNode& node, const Json& lane);
  [[nodiscard]] Lane* find(LiveLane lane) const;
  [[nodiscard]] Seconds do_for_real(Lane& lane, const Class& key, Seen& seen);
  // What is compared: operations of the run, or at sizes between the calibration's.
  struct Point {
    BenchOperation operation;
    const Seen* seen;  // null: not of the run
    Seconds measured{0};
  };
  [[nodiscard]] static std::vector<Point> points_of(const Lane& lane);
  [[nodiscard]] Json errors_of(const Lane& lane, const std::vector<Point>& points) const;

  Options options_;
  Rng rng_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace kvsim
