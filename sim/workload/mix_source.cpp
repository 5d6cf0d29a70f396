#include "sim/workload/mix_source.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/check.hpp"
#include "sim/workload/content_stream.hpp"
#include "sim/workload/request_digest.hpp"

namespace kvsim {

namespace {

class MixSource final : public RequestSource {
 public:
  MixSource(std::vector<MixPart> parts, const MixOptions& options, std::uint64_t seed)
      : options_(options), rng_(stream(seed, "workload/mix")), all_(parts.size()) {
    KV_CHECK(!parts.empty() && parts.size() <= kMostMixParts, "{} parts", parts.size());
    for (std::size_t i = 0; i < parts.size(); ++i) parts_.push_back({std::move(parts[i]), i, {}});
    if (!options_.by_time) return;
    for (Part& part : parts_) part.ended = !part.given.source->next(part.ahead);
    forget_ended();
  }

  bool next(Request& request) override {
    if (made_ == options_.requests) return false;
    const Part* from = options_.by_time ? earliest(request) : drawn(request);
    if (from == nullptr) return false;
    belong(request, *from);
    request.id = made_++;
    digest_.add(request);
    return true;
  }

  [[nodiscard]] std::string digest() const override { return digest_.hex(); }

 private:
  struct Part {
    MixPart given;
    std::size_t number;
    Request ahead;  // by time
    bool ended = false;
  };

  void forget_ended() {
    std::erase_if(parts_, [](const Part& part) { return part.ended; });
  }

  // Equal times: the first part first. The part stays where it is until the next call.
  const Part* earliest(Request& request) {
    forget_ended();
    const auto at = std::min_element(
        parts_.begin(), parts_.end(),
        [](const Part& a, const Part& b) { return a.ahead.arrival < b.ahead.arrival; });
    if (at == parts_.end()) return nullptr;
    std::swap(request, at->ahead);
    at->ended = !at->given.source->next(at->ahead);
    return &*at;
  }

  const Part* drawn(Request& request) {
    while (!parts_.empty()) {
      Part& part = draw();
      if (part.given.source->next(request)) {
        request.arrival = Seconds(0);
        return &part;
      }
      part.ended = true;
      forget_ended();
    }
    return nullptr;
  }

  Part& draw() {
    double sum = 0;
    for (const Part& part : parts_) sum += part.given.share;
    double at = rng_.uniform() * sum;
    for (Part& part : parts_) {
      at -= part.given.share;
      if (at < 0) return part;
    }
    return parts_.back();
  }

  // Numbers of all parts interleave: small ones stay small, which keeps written traces small.
  [[nodiscard]] std::uint64_t apart(std::uint64_t name, std::size_t part) const {
    constexpr int kBits = 56;
    const auto kind = static_cast<StreamKind>(name >> kBits);
    const std::uint64_t number = name & ((std::uint64_t{1} << kBits) - 1);
    return content_stream(kind, number * all_ + part);
  }

  void belong(Request& request, const Part& part) const {
    for (ContentRun& run : request.prompt) run.stream = apart(run.stream, part.number);
    for (ContentRun& run : request.answer) run.stream = apart(run.stream, part.number);
    request.answer_stream = apart(request.answer_stream, part.number);
    if (request.session >= 0)
      request.session = request.session * static_cast<std::int64_t>(all_) +
                        static_cast<std::int64_t>(part.number);
    request.llm = part.given.llm;
    request.tenant = part.given.tenant;
    if (part.given.priority) request.priority = *part.given.priority;
  }

  MixOptions options_;
  Rng rng_;
  std::size_t all_;  // parts, those that have ended included
  std::vector<Part> parts_;
  std::int64_t made_ = 0;
  RequestDigest digest_;
};

}  // namespace

std::unique_ptr<RequestSource> make_mix(std::vector<MixPart> parts, const MixOptions& options,
                                        std::uint64_t seed) {
  return std::make_unique<MixSource>(std::move(parts), options, seed);
}

std::uint64_t mix_part_seed(std::uint64_t seed, std::size_t part) {
  return stream(seed, fmt::format("workload/mix/{}", part)).bits();
}

}  // namespace kvsim
