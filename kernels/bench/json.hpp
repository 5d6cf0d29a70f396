// Writes JSON, so that gpu_probe needs no library: objects and arrays are opened and closed by
// hand, commas and indentation come by themselves.
#pragma once

#include <string>
#include <string_view>

namespace kvsim::kernels {

class JsonWriter {
 public:
  void open_object(std::string_view key = {}) { open(key, '{'); }
  void close_object() { close('}'); }
  void open_array(std::string_view key = {}) { open(key, '['); }
  void close_array() { close(']'); }
  void text(std::string_view key, std::string_view value);
  void number(std::string_view key, double value);  // null when not finite
  void boolean(std::string_view key, bool value);

  [[nodiscard]] const std::string& str() const { return out_; }

 private:
  void open(std::string_view key, char bracket);
  void close(char bracket);
  void begin(std::string_view key);
  void quote(std::string_view value);

  std::string out_;
  int depth_ = 0;
  bool first_ = true;
};

}  // namespace kvsim::kernels
