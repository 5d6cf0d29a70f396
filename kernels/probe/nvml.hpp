// Clocks, power limit, PCIe link and ECC of a GPU from NVIDIA's management library, opened at run
// time so that nothing depends on it: without it these facts are absent.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "kernels/probe/session.hpp"

namespace kvsim::kernels {

class Nvml final : public Clocks {
 public:
  // Null when the library or the GPU is not there. `pci_bus_id` as CUDA prints it.
  static std::unique_ptr<Nvml> open(const std::string& pci_bus_id);
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;
  ~Nvml() override;

  ClockState read() override;
  // By name with unit; only those that the library knows for this GPU.
  [[nodiscard]] std::map<std::string, double> facts() const;
  [[nodiscard]] std::string driver_version() const;

 private:
  Nvml() = default;
  void* library_ = nullptr;
  void* device_ = nullptr;
};

}  // namespace kvsim::kernels
