#include "sim/workload/request_digest.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <bit>

#include "sim/base/check.hpp"

namespace kvsim {

namespace {

constexpr std::size_t kBatchBytes = 64 * 1024;

// Little-endian base 128, as protobuf has it: small numbers are short.
void put(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void put_fixed(std::string& out, std::uint64_t value) {
  std::array<char, 8> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  out.append(bytes.data(), bytes.size());
}

void put_seconds(std::string& out, Seconds value) {
  // + 0.0 makes one zero of the two.
  put_fixed(out, std::bit_cast<std::uint64_t>(value.count() + 0.0));
}

void put_runs(std::string& out, const std::vector<ContentRun>& runs) {
  put(out, runs.size());
  for (const ContentRun& run : runs) {
    put_fixed(out, run.stream);
    put(out, static_cast<std::uint64_t>(run.offset));
    put(out, static_cast<std::uint64_t>(run.length));
  }
}

}  // namespace

struct RequestDigest::State {
  using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;
  Context context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

RequestDigest::RequestDigest() : state_(std::make_unique<State>()) {
  KV_CHECK(EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1);
  batch_.reserve(kBatchBytes + 4096);
}
RequestDigest::~RequestDigest() = default;
RequestDigest::RequestDigest(RequestDigest&&) noexcept = default;
RequestDigest& RequestDigest::operator=(RequestDigest&&) noexcept = default;

void RequestDigest::add(const Request& request) {
  put_seconds(batch_, request.arrival);
  put_seconds(batch_, request.think);
  put(batch_, static_cast<std::uint64_t>(request.input.count()));
  put(batch_, static_cast<std::uint64_t>(request.output.count()));
  put(batch_, static_cast<std::uint64_t>(request.session + 1));
  put(batch_, static_cast<std::uint64_t>(request.turn) * 2 + (request.last_turn ? 1 : 0));
  put(batch_, static_cast<std::uint32_t>(request.priority));
  if (request.llm != 0 || request.tenant != 0) {  // most workloads know neither
    put(batch_, static_cast<std::uint32_t>(request.llm));
    put(batch_, static_cast<std::uint32_t>(request.tenant));
  }
  put_runs(batch_, request.prompt);
  // The stream of an answer whose content is known means nothing.
  put_fixed(batch_, request.answer.empty() ? request.answer_stream : 0);
  put_runs(batch_, request.answer);
  if (batch_.size() >= kBatchBytes) flush();
}

void RequestDigest::flush() {
  KV_CHECK(EVP_DigestUpdate(state_->context.get(), batch_.data(), batch_.size()) == 1);
  batch_.clear();
}

std::string RequestDigest::hex() const {
  const State copy;
  KV_CHECK(EVP_MD_CTX_copy_ex(copy.context.get(), state_->context.get()) == 1);
  KV_CHECK(EVP_DigestUpdate(copy.context.get(), batch_.data(), batch_.size()) == 1);
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned int size = 0;
  KV_CHECK(EVP_DigestFinal_ex(copy.context.get(), bytes.data(), &size) == 1);
  std::string out;
  for (unsigned int i = 0; i < size; ++i) out += fmt::format("{:02x}", bytes[i]);
  return out;
}

}  // namespace kvsim
