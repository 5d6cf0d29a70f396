// kernels_check: the host code, then the kernels on the emulation, with threads in either order.
#include <cstdio>

#include "kernels/check/check.hpp"
#include "kernels/cuda.hpp"

int main() {
  using namespace kvsim::kernels;
  Report host;
  check_numbers(host);
  check_bench(host);
  check_probe_parts(host);
  std::printf("%-42s %5d comparisons, %d failed\n", "host code and measuring", host.comparisons(),
              host.failures());
  int failures = host.failures();
  for (const bool reverse : {false, true}) {
    std::printf("kernels on the emulation, threads %s:\n", reverse ? "descending" : "ascending");
    emulated::reverse_threads(reverse);
    failures += check_kernels(false);
  }
  std::printf("%s\n", failures == 0 ? "ok" : "failed");
  return failures == 0 ? 0 : 1;
}
