// A RESP store over loopback: blocking clients that stream, a server of one thread, and the cores
// and memory that they share.
//
// Left out: caches (an end that runs beside the other on a core of its own costs more than one that
// runs after it), a scheduler's time slices, Kvrocks' RocksDB (its front only: as Redis).
#include <algorithm>
#include <cmath>

#include "sim/base/registry.hpp"
#include "sim/calibrate/lane_fit.hpp"
#include "sim/calibrate/lane_resp_fit.hpp"
#include "sim/des/waiting.hpp"
#include "sim/store/memory_store.hpp"
#include "sim/store/store_client.hpp"

namespace kvsim {
namespace {

constexpr std::int64_t kKiB = 1 << 10;
constexpr std::int64_t kMiB = 1 << 20;

struct Points {
  std::int64_t bytes;
  std::vector<std::int64_t> at_once;
};

CpuOptions cpu_of(const Figures& figures) {
  return read_config<CpuOptions>(ConfigNode(figures_at(figures, "cpu"), "cpu"));
}

// Which server the samples are of.
std::string kind_of(const std::vector<Sample>& samples) {
  for (const char* kind : {"valkey", "kvrocks"})
    if (!samples.empty() && samples[0].seen(std::string("on_") + kind)) return kind;
  return "redis";
}

// One world of the twin.
class Twin {
 public:
  Twin(Tasks& tasks, const BenchOperation& operation, const Figures& figures)
      : operation_(operation),
        host_(tasks, "twin", cpu_of(figures), Bytes(0)),
        wire_(tasks, {.round_trip = Seconds(round_trip(figures))}),
        store_(make_store(tasks, host_, figures)),
        route_({.shards = {{store_.get(), &wire_, &host_}}}),
        client_(tasks, host_, route_, "twin.client", client_options(figures), 0) {
    for (std::int64_t i = 0; i < operation.at_once; ++i)
      store_->preload(static_cast<StoreKey>(i), operation.bytes);
  }
  [[nodiscard]] Task once(std::int64_t caller) {
    Command command{.verb = verb(), .key = static_cast<StoreKey>(caller)};
    if (operation_.name == "get/missing") command.key += kNotThere;
    if (command.verb == Verb::kPut) command.bytes = operation_.bytes;
    co_await client_.run(command);
  }

 private:
  static constexpr StoreKey kNotThere = 1'000'000;
  [[nodiscard]] Verb verb() const {
    if (operation_.name == "set") return Verb::kPut;
    return operation_.name == "exists" ? Verb::kExists : Verb::kGet;
  }
  static double round_trip(const Figures& figures) {
    return figures_at(figures, "network").value("loopback_round_trip_s", 0.0);
  }
  static std::unique_ptr<Store> make_store(Tasks& tasks, Host& host, const Figures& figures) {
    const Json stores = figures_at(figures, "stores");
    Json config = Json::object();
    for (const char* kind : {"redis", "valkey"})
      if (config.empty()) config = figures_at(stores, kind);
    config["kind"] = "redis";
    config["maxmemory_bytes"] = 1e14;
    if (!config.contains("io_threads")) config["io_threads"] = 1;
    return Registry<Store>::instance().make(ConfigNode(config, "stores"),
                                            {.tasks = tasks, .host = host, .name = "twin"});
  }
  [[nodiscard]] ClientOptions client_options(const Figures& figures) const {
    const Json config = figures_at(figures_at(figures, "clients"), "resp");
    ClientOptions out = read_config<ClientOptions>(ConfigNode(config, "clients"));
    out.blocking = true;
    out.threads = std::max(out.threads, operation_.at_once);
    return out;
  }

  BenchOperation operation_;
  Host host_;
  Wire wire_;
  std::unique_ptr<Store> store_;
  StoreRoute route_;
  StoreClient client_;
};

struct Callers {
  Callers(Tasks& tasks, std::int64_t count) : left(tasks, count) {}
  Seconds sum{0};
  Countdown left;
};

constexpr int kUncounted = 3;
constexpr int kCounted = 6;

Task call(Tasks& tasks, Twin& twin, std::int64_t caller, Seconds after, Callers& all) {
  co_await tasks.sleep(after);
  for (int i = 0; i < kUncounted + kCounted; ++i) {
    const Seconds began = tasks.now();
    co_await twin.once(caller);
    if (i >= kUncounted) all.sum += tasks.now() - began;
  }
  all.left.one_less();
}

class RespModel final : public LaneModel {
 public:
  using Options = NoOptions;
  RespModel(const Options&, const Context&) {}

