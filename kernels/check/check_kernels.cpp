#include <cstdio>

#include "kernels/check/check.hpp"

namespace kvsim::kernels {

int check_kernels(bool large) {
  struct Suite {
    const char* name;
    void (*run)(Report&, bool);
  };
  const Suite suites[] = {
      {"paged KV gather and scatter", check_paged_kv},
      {"packed KV (FP8 E4M3, INT8)", check_packed_kv},
      {"byte shuffle and checksum", check_bytes},
      {"copy paths, both directions at once", check_copy_paths},
      {"decode and prefill attention", check_attention},
      {"norm, SiLU, rotary, residual, all-reduce", check_elementwise},
  };
  int failures = 0;
  for (const Suite& suite : suites) {
    Report report;
    suite.run(report, large);
    std::printf("%-42s %5d comparisons with the references, %d failed\n", suite.name,
                report.comparisons(), report.failures());
    std::fflush(stdout);
    failures += report.failures();
  }
  return failures;
}

}  // namespace kvsim::kernels
