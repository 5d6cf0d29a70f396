// How KV bytes look outside HBM: plain, compressed, quantised.
//
// A codec is a ratio and a cost for each direction, CPU of a client thread or GPU time. Ratios
// depend on the data: those of real K/V tensors are UNCERTAIN (calibration README, gap 8).
#pragma once

#include <string>
#include <vector>

#include "sim/base/units.hpp"

namespace kvsim {

class Codec {
 public:
  static constexpr const char* kPlugin = "codec";
  struct Context {
    std::string kv_dtype = "bf16";  // of what is encoded
  };
  virtual ~Codec() = default;
  // Bytes in HBM per byte stored, >= 1 where it helps.
  [[nodiscard]] virtual double ratio() const = 0;
  // One thread's rate, in bytes as in HBM; 0 = no CPU needed.
  [[nodiscard]] virtual Bandwidth encode() const { return Bandwidth(0); }
  [[nodiscard]] virtual Bandwidth decode() const { return Bandwidth(0); }
  // The GPU's rate, in bytes as in HBM; 0 = needs none.
  [[nodiscard]] virtual Bandwidth gpu_encode() const { return Bandwidth(0); }
  [[nodiscard]] virtual Bandwidth gpu_decode() const { return Bandwidth(0); }
  // "lz4/bf16": as the bench of codecs calls it; "" when there is none.
  [[nodiscard]] virtual std::string bench_name() const { return ""; }
  // What comes back is not what went in: answers may change.
  [[nodiscard]] virtual bool lossy() const { return false; }

  [[nodiscard]] Bytes encoded(Bytes bytes) const {
    return Bytes(static_cast<std::int64_t>(bytes.real() / ratio()));
  }
  // For the summary's warnings, of a codec called `name`.
  [[nodiscard]] std::vector<std::string> warnings(const std::string& name) const {
    if (!lossy()) return {};
    return {"codec " + name + " is lossy: answers may differ from those without it"};
  }
  [[nodiscard]] static Seconds time(Bytes bytes, Bandwidth rate) {
    return rate > Bandwidth(0) ? bytes / rate : Seconds(0);
  }
};

}  // namespace kvsim
