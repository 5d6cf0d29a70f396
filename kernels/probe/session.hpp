// One run of gpu_probe: the device's facts, how much to measure, the rows so far and the peaks that
// they are compared with. Peaks are measured in the same run, never taken from a datasheet.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kernels/bench/json.hpp"
#include "kernels/bench/measure.hpp"
#include "kernels/bench/shapes.hpp"
#include "kernels/device_memory.hpp"

namespace kvsim::kernels {

struct Device {
  int index = 0;
  int count = 1;       // devices that this process sees
  int capability = 0;  // 90 for 9.0
  int multiprocessors = 1;
  std::int64_t l2_bytes = 0;
};

struct Scale {
  bool full = false;
  std::int64_t payload_bytes = 0;  // of copies; several times the L2 cache
  Limits limits;
};

struct ClockState {
  double sm_mhz = 0;
  bool throttled = false;  // slowed down by heat, power or the machine
};

// Where clocks are read; none on machines without NVML.
class Clocks {
 public:
  virtual ~Clocks() = default;
  virtual ClockState read() = 0;
};

// The measured peak that bounds an operation, and how many of its units one run takes.
struct Bound {
  std::string peak;  // name of a peak; empty: unbounded
  double units = 0;
};

struct Row {
  Work work;
  Measured measured;
  Bound bound;
  double ratio = 0;   // of the peak; 0 where none was measured
  std::string error;  // empty: fine
  bool clocks_known = false;
  ClockState clocks;
};

// Ended by a signal.
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("interrupted") {}
};

class Session {
 public:
  Session(Device device, Scale scale, Clocks* clocks)  // `clocks` may be null; not owned
      : device_(device), scale_(std::move(scale)), clocks_(clocks) {}

  // Times the work, prints nothing, keeps the row. Throws Interrupted after a signal.
  const Row& measure(const Work& work, Stopwatch& stopwatch, const Bound& bound = {});
  // The row just measured defines (or raises) a peak, in units per second.
  void raise_peak(const std::string& peak, double units_per_s);
  void skip(const std::string& label, const std::string& reason);

  [[nodiscard]] const Device& device() const { return device_; }
  [[nodiscard]] const Scale& scale() const { return scale_; }
  [[nodiscard]] const Stream& stream() const { return stream_; }
  [[nodiscard]] bool has_errors() const;
  // The samples, peaks, physical limits and what was skipped, as members of the open object.
  void write(JsonWriter& json) const;

  static void interrupt();  // from a signal handler
  [[nodiscard]] static bool interrupted();

 private:
  void write_limits(JsonWriter& json) const;

  Device device_;
  Scale scale_;
  Clocks* clocks_;
  Stream stream_;
  std::vector<Row> rows_;
  std::map<std::string, double> peaks_;
  std::vector<std::string> skipped_;
};

// What is measured together, on buffers of its own; also the unit of progress.
struct Step {
  std::string label;
  std::function<void(Session&)> run;
};
void add_copies(std::vector<Step>& steps, const Scale& scale);
void add_gathers(std::vector<Step>& steps, const Scale& scale);
void add_elementwise(std::vector<Step>& steps, const Scale& scale);
void add_attention(std::vector<Step>& steps, const Shapes& shapes);
void add_gemm(std::vector<Step>& steps, const Shapes& shapes);
void add_all_reduce(std::vector<Step>& steps, const Device& device);

// Times with events on the session's stream; `enqueue` gets the number of the run, to walk through
// several copies of its data.
class GpuStopwatch final : public Stopwatch {
 public:
  GpuStopwatch(const Stream& stream, std::function<void(int run)> enqueue)
      : stream_(stream), enqueue_(std::move(enqueue)) {}
  double time(int repeats) override;

 private:
  const Stream& stream_;
  std::function<void(int)> enqueue_;
  Event start_;
  Event end_;
  int run_ = 0;
};

Label label(const std::string& name, double value);
Label label(const std::string& name, const std::string& value);

// `count` distinct ones of `blocks` blocks in no order.
std::vector<std::int32_t> scattered_blocks(std::int64_t count, std::int64_t blocks);
// Random bf16 numbers in (-1, 1): the data moves the clocks, so zeros would flatter.
void fill_random(void* device_memory, std::size_t bytes);
// Bytes that a step may take: a share of what is free now.
std::int64_t memory_budget();

}  // namespace kvsim::kernels
