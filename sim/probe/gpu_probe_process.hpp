// The probe of kernels/ (gpu_probe) as a child process: whatever the GPU does to it, memory
// exhausted or driver gone, ends it and not us.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "sim/probe/scratch.hpp"

namespace kvsim {

class GpuProbeProcess {
 public:
  // Starts `gpu_probe ARGUMENTS`: the program that KVSIM_GPU_PROBE names, else the one beside our
  // own, in its build tree (kernels/) or on the PATH. EnvironmentError when there is none.
  GpuProbeProcess(Scratch& scratch, const std::vector<std::string>& arguments);
  ~GpuProbeProcess();
  GpuProbeProcess(const GpuProbeProcess&) = delete;
  GpuProbeProcess& operator=(const GpuProbeProcess&) = delete;

  // One line to its input, and one from its output. EnvironmentError with what it said last when it
  // has ended.
  std::string ask(const std::string& line);
  // Lines of its error output, until it ends. EnvironmentError as above when it failed.
  void wait(const std::function<void(const std::string&)>& said);

 private:
  void start(const std::string& program, const std::vector<std::string>& arguments);
  // Its exit code; closes its input.
  int finish();
  [[noreturn]] void fail(const std::string& last);

  Scratch& scratch_;
  pid_t process_ = -1;
  std::FILE* input_ = nullptr;
  std::FILE* output_ = nullptr;
  std::FILE* errors_ = nullptr;
};

}  // namespace kvsim
