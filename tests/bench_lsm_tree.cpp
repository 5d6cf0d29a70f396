// What a put costs in LsmTree, flushes and compactions included.
#include <fmt/format.h>

#include <chrono>

#include "sim/base/rng.hpp"
#include "sim/store/lsm_tree.hpp"

namespace {

using namespace kvsim;

void bench(const char* name, const LsmOptions& options, Bytes value, int puts) {
  LsmTree tree(options);
  Rng random = stream(1, name);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < puts; ++i) {
    tree.put(random.bits(), value);
    while (const auto job = tree.take_job()) tree.finish(job->id);
  }
  const double put_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto half = std::chrono::steady_clock::now();
  int found = 0;
  for (int i = 0; i < puts; ++i) found += tree.contains(random.bits()) ? 1 : 0;
  const double find_s =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - half).count();
  fmt::print(
      "{:<24} {:>7} entries: {:.2f} us a put, {:.2f} us a lookup, written {:.1f} times ({})\n",
      name, puts, put_s / puts * 1e6, find_s / puts * 1e6, tree.write_amplification(), found);
}

}  // namespace

int main() {
  const LsmOptions defaults;
  bench("values of 32 MiB", defaults, Bytes(32 * kMebibyte), 20'000);
  bench("values of 1 MiB", defaults, Bytes(kMebibyte), 100'000);
  bench("values of 256 KiB", defaults, Bytes(256 * kKibibyte), 200'000);
  LsmOptions blobs;
  blobs.enable_blob_files = true;
  bench("blobs of 32 MiB", blobs, Bytes(32 * kMebibyte), 20'000);
  blobs.enable_blob_garbage_collection = false;
  bench("uncollected, of 1 MiB", blobs, Bytes(kMebibyte), 100'000);
}