  std::vector<BenchOperation> plan(bool full) const override {
    std::vector<Points> values = {
        {64 * kKiB, {1, 4, 16}}, {kMiB, {1, 4, 16}}, {4 * kMiB, {1, 8}}, {16 * kMiB, {1, 4}}};
    if (full)
      values = {{kKiB, {1, 16}},          {16 * kKiB, {1, 4}},        {64 * kKiB, {1, 2, 4, 8, 16}},
                {256 * kKiB, {1, 4, 16}}, {kMiB, {1, 2, 4, 8, 16}},   {4 * kMiB, {1, 2, 4, 8, 16}},
                {8 * kMiB, {1, 4, 16}},   {16 * kMiB, {1, 2, 4, 16}}, {32 * kMiB, {1, 4}},
                {128 * kMiB, {1}}};
    std::vector<BenchOperation> out;
    for (const std::int64_t at_once : {1, 2, 4, 16})
      out.push_back({"exists", Bytes(kKiB), at_once});
    out.push_back({"get/missing", Bytes(kKiB), 1});
    for (const Points& point : values)
      for (const char* verb : {"set", "get"})
        for (const std::int64_t at_once : point.at_once)
          out.push_back({verb, Bytes(point.bytes), at_once});
    return out;
  }

  std::vector<FittedFigure> fit(const std::vector<Sample>& samples,
                                Figures& figures) const override;

  Task run(Tasks& tasks, BenchOperation operation, const Figures& figures,
           Seconds& mean) const override {
    Twin twin(tasks, operation, figures);
    // Real callers drift apart: these begin one after another, and what they did in turn first
    // tells how far apart.
    const Seconds began = tasks.now();
    co_await twin.once(0);
    const Seconds apart = (tasks.now() - began) / static_cast<double>(operation.at_once);
    Callers all(tasks, operation.at_once);
    for (std::int64_t i = 0; i < operation.at_once; ++i)
      tasks.start(call(tasks, twin, i, apart * static_cast<double>(i), all));
    co_await all.left.wait();
    mean = all.sum / static_cast<double>(operation.at_once * kCounted);
  }
};

// Takes fitted costs to where they belong.
class Writer {
 public:
  explicit Writer(Figures& figures) : figures_(figures) {}
  void seconds(const std::string& path, const FittedFigure& found) {
    put({path, found.value, found.low, found.high});
  }
  void rate(const std::string& path, const FittedFigure& found) {
    // Above what any option allows, the cost did not show: what remains is free.
    constexpr double kMost = 1e12;
    put({path, std::min(kMost, 1 / found.value), std::min(kMost, 1 / found.high),
         std::min(kMost, 1 / found.low)});
  }
  // In copies at this rate, beyond those counted.
  void copies(const std::string& path, const FittedFigure& found, Bandwidth copy, double counted) {
    const auto beyond = [&](double cost) { return std::max(0.0, cost * copy.count() - counted); };
    put({path, beyond(found.value), beyond(found.low), beyond(found.high)});
  }
  std::vector<FittedFigure> take() { return std::move(out_); }

 private:
  void put(FittedFigure figure) {
    figures_[Json::json_pointer(figure.path)] = figure.value;
    out_.push_back(std::move(figure));
  }
  Figures& figures_;
  std::vector<FittedFigure> out_;
};

std::vector<FittedFigure> RespModel::fit(const std::vector<Sample>& samples,
                                         Figures& figures) const {
  if (samples.empty()) return {};
  const CpuOptions cpu = cpu_of(figures);
  const RespOptions standard;
  const bool loopback = !samples[0].seen("over_network");
  const RespCosts found = fit_resp_costs(
      samples, {.cpu = cpu, .loopback = loopback, .fresh_from = standard.fresh_from});
  Writer writer(figures);
  figures["clients"]["resp"] = {{"threads", 8}, {"blocking", true}, {"streams", true}};
  writer.seconds("/clients/resp/command_s", found.client_command);
  writer.rate("/clients/resp/send_bytes_per_s", found.send);
  writer.rate("/clients/resp/receive_bytes_per_s", found.receive);
  const std::string kind = kind_of(samples);
  const std::string store = "/stores/" + kind;
  writer.seconds(store + "/command_s", found.server_command);
  // What RocksDB spends is told apart by its own lane.
  if (kind != "kvrocks") {
    writer.copies(store + "/tcp_copies", found.take_in, cpu.copy, standard.copies_in);
    writer.copies(store + "/tcp_copies_out", found.send_out, cpu.copy, standard.copies_out);
    writer.copies(store + "/fresh_copies", found.fresh, cpu.copy, 0);
  }
  writer.seconds(loopback ? "/network/loopback_round_trip_s" : "/network/round_trip_s",
                 found.round_trip);
  return writer.take();
}

const Register<LaneModel, RespModel> kRegistered(
    "resp", "StoreClient, Wire, and Redis or Valkey on one Host.");

}  // namespace
}  // namespace kvsim
