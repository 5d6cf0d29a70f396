// gpu_probe: measures one GPU, checks the kernels on it, or serves as a live lane. usage_text()
// says how it is called.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

#include "kernels/bench/arguments.hpp"
#include "kernels/bench/output_file.hpp"
#include "kernels/check/check.hpp"
#include "kernels/probe/nvml.hpp"
#include "kernels/probe/serve.hpp"

namespace {

using namespace kvsim::kernels;

enum ExitCode { kOk = 0, kCheckFailed = 1, kWrongUsage = 2, kNoDevice = 3, kInterrupted = 130 };

extern "C" void on_signal(int) { Session::interrupt(); }

// No SA_RESTART, so that reading requests ends too.
void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

cudaDeviceProp open_device(int index) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    throw DeviceError(std::string("no GPU or no driver: ") +
                      (status == cudaSuccess ? "none found" : cudaGetErrorString(status)));
  }
  if (index >= count) {
    throw DeviceError("no GPU " + std::to_string(index) + "; there are " + std::to_string(count));
  }
  require(cudaSetDevice(index), "GPU");
  require(cudaFree(nullptr), "GPU");  // creates the context, so that a busy GPU shows here
  cudaDeviceProp properties{};
  require(cudaGetDeviceProperties(&properties, index), "GPU");
  return properties;
}

Device device_of(const cudaDeviceProp& properties, int index) {
  Device out;
  out.index = index;
  require(cudaGetDeviceCount(&out.count), "GPU");
  out.capability = properties.major * 10 + properties.minor;
  out.multiprocessors = properties.multiProcessorCount;
  out.l2_bytes = properties.l2CacheSize;
  return out;
}

Scale scale_of(const Device& device, bool full) {
  Scale out;
  out.full = full;
  const std::int64_t least = std::int64_t{full ? 512 : 256} << 20;
  out.payload_bytes = std::max(least, 4 * device.l2_bytes / 4096 * 4096);
  if (!full) {
    out.limits.samples_max = 41;
    out.limits.total_s = 0.25;
  }
  return out;
}

void write_identity(JsonWriter& json, const cudaDeviceProp& properties, const Nvml* nvml) {
  int driver = 0;
  int runtime = 0;
  require(cudaDriverGetVersion(&driver), "driver");
  require(cudaRuntimeGetVersion(&runtime), "runtime");
  json.open_object("identity");
  json.text("device", properties.name);
  json.text("compute_capability",
            std::to_string(properties.major) + "." + std::to_string(properties.minor));
  json.number("multiprocessors", properties.multiProcessorCount);
  json.number("memory_bytes", static_cast<double>(properties.totalGlobalMem));
  json.number("l2_bytes", properties.l2CacheSize);
  json.number("cuda_driver_version", driver);
  json.number("cuda_runtime_version", runtime);
  json.number("cuda_built_with", CUDART_VERSION);
  json.boolean("ecc_enabled", properties.ECCEnabled != 0);
  json.boolean("nvml", nvml != nullptr);
  if (nvml != nullptr) {
    json.text("driver", nvml->driver_version());
    for (const auto& [name, value] : nvml->facts()) json.number(name, value);
  }
#ifdef NDEBUG
  json.text("build", "release");
#else
  json.text("build", "debug");
#endif
  json.close_object();
}

std::string text_of_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw UsageError("cannot read " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<Step> plan(const Arguments& arguments, const Device& device, const Scale& scale) {
  const bool fp8 = device.capability >= 89;
  const Shapes shapes = arguments.shapes.empty()
                            ? model_shapes(arguments.full, fp8)
                            : parse_shapes(text_of_file(arguments.shapes), arguments.shapes);
  std::vector<Step> steps;
  add_copies(steps, scale);
  add_gathers(steps, scale);
  add_elementwise(steps, scale);
  add_gemm(steps, shapes);
  add_attention(steps, shapes);
  add_all_reduce(steps, device);
  return steps;
}

int measure_all(const Arguments& arguments) {
  OutputFile file(arguments.out);
  const cudaDeviceProp properties = open_device(arguments.device);
  const Device device = device_of(properties, arguments.device);
  char bus_id[32] = "";
  require(cudaDeviceGetPCIBusId(bus_id, sizeof(bus_id), arguments.device), "GPU");
  const auto nvml = Nvml::open(bus_id);
  Session session(device, scale_of(device, arguments.full), nvml.get());
  const std::vector<Step> steps = plan(arguments, device, session.scale());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (Session::interrupted()) throw Interrupted();
    std::fprintf(stderr, "progress %zu/%zu %s\n", i, steps.size(), steps[i].label.c_str());
    steps[i].run(session);
  }
  std::fprintf(stderr, "progress %zu/%zu done\n", steps.size(), steps.size());
  JsonWriter json;
  json.open_object();
  json.text("schema", "kvsim.gpu_probe/1");
  // After the work: clocks and PCIe generation rise under load.
  write_identity(json, properties, nvml.get());
  session.write(json);
  json.close_object();
  file.finish(json.str());
  if (!session.has_errors()) return kOk;
  std::fprintf(stderr, "gpu_probe: results above a measured peak; see \"error\" in the samples\n");
  return kCheckFailed;
}

int check_all(const Arguments& arguments) {
  const cudaDeviceProp properties = open_device(arguments.device);
  std::printf("kernels on %s:\n", properties.name);
  Report host;
  check_numbers(host);
  std::printf("%-42s %5d comparisons, %d failed\n", "host code", host.comparisons(),
              host.failures());
  const int failures = host.failures() + check_kernels(true);
  std::printf("%s\n", failures == 0 ? "ok" : "failed");
  return failures == 0 ? kOk : kCheckFailed;
}

int serve(const Arguments& arguments) {
  open_device(arguments.device);
  LiveLane lane;
  for (std::string line; !Session::interrupted() && std::getline(std::cin, line);) {
    std::printf("%s\n", answer(lane, line).c_str());
    std::fflush(stdout);
  }
  return kOk;
}

int run(const Arguments& arguments) {
  switch (arguments.mode) {
    case Arguments::Mode::kMeasure:
      return measure_all(arguments);
    case Arguments::Mode::kCheck:
      return check_all(arguments);
    case Arguments::Mode::kServe:
      return serve(arguments);
    case Arguments::Mode::kHelp:
      break;
  }
  std::printf("%s", usage_text());
  return kOk;
}

}  // namespace

int main(int argc, char** argv) {
  catch_signals();
  try {
    return run(parse_arguments({argv + 1, argv + argc}));
  } catch (const UsageError& error) {
    std::fprintf(stderr, "gpu_probe: %s\n", error.what());
    return kWrongUsage;
  } catch (const Interrupted&) {
    std::fprintf(stderr, "gpu_probe: interrupted, nothing written\n");
    return kInterrupted;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gpu_probe: %s\n", error.what());
    return kNoDevice;
  }
}
