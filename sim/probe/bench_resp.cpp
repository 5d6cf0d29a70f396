// Redis, Valkey or Kvrocks over the RESP protocol: the one that --store names, or one started here.
//
// "set" overwrites values, "get" and "get/missing", "exists". As many blocking threads as callers,
// each with a connection of its own, as LMCache's resp:// client has them. Beside elapsed time it
// sees who worked: CPU time of the calling threads and of the server, for each command, and how
// many pages our own server had to get from the kernel.
#include <fmt/format.h>

#include <atomic>
#include <cctype>
#include <ctime>
#include <fstream>
#include <optional>
#include <sstream>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/probe/bench.hpp"
#include "sim/probe/bench_resp_keys.hpp"
#include "sim/probe/resp_server_process.hpp"

namespace kvsim {
namespace {

Seconds cpu_of_this_thread() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return Seconds(static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9);
}

using Info = std::map<std::string, std::string>;

double number(const Info& info, const std::string& name) {
  const auto found = info.find(name);
  return found == info.end() || found->second.empty() ? 0 : std::stod(found->second);
}

// "redis", "valkey" or "kvrocks", and its version. Valkey and Kvrocks state redis_version too.
std::pair<std::string, std::string> kind_of(const Info& info) {
  for (const char* kind : {"valkey", "kvrocks", "redis"})
    if (const auto found = info.find(kind + std::string("_version")); found != info.end())
      return {kind, found->second};
  return {"unknown", ""};
}

struct ServerCpu {
  double all = 0;
  double main = 0;  // the thread that executes; 0 = not told
};

ServerCpu cpu_of(const Info& info) {
  return {number(info, "used_cpu_user") + number(info, "used_cpu_sys"),
          number(info, "used_cpu_user_main_thread") + number(info, "used_cpu_sys_main_thread")};
}

// Pages that a process of this machine first touched, so far.
double page_faults_of(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/stat", process));
  std::string line;
  std::getline(file, line);
  // After the name in brackets: state, six numbers, then the faults.
  std::istringstream fields(line.substr(std::min(line.size(), line.rfind(')') + 1)));
  std::string skipped;
  for (int i = 0; i < 7; ++i) fields >> skipped;
  double faults = 0;
  fields >> faults;
  return faults;
}

Bytes available_memory() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::int64_t kilobytes = 0;
  for (std::string unit; file >> name >> kilobytes; std::getline(file, unit))
    if (name == "MemAvailable:") return Bytes(kilobytes * 1024);
  return Bytes(0);
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0;
}

class RespBench final : public Bench {
 public:
  struct Options {
    std::string url;
    std::string server;
    std::int64_t io_threads = 1;
    std::string kv_dtype = "bf16";
    Seconds time_out{30};
    template <class F>
    void fields(F& f) {
      f.optional("url", url,
                 "redis://[[user]:password@]host[:port][/database]; none: one is started here.");
      f.optional("server", server,
                 "Program to start. Default: redis-server, else valkey-server, from the PATH.");
      f.optional("io_threads", io_threads, Range{1, 128}, "Of the server that is started here.");
      f.choice("kv_dtype", kv_dtype, {"bf16", "fp16", "fp8"}, "What the values look like.");
      f.optional("time_out_s", time_out, Range{0.01, 1e4}, "Longest wait for the server.");
    }
  };
  RespBench(const Options& options, const Context& context) : options_(options) {
    if (options.url.empty()) {
      const std::string threads = fmt::format("io-threads {}", options.io_threads);
      const std::vector<std::string> settings = {threads, "io-threads-do-reads yes"};
      own_.emplace(context.scratch, options.server,
                   options.io_threads > 1 ? settings : std::vector<std::string>{});
      target_ = own_->target();
    } else {
      target_ = parse_resp_url(options.url);
    }
    RespConnection(target_, options.time_out).command({"PING"});
  }

  [[nodiscard]] std::vector<std::string> operations() const override {
    return {"set", "get", "get/missing", "exists"};
  }
  [[nodiscard]] Json identity() const override;
  Sample measure(const BenchOperation& operation, const Patience& patience) override;
  [[nodiscard]] Bytes needs(const BenchOperation& operation) const override;

 private:
  struct Seen {
    std::atomic<std::int64_t> commands{0};
    std::atomic<double> client_cpu{0};  // seconds
  };
  class Worker;
  void check_memory(const BenchOperation& operation, const Info& info) const;
  void prepare(const BenchOperation& operation, const Info& info);
  [[nodiscard]] double page_faults() const { return own_ ? page_faults_of(own_->process()) : 0; }
  [[nodiscard]] bool loopback() const { return is_loopback(target_.host); }

  Options options_;
  std::optional<RespServerProcess> own_;
  RespTarget target_;
  std::unique_ptr<RespKeys> keys_;
};

// One caller: its connection, and the keys that it goes through in turn.
class RespBench::Worker {
 public:
  Worker(RespBench& bench, const BenchOperation& operation, Seen& seen, std::int64_t number)
      : keys_(*bench.keys_),
        operation_(operation),
        seen_(seen),
        connection_(bench.target_, bench.options_.time_out),
        index_(number) {}

