// The other end of the bench "network": takes messages and answers each, a thread for every
// connection. Runs in the bench's own process for loopback, or by hand on another machine.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "sim/base/units.hpp"

namespace kvsim {

// Closes a file descriptor when it goes.
class Socket {
 public:
  explicit Socket(int descriptor = -1) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();
  [[nodiscard]] int get() const { return descriptor_; }

 private:
  int descriptor_;
};

// What a client says first: how long its messages are, and whether it wants them back (else one
// byte).
struct NetworkHello {
  static constexpr std::uint64_t kMagic = 0x6b7673696d6e6574;  // "kvsimnet"
  static constexpr std::int64_t kLargest = std::int64_t{1} << 30;
  std::uint64_t magic = kMagic;
  std::int64_t bytes = 1;
  std::uint64_t echo = 0;
};

// Where messages of `bytes` lie in a buffer, one behind the other and round again: larger ones come
// from memory, as values do, not from caches.
class MessageRing {
 public:
  explicit MessageRing(std::size_t bytes);
  [[nodiscard]] std::size_t size() const { return size_; }
  // The next one's offset.
  std::size_t next();

 private:
  std::size_t bytes_;
  std::size_t size_;
  std::size_t at_ = 0;
};

// All of it, or EnvironmentError: the other end is gone, or said nothing for ten seconds.
void send_all(const Socket& socket, const void* data, std::size_t size);
void receive_all(const Socket& socket, void* data, std::size_t size);

class NetworkPeer {
 public:
  // Listens at once; port 0 = any that is free. EnvironmentError when it cannot.
  NetworkPeer(const std::string& address, int port);
  ~NetworkPeer();
  NetworkPeer(const NetworkPeer&) = delete;
  NetworkPeer& operator=(const NetworkPeer&) = delete;
  [[nodiscard]] int port() const { return port_; }

  // Answers whoever connects, until stop(); for `kvsim calibrate --serve-network PORT`.
  void serve();
  // From any thread; connections are closed.
  void stop();

 private:
  void answer(int descriptor);
  Socket listening_;
  int port_ = 0;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::list<std::thread> threads_;
  std::list<int> open_;
};

// Connects within ten seconds, without delay of small segments. EnvironmentError naming host and
// port when it cannot.
[[nodiscard]] Socket connect_to(const std::string& host, int port);

}  // namespace kvsim
