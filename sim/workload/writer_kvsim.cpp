#include <lz4frame.h>

#include <algorithm>

#include "sim/base/check.hpp"
#include "sim/workload/request_digest.hpp"
#include "sim/workload/trace.pb.h"
#include "sim/workload/trace_writer.hpp"

namespace kvsim {

namespace {

constexpr std::size_t kBatchBytes = 256 * 1024;

void set_runs(const std::vector<ContentRun>& runs, trace::Runs& out) {
  const bool offsets =
      std::any_of(runs.begin(), runs.end(), [](const ContentRun& run) { return run.offset != 0; });
  std::uint64_t before = 0;
  for (const ContentRun& run : runs) {
    out.add_stream_step(static_cast<std::int64_t>(run.stream - before));
    if (offsets) out.add_offset(static_cast<std::uint64_t>(run.offset));
    out.add_length(static_cast<std::uint64_t>(run.length));
    before = run.stream;
  }
}

void put_varint(std::string& out, std::size_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

class KvsimWriter final : public TraceWriter {
 public:
  explicit KvsimWriter(Sink sink) : sink_(std::move(sink)) {
    LZ4F_preferences_t preferences{};
    preferences.frameInfo.blockSizeID = LZ4F_max256KB;
    preferences.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    KV_CHECK(LZ4F_isError(LZ4F_createCompressionContext(&lz4_, LZ4F_VERSION)) == 0);
    packed_.resize(LZ4F_compressBound(2 * kBatchBytes, &preferences) + LZ4F_HEADER_SIZE_MAX);
    send(LZ4F_compressBegin(lz4_, packed_.data(), packed_.size(), &preferences));
    item_.mutable_header()->set_schema("kvsim.trace/1");
    put_item();
  }
  ~KvsimWriter() override { LZ4F_freeCompressionContext(lz4_); }
  KvsimWriter(const KvsimWriter&) = delete;
  KvsimWriter& operator=(const KvsimWriter&) = delete;

  void write(const Request& request) override {
    ++written_;
    digest_.add(request);
    trace::Request& out = *item_.mutable_request();
    out.Clear();
    out.set_arrival_s(request.arrival.count());
    out.set_output_tokens(static_cast<std::uint64_t>(request.output.count()));
    set_runs(request.prompt, *out.mutable_prompt());
    out.set_answer_stream(request.answer_stream);
    if (!request.answer.empty()) set_runs(request.answer, *out.mutable_answer());
    if (request.session >= 0) out.set_session(static_cast<std::uint64_t>(request.session));
    out.set_turn(static_cast<std::uint32_t>(request.turn));
    out.set_last_turn(request.last_turn);
    out.set_think_s(request.think.count());
    out.set_priority(request.priority);
    out.set_llm(static_cast<std::uint32_t>(request.llm));
    out.set_tenant(static_cast<std::uint32_t>(request.tenant));
    put_item();
  }

  void finish() override {
    item_.mutable_end()->set_requests(written_);
    item_.mutable_end()->set_sha256(digest_.hex());
    put_item();
    pack();
    send(LZ4F_compressEnd(lz4_, packed_.data(), packed_.size(), nullptr));
  }

 private:
  void put_item() {
    put_varint(batch_, item_.ByteSizeLong());
    KV_CHECK(item_.AppendToString(&batch_));
    if (batch_.size() >= kBatchBytes) pack();
  }

  void pack() {
    for (std::size_t done = 0; done < batch_.size(); done += kBatchBytes) {
      const std::string_view part = std::string_view(batch_).substr(done, kBatchBytes);
      send(LZ4F_compressUpdate(lz4_, packed_.data(), packed_.size(), part.data(), part.size(),
                               nullptr));
    }
    batch_.clear();
  }

  void send(std::size_t result) {
    KV_CHECK(LZ4F_isError(result) == 0, "LZ4: {}", LZ4F_getErrorName(result));
    sink_({packed_.data(), result});
  }

  Sink sink_;
  LZ4F_cctx* lz4_ = nullptr;
  std::vector<char> packed_;
  std::string batch_;
  trace::Item item_;
  RequestDigest digest_;
  std::uint64_t written_ = 0;
};

}  // namespace

std::unique_ptr<TraceWriter> make_kvsim_writer(TraceWriter::Sink sink) {
  return std::make_unique<KvsimWriter>(std::move(sink));
}

}  // namespace kvsim
