// Chunks in a store behind a gateway process: one key for each chunk and rank, a staging buffer in
// the worker process, nothing kept there.
//
//   load    gateway -> staging buffer -> kernels into the pages, in portions that fit the buffer
//   store   pages -> staging buffer, then the gateway, in the background; what finds no room in the
//           buffer is dropped
//
// Loads and stores are part of the step, as LMCache's in-process connector has them, or take their
// own time. A tensor-parallel rank's buffer stands for that of all.
#include "sim/base/registry.hpp"
#include "sim/kv/codec.hpp"
#include "sim/kv/conn_chunk_store.hpp"
#include "sim/kv/conn_chunked.hpp"
#include "sim/kv/conn_copy.hpp"
#include "sim/kv/conn_gateway_process.hpp"

namespace kvsim {
namespace {

struct GatewayOptions {
  std::string store;
  std::int64_t chunk_tokens = 256;
  Bytes staging{4'000'000'000};
  bool in_step = false;
  bool save_decode = false;
  Json serde = "naive";
  GatewayProcessOptions gateway;
  ClientOptions client{1, true, Seconds(50e-6), Bandwidth(1.5e9), Bandwidth(1.5e9)};
  ChunkStoreOptions limits;
  Seconds lookup_rpc{300e-6};
  Seconds kernel{20e-6};
  Seconds sync{20e-6};
  double load_efficiency = 0.75;

  template <class F>
  void fields(F& f) {
    f.required("store", store, "Name of a store.");
    f.optional("chunk_tokens", chunk_tokens, Range{1, 1 << 20}, "Tokens of a chunk.");
    f.optional("staging_bytes", staging, Range{0, 1e15},
               "Pinned memory of one tensor-parallel rank; less than a chunk: no tier.");
    f.optional("in_step", in_step, "Lookups, loads and stores hold the scheduler and steps up.");
    f.optional("save_decode_cache", save_decode, "Store generated tokens too.");
    f.optional("serde", serde, "A codec plug-in.");
    f.optional("gateway", gateway, "The process.");
    f.optional("client", client, "The worker process's threads and CPU. Default: assumed.");
    limits.fields(f);
    f.optional("lookup_rpc_s", lookup_rpc, Range{0, 1},
               "Between scheduler and worker, a round trip. Default: assumed.");
    f.optional("kernel_s", kernel, Range{0, 1}, "Launching a gather or scatter. Default: assumed.");
    f.optional("sync_s", sync, Range{0, 1},
               "Waiting for a stream, per stored chunk. Default: assumed.");
    f.optional("load_efficiency", load_efficiency, Range{0.01, 1},
               "Of the host link's rate, when kernels read pinned memory. Default: assumed.");
  }
};

class Gateway final : public ChunkedConnector {
 public:
  using Options = GatewayOptions;

  Gateway(const Options& options, const Context& context)
      : ChunkedConnector(context, options.chunk_tokens, protocol(options, context)),
        options_(options),
        codec_(Registry<Codec>::instance().make(ConfigNode(options_.serde, "serde"),
                                                {context.kv_dtype})),
        route_(context.stores.find(options.store)),
        host_(GatewayProcess::host_of(options.gateway, context.host, route_)),
        loopback_(context.tasks, {.round_trip = options.gateway.loopback}),
        wire_(options.gateway.place == "client" ? loopback_ : *route_.shards.front().wire),
        threads_(context.tasks, context.name + ".client", "client",
                 static_cast<std::int32_t>(options.client.threads * context.ranks)),
        capacity_(std::max<std::int64_t>(0, options.staging / keys().bytes())),
        staging_(context.tasks, context.name + ".staging", "slots",
                 static_cast<std::int32_t>(std::max<std::int64_t>(1, capacity_))),
        taking_(context.tasks, context.name + ".taking", "slots", 1),
        chunks_(context.tasks, context.name + ".gateway", limits(), way(), way()) {
    process_ = &host_.services().shared<GatewayProcess>("gateway to " + options.store, [&] {
      first_ = true;
      return std::make_unique<GatewayProcess>(context.tasks, host_, route_,
                                              host_.name() + ".gateway", options.gateway);
    });
  }

  std::vector<TierUse> tiers() const override {
    TierUse use;
    use.name = options_.store;
    use.stored_bytes = chunks_.stored().count();
    use.dropped_tokens = dropped_tokens_;
    use.failed_loads = chunks_.failed();
    use.bypassed = chunks_.bypassed();
    return {use};
  }
  Bytes dram() const override { return options_.staging * context().ranks; }
  std::vector<ResourceUse> resources() const override {
    std::vector<ResourceUse> out = {threads_.use()};
    if (first_) out.push_back(process_->use());
    return out;
  }
  std::vector<std::string> warnings() const override {
    const Json& serde = options_.serde;
    return codec_->warnings((serde.is_object() ? serde["kind"] : serde).get<std::string>());
  }

 private:
  static Protocol protocol(const Options& options, const Context& context) {
    const Bytes chunk = context.block_bytes * (options.chunk_tokens / context.block_tokens);
    return {.off = options.staging < chunk,
            .in_step = options.in_step,
            .store_generated = options.save_decode};
  }
  ChunkStoreOptions limits() const {
    ChunkStoreOptions out = options_.limits;
    out.ranks = context().one_rank_holds_all ? 1 : context().ranks;
    out.ratio = codec_->ratio();
    return out;
  }
  // With one key a command, as many under way as the gateway has threads; else whole requests.
  ChunkStore::Way way() {
    constexpr std::int64_t kAll = 1 << 30;
    const GatewayProcessOptions& gateway = options_.gateway;
    const std::int64_t batch = gateway.batch > 0 ? gateway.batch : kAll;
    return {[this](std::vector<Command>& commands) { return carry(commands); },
            gateway.one_key() ? gateway.threads : options_.client.threads * context().ranks,
            gateway.one_key() ? 1 : batch};
  }

