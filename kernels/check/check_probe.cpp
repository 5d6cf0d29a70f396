// What gpu_probe does on a GPU, run on the emulation: every step must go through with small sizes
// (its times mean nothing), and the live lane must answer.
#include <cmath>
#include <cstdlib>

#include "kernels/check/check.hpp"
#include "kernels/probe/serve.hpp"

namespace kvsim::kernels {
namespace {

void check_serve(Report& report) {
  const CopyRequest request = parse_request("copy to-gpu 1000 64 3");
  report.expect(
      request.to_gpu && request.bytes == 1000 && request.block_bytes == 64 && request.at_once == 3,
      "a request");
  LiveLane lane;
  for (const char* line : {"copy to-gpu 4096 512 2", "copy to-gpu 4096 512 2",
                           "copy to-host 5000 1024 1", "copy to-host 10 100 1"}) {
    const std::string text = answer(lane, line);
    char* end = nullptr;
    const double seconds = std::strtod(text.c_str(), &end);
    report.expect(*end == '\0' && seconds > 0, std::string(line) + " is answered by " + text);
  }
  for (const char* line : {"", "copy", "copy to-disk 1 1 1", "copy to-gpu 0 1 1",
                           "copy to-gpu 1 1 0", "copy to-gpu 1 1 1 1", "move to-gpu 1 1 1"}) {
    report.expect(answer(lane, line).rfind("error: ", 0) == 0, std::string("refused: ") + line);
  }
}

void check_steps(Report& report) {
  Device device;
  device.l2_bytes = 1 << 14;
  device.multiprocessors = 4;
  Scale scale;
  scale.payload_bytes = 1 << 16;
  scale.limits.warm_up = 0;
  scale.limits.samples_min = scale.limits.samples_max = 1;
  scale.limits.repeats_max = 1;
  Shapes shapes;
  shapes.decode = {{2, 40, 8, 2, 64}, {100000, 1000, 8, 8, 128}};
  shapes.prefill = {{20, 10, 4, 2, 64}};
  std::vector<Step> steps;
  add_copies(steps, scale);
  add_gathers(steps, scale);
  add_elementwise(steps, scale);
  add_attention(steps, shapes);
  Session session(device, scale, nullptr);
  for (const Step& step : steps) step.run(session);
  JsonWriter json;
  json.open_object();
  session.write(json);
  json.close_object();
  for (const char* part :
       {"\"copy-to-gpu\"", "\"copy-to-host\"", "\"copy-both\"", "\"device-copy\"", "\"gather\"",
        "\"scatter-packed\"", "\"byte-shuffle\"", "\"checksum\"", "\"rms-norm\"", "\"rotary\"",
        "\"decode-attention\"", "\"prefill-attention\"", "\"ratio_to_peak\"", "\"kv_len\": 40",
        "\"device-copy_bytes_per_s\"", "more KV than memory"}) {
    report.expect(json.str().find(part) != std::string::npos,
                  std::string("the results have ") + part);
  }
}

// A row of a known time, and what the physical limits make of it.
class Fixed final : public Stopwatch {
 public:
  explicit Fixed(double run_s) : run_s_(run_s) {}
  double time(int repeats) override { return run_s_ * repeats; }

 private:
  double run_s_;
};

void check_limits(Report& report) {
  Session session({}, {}, nullptr);
  session.raise_peak("device-copy", 100);
  const auto gather = [&](double block_bytes, double run_s) {
    Fixed stopwatch(run_s);
    return session.measure({"gather", {label("block_bytes", block_bytes)}, 50}, stopwatch,
                           {"device-copy", 100});
  };
  report.expect(std::abs(gather(65536, 1.25).ratio - 0.8) < 1e-9, "ratio to the measured peak");
  gather(65536, 1.0 / 0.95);
  gather(131072, 1.0 / 0.92);
  gather(4096, 10);
  report.expect(!session.has_errors(), "nothing is above the peak yet");
  JsonWriter json;
  json.open_object();
  session.write(json);
  json.close_object();
  report.expect(json.str().find("\"ratio_to_peak_worst\": 0.92, \"worst_block_bytes\": 131072, "
                                "\"reached\": true") != std::string::npos,
                "best of each block size, then the worst, from 64 KiB on:\n" + json.str());
  gather(65536, 0.9);
  report.expect(session.has_errors(), "a result above the peak is an error");
}

}  // namespace

void check_probe_parts(Report& report) {
  check_serve(report);
  check_limits(report);
  check_steps(report);
}

}  // namespace kvsim::kernels