  Seconds once() {
    index_ = index_ + operation_.at_once < keys_.count() ? index_ + operation_.at_once
                                                         : index_ % operation_.at_once;
    const bool gets = operation_.name == "get";
    if (gets) keys_.spoil(index_);
    const Seconds cpu = cpu_of_this_thread();
    const Stopwatch watch;
    const bool right = command();
    const Seconds elapsed = watch.elapsed();
    seen_.client_cpu += (cpu_of_this_thread() - cpu).count();
    ++seen_.commands;
    if (!right || (gets && !keys_.intact(index_, first_)))
      throw EnvironmentError(fmt::format("{}: data came back wrong", operation_.name));
    first_ = false;
    return elapsed;
  }

 private:
  // False when the answer is not what it must be.
  bool command() {
    const std::string& key = keys_.key(index_);
    if (operation_.name == "get") return connection_.get(key, keys_.buffer(index_));
    if (operation_.name == "exists") return connection_.exists(key);
    if (operation_.name == "get/missing")
      return !connection_.get(keys_.missing_key(index_), keys_.buffer(index_));
    connection_.set(key, keys_.buffer(index_));
    return true;
  }

  RespKeys& keys_;
  const BenchOperation& operation_;
  Seen& seen_;
  RespConnection connection_;
  std::int64_t index_;
  bool first_ = true;
};

Json RespBench::identity() const {
  RespConnection connection(target_, options_.time_out);
  const Info info = connection.info();
  const auto [kind, version] = kind_of(info);
  Json out = {{"server", kind},
              {"version", version},
              {"reached_over", loopback() ? "loopback" : "network"},
              {"started_here", own_.has_value()},
              {"maxmemory_bytes", number(info, "maxmemory")}};
  if (const auto policy = info.find("maxmemory_policy"); policy != info.end())
    out["maxmemory_policy"] = policy->second;
  for (const char* name : {"io-threads", "workers"}) {
    try {
      const std::vector<std::string> answer = connection.command({"CONFIG", "GET", name});
      if (answer.size() == 2) out[name] = answer[1];
    } catch (const EnvironmentError&) {
      // Not everybody may ask.
    }
  }
  return out;
}

Bytes RespBench::needs(const BenchOperation& operation) const {
  const std::int64_t keys = RespKeys::count_for(operation.bytes, operation.at_once);
  // Allocations are up to a quarter larger; each command under way holds its value once more.
  const double bytes = operation.bytes.real() + 512;
  return Bytes(
      static_cast<std::int64_t>(bytes * 1.25 * static_cast<double>(keys + operation.at_once)));
}

void RespBench::check_memory(const BenchOperation& operation, const Info& info) const {
  const auto giga = [](double bytes) { return bytes / 1e9; };
  const double needed = needs(operation).real();
  const double most = number(info, "maxmemory");
  const double used = number(info, "used_memory");
  const auto refuse = [&](const std::string& found) {
    throw EnvironmentError(fmt::format(
        "{}: {} of {} bytes by {} at once needs {:.3g} GB of the server; found: {}", target_.name(),
        operation.name, operation.bytes.count(), operation.at_once, giga(needed), found));
  };
  if (most > 0 && used + needed > most)
    refuse(fmt::format("maxmemory {:.3g} GB, of which {:.3g} are used", giga(most), giga(used)));
  // On the own machine our buffers come on top.
  const double free = loopback()
                          ? available_memory().real()
                          : number(info, "total_system_memory") - number(info, "used_memory_rss");
  const double all = loopback() ? 2 * needed : needed;
  const bool told = loopback() || number(info, "total_system_memory") > 0;
  if (told && all > free) refuse(fmt::format("{:.3g} GB free on its machine", giga(free)));
}

void RespBench::prepare(const BenchOperation& operation, const Info& info) {
  const std::int64_t count = RespKeys::count_for(operation.bytes, operation.at_once);
  if (keys_ && keys_->options().bytes == operation.bytes && keys_->count() >= count) return;
  keys_.reset();
  check_memory(operation, info);
  keys_ = std::make_unique<RespKeys>(
      target_, options_.time_out,
      RespKeys::Options{.bytes = operation.bytes, .count = count, .kv_dtype = options_.kv_dtype});
}

Sample RespBench::measure(const BenchOperation& operation, const Patience& patience) {
  RespConnection watcher(target_, options_.time_out);
  const Info before = watcher.info();
  prepare(operation, before);
  Seen seen;
  std::vector<std::unique_ptr<Worker>> workers;
  for (std::int64_t i = 0; i < operation.at_once; ++i)
    workers.push_back(std::make_unique<Worker>(*this, operation, seen, i));
  const double faults = page_faults();
  const ServerCpu began = cpu_of(watcher.info());
  Sample out = kvsim::measure(operation, patience, [&](std::int64_t caller) {
    return workers[static_cast<std::size_t>(caller)]->once();
  });
  const ServerCpu ended = cpu_of(watcher.info());
  const auto commands = static_cast<double>(seen.commands);
  out.extra = {{"client_cpu_s", seen.client_cpu / commands},
               {"server_cpu_s", (ended.all - began.all) / commands}};
  if (ended.main > 0)
    out.extra.emplace_back("server_main_thread_cpu_s", (ended.main - began.main) / commands);
  if (own_) out.extra.emplace_back("server_page_faults", (page_faults() - faults) / commands);
  if (!loopback()) out.extra.emplace_back("over_network", 1);
  out.extra.emplace_back("on_" + kind_of(before).first, 1);
  return out;
}

const Register<Bench, RespBench> kRegistered(
    "resp", "Redis, Valkey or Kvrocks by blocking C clients: get, set, exists.");

}  // namespace
}  // namespace kvsim