  Task find(std::shared_ptr<ChunkLookup> lookup) override {
    co_await tasks().sleep(options_.lookup_rpc);
    std::int64_t found = 0;
    co_await chunks_.lookup(lookup->chunks, found);
    lookup->by_tier[0] = found;
  }
  void let_go(ChunkLookup&) override {}
  Task bring(std::shared_ptr<ChunkLookup> lookup, std::int64_t first, std::int64_t end,
             Brought& brought) override;
  Task save(std::vector<ChunkPart> chunks) override;

  Task carry(std::vector<Command>& commands);
  Task spend(Seconds cpu, Bytes raw, Bandwidth codec, StageTimes& times);
  Task put(std::vector<ChunkPart> chunks, std::vector<Hold> memory);

  Options options_;
  std::unique_ptr<Codec> codec_;
  const StoreRoute& route_;
  Host& host_;  // of the gateway
  Wire loopback_;
  Wire& wire_;  // to the gateway
  Threads threads_;
  std::int64_t capacity_;  // chunks in the staging buffer
  Threads staging_;        // a slot for each
  Threads taking_;         // who takes slots: one load at a time, or two could wait for each other
  ChunkStore chunks_;
  GatewayProcess* process_ = nullptr;
  bool first_ = false;  // of those who share the process: speaks for it
  std::int64_t dropped_tokens_ = 0;
};

// The worker process's part: its CPU, the way to the gateway and back.
Task Gateway::carry(std::vector<Command>& commands) {
  const auto rate = [](Bytes bytes, Bandwidth rate) { return Codec::time(bytes, rate); };
  StageTimes& times = commands.front().times;
  Bytes out{0};
  for (const Command& command : commands)
    if (command.verb == Verb::kPut) out += command.bytes;
  co_await spend(options_.client.command + rate(out, options_.client.send), out, codec_->encode(),
                 times);
  Seconds began = tasks().now();
  co_await wire_.send(bytes_out(commands));
  times[Stage::kNetwork] += tasks().now() - began;
  co_await process_->serve(commands);
  began = tasks().now();
  co_await wire_.receive(bytes_back(commands));
  times[Stage::kNetwork] += tasks().now() - began;
  Bytes back{0};
  for (const Command& command : commands)
    if (command.verb == Verb::kGet && command.answer == Answer::kFound) back += command.bytes;
  co_await spend(rate(back, options_.client.receive), back, codec_->decode(), times);
}

Task Gateway::spend(Seconds cpu, Bytes encoded, Bandwidth codec, StageTimes& times) {
  if (route_.free_client) co_return;
  const Seconds entered = tasks().now();
  const Hold thread = co_await threads_.acquire();
  co_await context().host.compute(cpu);
  times[Stage::kClient] += tasks().now() - entered;
  if (encoded == Bytes(0) || codec <= Bandwidth(0)) co_return;
  const Seconds began = tasks().now();
  const Bytes raw(static_cast<std::int64_t>(encoded.real() * codec_->ratio()));
  co_await context().host.compute(raw / codec);
  times[Stage::kCodec] += tasks().now() - began;
}

Task Gateway::bring(std::shared_ptr<ChunkLookup> lookup, std::int64_t, std::int64_t end,
                    Brought& brought) {
  while (brought.ready < end) {
    const std::int64_t portion = std::min(end - brought.ready, capacity_);
    std::vector<Hold> memory;
    {
      const Hold turn = co_await taking_.acquire();
      for (std::int64_t i = 0; i < portion; ++i) memory.push_back(co_await staging_.acquire());
    }
    const auto from = lookup->chunks.begin() + brought.ready;
    std::int64_t fetched = 0;
    co_await chunks_.fetch({from, from + portion}, fetched, brought.times);
    if (fetched > 0) {
      const Seconds began = tasks().now();
      const Bytes bytes = keys().bytes() * fetched;
      Lane::Job job;
      job.setup =
          options_.kernel * static_cast<double>(fetched) + Codec::time(bytes, codec_->gpu_decode());
      job.bytes = bytes;
      job.rate_limit = context().to_device_rate * options_.load_efficiency;
      co_await copy_over(tasks(), context().to_device, std::move(job));
      brought.times[Stage::kCopy] += tasks().now() - began;
    }
    brought.ready += fetched;
    if (fetched < portion) break;
  }
}

Task Gateway::save(std::vector<ChunkPart> chunks) {
  std::vector<Hold> memory;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    if (staging_.free() == 0) {
      dropped_tokens_ += keys().tokens() * static_cast<std::int64_t>(chunks.size() - i);
      chunks.resize(i);
      break;
    }
    memory.push_back(co_await staging_.acquire());
  }
  if (chunks.empty()) co_return;
  const auto count = static_cast<std::int64_t>(chunks.size());
  Lane::Job job;
  job.bytes = keys().bytes() * count;
  job.setup = (options_.kernel + options_.sync) * static_cast<double>(count) +
              Codec::time(job.bytes, codec_->gpu_encode());
  co_await copy_over(tasks(), context().to_host, std::move(job));
  tasks().start(put(std::move(chunks), std::move(memory)));
}

Task Gateway::put(std::vector<ChunkPart> chunks, std::vector<Hold> memory) {
  co_await chunks_.put(std::move(chunks));
  memory.clear();
}

const Register<Connector, Gateway> kRegistered("gateway",
                                               "Chunks in a store behind a gateway process.");

}  // namespace
}  // namespace kvsim
