// A result file that is there whole or not at all: written beside its place under a temporary name,
// renamed when complete, removed when the owner ends without that.
#pragma once

#include <string>
#include <string_view>

namespace kvsim::kernels {

class OutputFile {
 public:
  // Creates the temporary file, so that a folder that cannot be written is found out before hours
  // of measuring. Throws std::runtime_error with the reason.
  explicit OutputFile(const std::string& path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  // Writes everything and puts the file in its place. Throws std::runtime_error when it cannot.
  void finish(std::string_view content);

 private:
  std::string path_;
  std::string temporary_;
};

}  // namespace kvsim::kernels
