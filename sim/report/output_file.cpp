#include "sim/report/output_file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "sim/base/errors.hpp"

namespace kvsim {

OutputFile::OutputFile(std::string path)
    : path_(std::move(path)), temporary_(path_ + ".partial"), file_(nullptr) {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, error);
  file_ = std::fopen(temporary_.c_str(), "wb");
  if (file_ == nullptr) fail("open");
  constexpr std::size_t kBufferBytes = 1 << 18;
  std::setvbuf(file_, nullptr, _IOFBF, kBufferBytes);
}

OutputFile::~OutputFile() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  std::remove(temporary_.c_str());
}

void OutputFile::write(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), file_) != text.size()) fail("write");
}

void OutputFile::commit() {
  if (std::fflush(file_) != 0) fail("write");
  std::fclose(file_);
  file_ = nullptr;
  if (std::rename(temporary_.c_str(), path_.c_str()) == 0) return;
  const int error = errno;
  std::remove(temporary_.c_str());
  errno = error;
  fail("rename to");
}

void OutputFile::fail(const char* doing) const {
  throw EnvironmentError(
      fmt::format("{}: cannot {} the file: {}", path_, doing, std::strerror(errno)));
}

void write_text_file(const std::string& path, std::string_view text) {
  OutputFile file(path);
  file.write(text);
  file.commit();
}

void write_json_file(const std::string& path, const Json& json) {
  write_text_file(path, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace kvsim
