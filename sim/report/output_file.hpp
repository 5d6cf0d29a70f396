// A result file that appears complete or not at all: written under a temporary name beside its
// place, renamed by commit(), removed when commit() never comes.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "sim/base/json.hpp"

namespace kvsim {

class OutputFile {
 public:
  // Makes missing folders. Throws EnvironmentError when it cannot write there.
  explicit OutputFile(std::string path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // Buffered. Throws EnvironmentError, when the disk is full for one.
  void write(std::string_view text);
  void commit();

 private:
  [[noreturn]] void fail(const char* doing) const;

  std::string path_;
  std::string temporary_;
  std::FILE* file_;
};

// Indented JSON with a line break at the end.
void write_json_file(const std::string& path, const Json& json);
void write_text_file(const std::string& path, std::string_view text);

}  // namespace kvsim
