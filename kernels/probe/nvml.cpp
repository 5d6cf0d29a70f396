#include "kernels/probe/nvml.hpp"

#include <dlfcn.h>

namespace kvsim::kernels {
namespace {

// The part of nvml.h that is used; all functions return 0 for success.
using Plain = int (*)();
using ByBusId = int (*)(const char*, void**);
using Clock = int (*)(void*, int, unsigned*);
using Count = int (*)(void*, unsigned*);
using Two = int (*)(void*, unsigned*, unsigned*);
using Reasons = int (*)(void*, unsigned long long*);
using Text = int (*)(char*, unsigned);

constexpr int kSmClock = 1;
constexpr int kMemoryClock = 2;
// Power cap, hardware slowdown, software thermal, hardware thermal, power brake.
constexpr unsigned long long kThrottleReasons = 0x4 | 0x8 | 0x20 | 0x40 | 0x80;

template <class Function>
Function find(void* library, const char* name) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

}  // namespace

std::unique_ptr<Nvml> Nvml::open(const std::string& pci_bus_id) {
  std::unique_ptr<Nvml> out(new Nvml);
  out->library_ = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (out->library_ == nullptr) return nullptr;
  const auto start = find<Plain>(out->library_, "nvmlInit_v2");
  const auto by_bus_id = find<ByBusId>(out->library_, "nvmlDeviceGetHandleByPciBusId_v2");
  if (start == nullptr || by_bus_id == nullptr || start() != 0) return nullptr;
  if (by_bus_id(pci_bus_id.c_str(), &out->device_) != 0) return nullptr;
  return out;
}

Nvml::~Nvml() {
  if (library_ == nullptr) return;
  const auto stop = find<Plain>(library_, "nvmlShutdown");
  if (stop != nullptr) stop();
  dlclose(library_);
}

ClockState Nvml::read() {
  ClockState out;
  unsigned mhz = 0;
  const auto clock = find<Clock>(library_, "nvmlDeviceGetClockInfo");
  if (clock != nullptr && clock(device_, kSmClock, &mhz) == 0) out.sm_mhz = mhz;
  unsigned long long reasons = 0;
  const auto why = find<Reasons>(library_, "nvmlDeviceGetCurrentClocksThrottleReasons");
  if (why != nullptr && why(device_, &reasons) == 0) {
    out.throttled = (reasons & kThrottleReasons) != 0;
  }
  return out;
}

std::map<std::string, double> Nvml::facts() const {
  std::map<std::string, double> out;
  unsigned value = 0;
  const auto count = [&](const char* name, const char* function, double unit) {
    const auto get = find<Count>(library_, function);
    if (get != nullptr && get(device_, &value) == 0) out[name] = value * unit;
  };
  count("power_limit_w", "nvmlDeviceGetPowerManagementLimit", 1e-3);
  count("pcie_generation", "nvmlDeviceGetCurrPcieLinkGeneration", 1);
  count("pcie_generation_max", "nvmlDeviceGetMaxPcieLinkGeneration", 1);
  count("pcie_width", "nvmlDeviceGetCurrPcieLinkWidth", 1);
  count("pcie_width_max", "nvmlDeviceGetMaxPcieLinkWidth", 1);
  const auto clock = [&](const char* name, const char* function, int which) {
    const auto get = find<Clock>(library_, function);
    if (get != nullptr && get(device_, which, &value) == 0) out[name] = value;
  };
  clock("sm_clock_mhz", "nvmlDeviceGetClockInfo", kSmClock);
  clock("sm_clock_mhz_max", "nvmlDeviceGetMaxClockInfo", kSmClock);
  clock("memory_clock_mhz", "nvmlDeviceGetClockInfo", kMemoryClock);
  clock("memory_clock_mhz_max", "nvmlDeviceGetMaxClockInfo", kMemoryClock);
  unsigned pending = 0;
  const auto ecc = find<Two>(library_, "nvmlDeviceGetEccMode");
  if (ecc != nullptr && ecc(device_, &value, &pending) == 0) out["ecc"] = value;
  return out;
}

std::string Nvml::driver_version() const {
  char text[96] = "";
  const auto get = find<Text>(library_, "nvmlSystemGetDriverVersion");
  return get != nullptr && get(text, sizeof(text)) == 0 ? text : "";
}

}  // namespace kvsim::kernels
