// Is it worth fetching a prompt's prefix instead of computing it? For prefixes of several lengths
// and several ways below HBM: what the simulator itself takes for either.
//
// For each length and way a small experiment is run: one client sends prompts that begin with one
// of two prefixes, and HBM has room for one of them, so that the other always comes from below.
// Fetch time is the mean of lookup and fetch of the requests that hit; recompute time is what their
// prefill takes longer without any cache. A way may also be given as a plain rate and latency.
//
// Left out: several requests at a time, and data that has been written long ago (a store's caches
// are as warm as they are after a few requests).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/base/units.hpp"

namespace kvsim {

// "nic=12.5e9,50e-6": bytes per second and, optionally, seconds before the first byte.
struct PlainTier {
  std::string name;
  Bandwidth rate{0};
  Seconds latency{0};
};
[[nodiscard]] PlainTier read_plain_tier(const std::string& text);

// An experiment of one pool without connector becomes one that has the usual ways: DRAM over PCIe
// (native), a Redis on the node through LMCache's two clients, files on an NVMe drive.
struct TierPath {
  std::string name;
  Json experiment;
};
[[nodiscard]] std::vector<TierPath> usual_paths(const Json& experiment);
// The connector that an experiment has.
[[nodiscard]] std::vector<TierPath> own_path(const Json& experiment);

// Prefix lengths: 256, 512, ... 32k tokens, as far as `max_model_len` allows.
[[nodiscard]] std::vector<std::int64_t> prefix_lengths(std::int64_t max_model_len);

// The experiment with the workload described above; nothing is cached when `cached` is false.
[[nodiscard]] Json probe_of(const Json& experiment, std::int64_t prefix, bool cached);

// What the requests of a probe that hit below HBM took, means; nullopt when none did.
struct ProbeTimes {
  std::int64_t hit_tokens = 0;
  Seconds fetch{0};  // lookup included
  Seconds prefill{0};
};
// `requests_csv` is the text of the file. Without cache: of all requests, with no fetch.
[[nodiscard]] std::optional<ProbeTimes> read_probe(const std::string& requests_csv, bool cached);

// One length of one way: seconds to fetch, and to compute what was fetched.
struct BreakEvenPoint {
  std::int64_t tokens = 0;
  Seconds fetch{0};
  Seconds recompute{0};
};
// From how many tokens on fetching takes less, between the lengths by interpolation; rising
// lengths. 0: always; nullopt: never.
[[nodiscard]] std::optional<std::int64_t> break_even_tokens(
    const std::vector<BreakEvenPoint>& points);

}  // namespace kvsim
