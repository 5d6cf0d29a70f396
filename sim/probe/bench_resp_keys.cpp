#include "sim/probe/bench_resp_keys.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "sim/base/errors.hpp"
#include "sim/probe/kv_bytes.hpp"

namespace kvsim {

namespace {

// Twice what a large last-level cache holds, and no more keys than 1,024 for it.
constexpr std::int64_t kBeyondCaches = std::int64_t{64} << 20;
constexpr std::int64_t kMostKeys = 1024;
constexpr std::size_t kStep = 64;    // between values in the source, and bytes of a checked place
constexpr std::size_t kGap = 32768;  // between checked places
constexpr std::size_t kPage = 4096;

// Of this run: nobody else's keys begin so. Must differ between runs, so no named stream.
std::string prefix() {
  std::uint64_t number = 0;
  if (getentropy(&number, sizeof number) != 0)
    throw EnvironmentError("the kernel gives no random numbers");
  return fmt::format("kvsim:{:016x}:", number);
}

}  // namespace

std::int64_t RespKeys::count_for(Bytes bytes, std::int64_t callers) {
  const std::int64_t fill = std::min(kMostKeys, groups_of(kBeyondCaches, bytes.count()));
  return std::max(callers, fill);
}

RespKeys::RespKeys(const RespTarget& target, Seconds time_out, const Options& options)
    : target_(target), time_out_(time_out), options_(options) {
  const auto size = static_cast<std::size_t>(options.bytes.count());
  const auto count = static_cast<std::size_t>(options.count);
  source_.resize(size + kStep * count);
  fill_kv_bytes(source_, options.kv_dtype, 1);
  slot_ = (size + kPage - 1) / kPage * kPage;
  buffers_.reset(new std::byte[slot_ * count]);  // each is written below
  const std::string run = prefix();
  for (std::int64_t i = 0; i < options.count; ++i) {
    keys_.push_back(fmt::format("{}{}", run, i));
    missing_.push_back(fmt::format("{}{}:missing", run, i));
    std::memcpy(buffer(i).data(), expected(i).data(), size);
  }
  RespConnection connection(target, time_out);
  try {
    for (; there_ < keys_.size(); ++there_)
      if (!connection.set_new(keys_[there_], buffer(static_cast<std::int64_t>(there_))))
        throw EnvironmentError(
            fmt::format("{}: key {} exists already", target.name(), keys_[there_]));
  } catch (...) {
    remove();
    throw;
  }
}

RespKeys::~RespKeys() { remove(); }

void RespKeys::remove() noexcept {
  try {
    RespConnection connection(target_, time_out_);
    for (std::size_t i = 0; i < there_; ++i) connection.command({"DEL", keys_[i]});
  } catch (...) {
    // The server is gone, and its memory with it.
  }
}

std::span<std::byte> RespKeys::buffer(std::int64_t index) {
  return {buffers_.get() + slot_ * at(index), static_cast<std::size_t>(options_.bytes.count())};
}

std::span<const std::byte> RespKeys::expected(std::int64_t index) const {
  return std::span(source_).subspan(kStep * at(index),
                                    static_cast<std::size_t>(options_.bytes.count()));
}

void RespKeys::each_place(const std::function<void(std::size_t, std::size_t)>& look) const {
  const auto size = static_cast<std::size_t>(options_.bytes.count());
  for (std::size_t from = 0; from < size; from += kGap) look(from, std::min(kStep, size - from));
  const std::size_t last = size - std::min(kStep, size);
  look(last, size - last);
}

void RespKeys::spoil(std::int64_t index) {
  const std::span<std::byte> bytes = buffer(index);
  each_place([&](std::size_t from, std::size_t size) {
    for (std::size_t i = from; i < from + size; ++i) bytes[i] = ~bytes[i];
  });
}

bool RespKeys::intact(std::int64_t index, bool all) {
  const std::span<std::byte> bytes = buffer(index);
  const std::span<const std::byte> right = expected(index);
  if (all) return std::memcmp(bytes.data(), right.data(), bytes.size()) == 0;
  bool same = true;
  each_place([&](std::size_t from, std::size_t size) {
    same = same && std::memcmp(bytes.data() + from, right.data() + from, size) == 0;
  });
  return same;
}

}  // namespace kvsim
