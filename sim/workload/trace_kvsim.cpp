// Our own compact format (.kvt): sim/workload/trace.proto in LZ4 frames, written by `kvsim trace
// convert` and `kvsim trace generate`. As protobuf text an item reads
//
//   request { arrival_s: 0.25 output_tokens: 44 prompt { stream_step: 72057594037927936
//             length: 374 } answer_stream: 288230376151711744 }
//
// It keeps every field of a request, so a converted trace has the digest of the original. A file
// that was unpacked is read as well.
#include <fmt/format.h>

#include "sim/base/errors.hpp"
#include "sim/workload/line_reader.hpp"
#include "sim/workload/trace.pb.h"
#include "sim/workload/trace_format.hpp"
#include "sim/workload/trace_source.hpp"

namespace kvsim {

namespace {

constexpr std::string_view kSchema = "kvsim.trace/1";

class KvsimSource final : public TraceSource {
 public:
  explicit KvsimSource(TraceInput input) : bytes_(std::move(input.bytes)) {
    read_item();
    if (item_.header().schema() != kSchema)
      fail("the schema " + kvsim::quoted(item_.header().schema()), kvsim::quoted(kSchema));
  }

 protected:
  bool decode(Request& request) override {
    if (ended_) return false;
    read_item();
    if (item_.has_end()) {
      ended_ = true;
      if (item_.end().requests() != items_ - 2 || item_.end().sha256() != digest())
        fail("requests that do not agree with the digest at its end", "a file as it was written");
      if (!chunk_.empty() || !bytes_->next().empty())
        fail("more bytes after the end item", "one trace a file");
      return false;
    }
    if (!item_.has_request()) fail("an item of an unknown kind", "requests and an end");
    const trace::Request& in = item_.request();
    request.arrival = Seconds(in.arrival_s());
    request.output = Tokens(static_cast<std::int64_t>(in.output_tokens()));
    get_runs(in.prompt(), request.prompt);
    request.answer_stream = in.answer_stream();
    get_runs(in.answer(), request.answer);
    if (in.has_session()) request.session = static_cast<std::int64_t>(in.session());
    request.turn = static_cast<std::int32_t>(in.turn());
    request.last_turn = in.last_turn();
    request.think = Seconds(in.think_s());
    request.priority = in.priority();
    request.llm = static_cast<std::int32_t>(in.llm());
    request.tenant = static_cast<std::int32_t>(in.tenant());
    return true;
  }
  std::string place() const override { return fmt::format("{}: item {}", bytes_->name(), items_); }

 private:
  // Items are counted from 1, the header included.
  void read_item() {
    ++items_;
    std::size_t size = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(read(1).front());
      size |= static_cast<std::size_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) break;
      if (shift > 28) fail("a length of more than 2 GiB", "protobuf items with their lengths");
    }
    if (size > std::size_t{1} << 31) fail("an item of more than 2 GiB", "smaller ones");
    const std::string_view bytes = read(size);
    if (!item_.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      fail("bytes that are no item", "protobuf items with their lengths");
  }

  // Bytes that stay until the next call.
  std::string_view read(std::size_t size) {
    if (chunk_.size() >= size) {
      const std::string_view bytes = chunk_.substr(0, size);
      chunk_.remove_prefix(size);
      return bytes;
    }
    joined_ = chunk_;
    while (joined_.size() < size) {
      chunk_ = bytes_->next();
      if (chunk_.empty()) fail("the end of the file: it is cut off", "a file with its end item");
      const std::size_t part = std::min(size - joined_.size(), chunk_.size());
      joined_ += chunk_.substr(0, part);
      chunk_.remove_prefix(part);
    }
    return joined_;
  }

  void get_runs(const trace::Runs& in, std::vector<ContentRun>& out) const {
    const int runs = in.length_size();
    const bool offsets = in.offset_size() > 0;
    if (in.stream_step_size() != runs || (offsets && in.offset_size() != runs))
      fail("columns of unequal length", "one stream, offset and length a run");
    out.reserve(static_cast<std::size_t>(runs));
    std::uint64_t stream = 0;
    for (int i = 0; i < runs; ++i) {
      stream += static_cast<std::uint64_t>(in.stream_step(i));
      out.push_back({stream, offsets ? static_cast<std::int64_t>(in.offset(i)) : 0,
                     static_cast<std::int64_t>(in.length(i))});
      if (out.back().length <= 0 || out.back().offset < 0)
        fail("a run without tokens", "runs of at least 1 token");
    }
  }

  [[noreturn]] void fail(const std::string& found, const std::string& allowed) const {
    throw TraceError(fmt::format("{}: found {}; allowed: {}", place(), found, allowed));
  }

  std::unique_ptr<ByteStream> bytes_;
  std::string_view chunk_;
  std::string joined_;
  trace::Item item_;
  std::uint64_t items_ = 0;
  bool ended_ = false;
};

class Kvsim final : public TraceFormat {
 public:
  using Options = NoOptions;
  Kvsim(const Options&, const Context&) {}

  bool recognises(std::string_view head) const override {
    constexpr std::size_t kHeaderBytes = 32;
    return head.substr(0, kHeaderBytes).find("kvsim.trace/") != std::string_view::npos;
  }
  std::unique_ptr<RequestSource> open(TraceInput input) const override {
    return std::make_unique<KvsimSource>(std::move(input));
  }
};

const Register<TraceFormat, Kvsim> kRegistered("kvsim", "Our own: protobuf in LZ4 frames (.kvt).");

}  // namespace

}  // namespace kvsim
