// TCP for real: over loopback ("network"), or to another machine, where somebody has started
// `kvsim calibrate --serve-network PORT` ("network_peer").
//
// "round-trip": one byte there, one byte back. "stream": so many bytes there, one byte back when
// the last has arrived. A connection for each caller, blocking, with a thread of its own at either
// end; large messages lie behind each other in
// buffers that are used again and again. A message that is sent back at the end is compared with
// what was sent. Short ones are timed by the batch (batch.hpp).
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "sim/base/errors.hpp"
#include "sim/base/registry.hpp"
#include "sim/probe/batch.hpp"
#include "sim/probe/bench.hpp"
#include "sim/probe/bench_network_peer.hpp"
#include "sim/probe/kv_bytes.hpp"
#include "sim/probe/machine.hpp"

namespace kvsim {
namespace {

// One caller's connection.
class Connection {
 public:
  Connection(const std::string& host, int port, std::int64_t bytes, bool echo, std::uint64_t seed)
      : socket_(connect_to(host, port)),
        bytes_(static_cast<std::size_t>(bytes)),
        ring_(bytes_),
        messages_(ring_.size()) {
    fill_kv_bytes(messages_, "bf16", seed);
    NetworkHello hello;
    hello.bytes = bytes;
    hello.echo = echo ? 1 : 0;
    send_all(socket_, &hello, sizeof hello);
  }
  void once() {
    send_all(socket_, messages_.data() + ring_.next(), bytes_);
    char reply = 0;
    receive_all(socket_, &reply, sizeof reply);
  }
  [[nodiscard]] bool comes_back() {
    // Received beside sending: neither end has room for all of it.
    const std::byte* message = messages_.data() + ring_.next();
    std::vector<std::byte> back(bytes_);
    std::exception_ptr failure;
    std::thread sender([&] {
      try {
        send_all(socket_, message, bytes_);
      } catch (...) {
        failure = std::current_exception();
      }
    });
    try {
      receive_all(socket_, back.data(), back.size());
    } catch (...) {
      sender.join();
      throw;
    }
    sender.join();
    if (failure) std::rethrow_exception(failure);
    return std::equal(back.begin(), back.end(), message);
  }

 private:
  Socket socket_;
  std::size_t bytes_;
  MessageRing ring_;
  std::vector<std::byte> messages_;
};

// Messages to one other end, wherever that is.
class TcpBench : public Bench {
 public:
  std::vector<std::string> operations() const override { return {"round-trip", "stream"}; }
  Json identity() const override {
    return {{"transport", "TCP"},
            {"other_end", fmt::format("{}:{}", host_, port_)},
            {"processor", processor_name()},
            {"cores", cores_}};
  }
  Bytes needs(const BenchOperation&) const override { return Bytes(0); }

  Sample measure(const BenchOperation& operation, const Patience& patience) override {
    check(operation);
    std::deque<Connection> connections;
    for (std::int64_t i = 0; i < operation.at_once; ++i)
      connections.emplace_back(host_, port_, operation.bytes.count(), false,
                               static_cast<std::uint64_t>(i));
    const Seconds span = batch_span(operation.at_once * threads_here_, cores_);
    CoreTime core_time;
    Sample sample = kvsim::measure(operation, patience, [&](std::int64_t caller) {
      Connection& mine = connections[static_cast<std::size_t>(caller)];
      return mean_of_batch(span, core_time, [&mine] { mine.once(); });
    });
    core_time.add_to(sample);
    Connection checking(host_, port_, operation.bytes.count(), true, 0);
    if (!checking.comes_back())
      throw EnvironmentError(operation.name + ": bytes came back changed");
    return sample;
  }

 protected:
  // threads_here: of a connection, on this machine.
  TcpBench(std::string host, int port, std::int64_t threads_here)
      : cores_(usable_cores()), host_(std::move(host)), port_(port), threads_here_(threads_here) {}

 private:
  void check(const BenchOperation& operation) const {
    const std::vector<std::string> known = operations();
    if (std::find(known.begin(), known.end(), operation.name) == known.end())
      throw EnvironmentError(fmt::format("network: found operation {}; allowed: {}", operation.name,
                                         join_names(known)));
    const std::int64_t bytes = operation.bytes.count();
    if (bytes < 1 || bytes > NetworkHello::kLargest)
      throw EnvironmentError(fmt::format("{}: found {} bytes; allowed: 1 to {}", operation.name,
                                         bytes, NetworkHello::kLargest));
    const double needed = 2.0 *
                          static_cast<double>(MessageRing(static_cast<std::size_t>(bytes)).size()) *
                          static_cast<double>(operation.at_once);
    constexpr double kMost = 0.8;
    if (needed > kMost * available_memory().real())
      throw EnvironmentError(fmt::format("{}: needs {:.3g} GB of memory; available: {:.3g} GB",
                                         operation.name, needed / 1e9,
                                         available_memory().real() / 1e9));
  }

  std::int64_t cores_;
  std::string host_;
  int port_;
  std::int64_t threads_here_;
};

// A peer that answers while this is there: before the bench that uses it.
class OwnPeer {
 public:
  OwnPeer() : peer_("127.0.0.1", 0), serving_([this] { peer_.serve(); }) {}
  ~OwnPeer() {
    peer_.stop();
    serving_.join();
  }
  OwnPeer(const OwnPeer&) = delete;
  OwnPeer& operator=(const OwnPeer&) = delete;
  [[nodiscard]] int port() const { return peer_.port(); }

 private:
  NetworkPeer peer_;
  std::thread serving_;
};

class LoopbackBench final : private OwnPeer, public TcpBench {
 public:
  using Options = NoOptions;
  LoopbackBench(const Options&, const Context&) : TcpBench("127.0.0.1", OwnPeer::port(), 2) {}
};

struct PeerAddress {
  std::string host;
  int port = 0;
};

PeerAddress address_of(const std::string& peer) {
  const std::size_t colon = peer.rfind(':');
  PeerAddress out;
  if (colon != std::string::npos)
    out = {peer.substr(0, colon), std::atoi(peer.c_str() + colon + 1)};
  constexpr int kLastPort = 65535;
  if (out.host.empty() || out.port <= 0 || out.port > kLastPort)
    throw EnvironmentError(fmt::format("peer: found \"{}\"; allowed: HOST:PORT", peer));
  (void)connect_to(out.host, out.port);
  return out;
}

class PeerBench final : public TcpBench {
 public:
  struct Options {
    std::string peer;
    template <class F>
    void fields(F& f) {
      f.required("peer", peer, "HOST:PORT of the other end.");
    }
  };
  PeerBench(const Options& options, const Context&) : PeerBench(address_of(options.peer)) {}

 private:
  explicit PeerBench(const PeerAddress& address) : TcpBench(address.host, address.port, 1) {}
};

const Register<Bench, LoopbackBench> kLoopback("network", "TCP over loopback.");
const Register<Bench, PeerBench> kPeer("network_peer", "TCP to another machine.");

}  // namespace
}  // namespace kvsim
