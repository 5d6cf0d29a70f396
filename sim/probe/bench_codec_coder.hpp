// Compressors of the bench "codec": a library, alone or after grouping bytes by weight. One for
// each caller: it keeps its buffers and the library's state.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kvsim {

class Coder {
 public:
  virtual ~Coder() = default;
  // Into `out`, which grows as needed but not beyond what it was; its size is then that of the
  // encoded value.
  virtual void encode(std::span<const std::byte> in, std::vector<std::byte>& out) = 0;
  // `out` has the value's length. EnvironmentError when `in` is damaged.
  virtual void decode(std::span<const std::byte> in, std::span<std::byte> out) = 0;
};

// Names of codec plug-ins (sim/kv/codec.hpp) that can be run here, and their coders for values of
// `width` bytes. nullptr for another name.
[[nodiscard]] std::vector<std::string> coder_names();
[[nodiscard]] std::unique_ptr<Coder> make_coder(const std::string& name, std::size_t width);
[[nodiscard]] std::string coder_versions();

}  // namespace kvsim
