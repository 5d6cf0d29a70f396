#include "sim/calibrate/lane_model.hpp"

namespace kvsim {

Seconds evaluate(const LaneModel& model, Tasks& tasks, const BenchOperation& operation,
                 const Figures& figures) {
  Seconds mean{0};
  tasks.start(model.run(tasks, operation, figures, mean));
  tasks.world().settle();
  return mean;
}

}  // namespace kvsim
