#include "sim/probe/bench_network_peer.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/base/errors.hpp"

namespace kvsim {

namespace {

constexpr int kPatience_s = 10;

[[noreturn]] void fail(const std::string& what) {
  throw EnvironmentError(fmt::format("{}: {}", what, std::strerror(errno)));
}

void set_options(int descriptor, bool times_out) {
  const int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!times_out) return;
  const timeval patience{.tv_sec = kPatience_s, .tv_usec = 0};
  setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

[[noreturn]] void fail_by(ssize_t count) {
  if (count == 0) throw EnvironmentError("the network's other end closed the connection");
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    throw EnvironmentError(
        fmt::format("the network's other end said nothing for {} s", kPatience_s));
  fail("the network's other end");
}

// The socket that listens, and its port.
std::pair<Socket, int> listen_at(const std::string& address, int port) {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) fail("cannot open a socket");
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<std::uint16_t>(port));
  if (inet_pton(AF_INET, address.c_str(), &where.sin_addr) != 1)
    throw EnvironmentError(fmt::format("found address {}; allowed: one of IPv4", address));
  auto* generic = reinterpret_cast<sockaddr*>(&where);
  constexpr int kQueue = 128;
  if (bind(socket.get(), generic, sizeof where) != 0 || listen(socket.get(), kQueue) != 0)
    fail(fmt::format("cannot listen on {}:{}", address, port));
  socklen_t length = sizeof where;
  if (getsockname(socket.get(), generic, &length) != 0) fail("getsockname");
  return {std::move(socket), ntohs(where.sin_port)};
}

}  // namespace

Socket::Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}
Socket::~Socket() {
  if (descriptor_ >= 0) close(descriptor_);
}

MessageRing::MessageRing(std::size_t bytes) : bytes_(bytes), size_(bytes) {
  constexpr std::size_t kSmall = 4096;
  constexpr std::size_t kCold = std::size_t{32} << 20;
  if (bytes > kSmall) size_ = std::max(bytes, kCold / bytes * bytes);
}

std::size_t MessageRing::next() {
  at_ = at_ + 2 * bytes_ > size_ ? 0 : at_ + bytes_;
  return at_;
}

void send_all(const Socket& socket, const void* data, std::size_t size) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t sent = send(socket.get(), next, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) fail_by(sent);
    next += sent;
    size -= static_cast<std::size_t>(sent);
  }
}

void receive_all(const Socket& socket, void* data, std::size_t size) {
  char* next = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t received = recv(socket.get(), next, size, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) fail_by(received);
    next += received;
    size -= static_cast<std::size_t>(received);
  }
}

NetworkPeer::NetworkPeer(const std::string& address, int port) {
  std::tie(listening_, port_) = listen_at(address, port);
}

NetworkPeer::~NetworkPeer() { stop(); }

void NetworkPeer::serve() {
  constexpr int kLook_ms = 100;
  while (!stopped_) {
    pollfd ready{.fd = listening_.get(), .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, kLook_ms) <= 0) continue;
    const int descriptor = accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (descriptor < 0) continue;
    const std::lock_guard lock(mutex_);
    if (stopped_) {
      close(descriptor);
      return;
    }
    open_.push_back(descriptor);
    threads_.emplace_back([this, descriptor] { answer(descriptor); });
  }
}

void NetworkPeer::stop() {
  stopped_ = true;
  shutdown(listening_.get(), SHUT_RDWR);  // nobody connects any more
  std::list<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    for (const int descriptor : open_) shutdown(descriptor, SHUT_RDWR);
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

void NetworkPeer::answer(int descriptor) {
  const Socket socket(descriptor);
  set_options(descriptor, false);
  try {
    NetworkHello hello;
    receive_all(socket, &hello, sizeof hello);
    const bool good = hello.magic == NetworkHello::kMagic && hello.bytes > 0 &&
                      hello.bytes <= NetworkHello::kLargest;
    const auto bytes = static_cast<std::size_t>(good ? hello.bytes : 0);
    MessageRing ring(bytes == 0 ? 1 : bytes);
    std::vector<char> messages(ring.size());
    const char reply = 1;
    while (good) {
      char* message = messages.data() + ring.next();
      receive_all(socket, message, bytes);
      if (hello.echo != 0)
        send_all(socket, message, bytes);
      else
        send_all(socket, &reply, sizeof reply);
    }
  } catch (const std::exception&) {
    // The client is gone: the usual end.
  }
  const std::lock_guard lock(mutex_);
  open_.remove(descriptor);
}

Socket connect_to(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) throw EnvironmentError(fmt::format("{}:{}: {}", host, port, gai_strerror(error)));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(found, &freeaddrinfo);
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    Socket socket(::socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol));
    if (socket.get() < 0) continue;
    set_options(socket.get(), true);
    if (connect(socket.get(), one->ai_addr, one->ai_addrlen) == 0) return socket;
  }
  fail(fmt::format("cannot connect to {}:{}", host, port));
}

}  // namespace kvsim
