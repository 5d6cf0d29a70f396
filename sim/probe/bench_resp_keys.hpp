// Values in a server for a bench, under keys that nobody else has, and the buffers that they come
// from and go to. Gone with this, also on another machine.
//
// As many of them that caches do not hold them all (a real client moves each chunk once); KV-like
// bytes, every value different.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/probe/bench_resp_connection.hpp"

namespace kvsim {

class RespKeys {
 public:
  struct Options {
    Bytes bytes{0};  // of a value
    std::int64_t count = 1;
    std::string kv_dtype = "bf16";
  };
  // How many keys an operation of so many callers needs.
  [[nodiscard]] static std::int64_t count_for(Bytes bytes, std::int64_t callers);

  // Puts them there. EnvironmentError when a key exists.
  RespKeys(const RespTarget& target, Seconds time_out, const Options& options);
  ~RespKeys();
  RespKeys(const RespKeys&) = delete;
  RespKeys& operator=(const RespKeys&) = delete;

  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] std::int64_t count() const { return options_.count; }
  [[nodiscard]] const std::string& key(std::int64_t index) const { return keys_[at(index)]; }
  [[nodiscard]] const std::string& missing_key(std::int64_t index) const {
    return missing_[at(index)];
  }
  // Of the index-th value; holds it.
  [[nodiscard]] std::span<std::byte> buffer(std::int64_t index);
  // Makes some of it wrong, at the ends and in steps between: what a get must bring back.
  void spoil(std::int64_t index);
  // Those places are right again; `all`: every byte is.
  [[nodiscard]] bool intact(std::int64_t index, bool all);

 private:
  [[nodiscard]] static std::size_t at(std::int64_t index) {
    return static_cast<std::size_t>(index);
  }
  // What it should be.
  [[nodiscard]] std::span<const std::byte> expected(std::int64_t index) const;
  void each_place(const std::function<void(std::size_t from, std::size_t size)>& look) const;
  void remove() noexcept;

  RespTarget target_;
  Seconds time_out_;
  Options options_;
  std::vector<std::string> keys_;
  std::vector<std::string> missing_;
  std::size_t there_ = 0;          // of keys_, in the server
  std::vector<std::byte> source_;  // value i begins i steps into it
  std::size_t slot_ = 0;           // bytes from one buffer to the next
  std::unique_ptr<std::byte[]> buffers_;
};

}  // namespace kvsim
