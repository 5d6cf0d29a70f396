#include "kernels/bench/output_file.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace kvsim::kernels {
namespace {

[[noreturn]] void fail(const std::string& path) {
  throw std::runtime_error("cannot write " + path + ": " + std::strerror(errno));
}

}  // namespace

OutputFile::OutputFile(const std::string& path)
    : path_(path), temporary_(path + ".partial." + std::to_string(getpid())) {
  std::FILE* file = std::fopen(temporary_.c_str(), "w");
  if (file == nullptr) {
    const std::string tried = temporary_;
    temporary_.clear();
    fail(tried);
  }
  std::fclose(file);
}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) std::remove(temporary_.c_str());
}

void OutputFile::finish(std::string_view content) {
  std::FILE* file = std::fopen(temporary_.c_str(), "w");
  if (file == nullptr) fail(temporary_);
  const bool written = std::fwrite(content.data(), 1, content.size(), file) == content.size();
  if (std::fclose(file) != 0 || !written) fail(temporary_);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_);
  temporary_.clear();
}

}  // namespace kvsim::kernels
