// Conditional disaggregation of early Dynamo (v0.1 to v0.4 examples; spec/dynamo.md section 4): a
// prefill replica computes the prompt when more than max_local_prefill_length tokens of it are not
// cached on the decode replica, and fewer than max_prefill_queue_size requests are in the prefill
// queue. Default values differ between the examples: those here are assumed.
//
// The queue was one for all prefill workers, each of which took one request at a time: its length
// is what is in flight on prefill replicas less one for each.
#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/frontend/decider.hpp"

namespace kvsim {
namespace {

class Conditional final : public Decider {
 public:
  struct Options {
    std::int64_t max_local_prefill_length = 1000;
    std::int64_t max_prefill_queue_size = 2;
    template <class F>
    void fields(F& f) {
      f.optional("max_local_prefill_length", max_local_prefill_length, Range{0, 1e9},
                 "Uncached tokens that a decode replica computes itself. Default: assumed.");
      f.optional("max_prefill_queue_size", max_prefill_queue_size, Range{0, 1e9},
                 "Requests in the prefill queue from which it computes all itself. Default: "
                 "assumed.");
    }
  };
  Conditional(const Options& options, const Context&) : options_(options) {}

  bool remote(const Question& question) override {
    const std::int64_t uncached = question.ask.input_tokens - question.hit_tokens;
    if (uncached <= options_.max_local_prefill_length) return false;
    std::int64_t queued = 0;
    for (const ReplicaView& replica : question.prefill_view.replicas)
      queued += std::max<std::int64_t>(0, replica.in_flight - 1);
    return queued < options_.max_prefill_queue_size;
  }

 private:
  Options options_;
};

const Register<Decider, Conditional> kRegistered(
    "conditional", "Long uncached prompts go to prefill replicas while their queue is short.");

}  // namespace
}  // namespace kvsim
