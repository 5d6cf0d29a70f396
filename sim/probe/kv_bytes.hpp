// Bytes that look like KV: values of a Gaussian with a scale and an offset of each channel, as
// attention's keys and values have them (published studies of KV quantisation find outlier channels
// in keys). Real KV may compress better or worse: calibration takes a file of the user's too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace kvsim {

// Fills `out` with values of `kv_dtype` (bf16, fp16, fp8: e4m3). Equal seeds give equal bytes. A
// pattern of some MiB repeats: no compressor of ours looks so far back.
void fill_kv_bytes(std::span<std::byte> out, const std::string& kv_dtype, std::uint64_t seed);

}  // namespace kvsim
