#include "sim/probe/bench_resp_connection.hpp"

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <sstream>

#include "sim/base/errors.hpp"

namespace kvsim {

namespace {

timeval as_timeval(Seconds time) {
  timeval out{};
  out.tv_sec = static_cast<time_t>(std::floor(time.count()));
  out.tv_usec = static_cast<suseconds_t>((time.count() - std::floor(time.count())) * 1e6);
  return out;
}

// "$3\r\nGET\r\n"
std::string bulk(const std::string& word) {
  return fmt::format("${}\r\n{}\r\n", word.size(), word);
}

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};

std::string text_of(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_INTEGER) return std::to_string(reply.integer);
  return reply.str == nullptr ? "" : std::string(reply.str, reply.len);
}

}  // namespace

void RespConnection::Free::operator()(redisContext* context) const { redisFree(context); }

RespConnection::RespConnection(const RespTarget& target, Seconds time_out)
    : target_(target), time_out_(time_out) {
  const timeval limit = as_timeval(time_out);
  context_.reset(redisConnectWithTimeout(target.host.c_str(), target.port, limit));
  if (!context_) fail("no memory for a connection");
  if (context_->err != 0) fail(fmt::format("cannot connect: {}", context_->errstr));
  redisSetTimeout(context_.get(), limit);
  sign_in();
}

RespConnection::~RespConnection() = default;

void RespConnection::sign_in() {
  if (!target_.password.empty()) {
    std::vector<std::string> words = {"AUTH"};
    if (!target_.user.empty()) words.push_back(target_.user);
    words.push_back(target_.password);
    command(words);
  }
  if (target_.database != 0) command({"SELECT", std::to_string(target_.database)});
}

std::vector<std::string> RespConnection::command(const std::vector<std::string>& words) {
  std::vector<const char*> data;
  std::vector<std::size_t> sizes;
  for (const std::string& word : words) {
    data.push_back(word.data());
    sizes.push_back(word.size());
  }
  errno = 0;
  const std::unique_ptr<redisReply, FreeReply> reply(static_cast<redisReply*>(
      redisCommandArgv(context_.get(), static_cast<int>(words.size()), data.data(), sizes.data())));
  if (!reply && (errno == EAGAIN || errno == EWOULDBLOCK)) fail_by_errno(words.front());
  if (!reply) fail(fmt::format("{}: {}", words.front(), context_->errstr));
  if (reply->type == REDIS_REPLY_ERROR) fail(text_of(*reply));
  if (reply->type != REDIS_REPLY_ARRAY) return {text_of(*reply)};
  std::vector<std::string> out;
  for (std::size_t i = 0; i < reply->elements; ++i) out.push_back(text_of(*reply->element[i]));
  return out;
}

std::map<std::string, std::string> RespConnection::info() {
  std::map<std::string, std::string> out;
  std::istringstream lines(command({"INFO"}).front());
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos) out[line.substr(0, colon)] = line.substr(colon + 1);
  }
  return out;
}

std::string RespConnection::put(const std::string& key, std::span<const std::byte> value,
                                bool only_new) {
  const std::string before =
      fmt::format("*{}\r\n$3\r\nSET\r\n{}${}\r\n", only_new ? 4 : 3, bulk(key), value.size());
  const std::string after = only_new ? "\r\n$2\r\nNX\r\n" : "\r\n";
  send(
      {{before.data(), before.size()}, {value.data(), value.size()}, {after.data(), after.size()}});
  return line();
}

void RespConnection::set(const std::string& key, std::span<const std::byte> value) {
  const std::string answer = put(key, value, false);
  if (answer != "+OK") fail(fmt::format("SET: found '{}'; expected: +OK", answer));
}

bool RespConnection::set_new(const std::string& key, std::span<const std::byte> value) {
  return put(key, value, true) == "+OK";
}

bool RespConnection::get(const std::string& key, std::span<std::byte> value) {
  const std::string text = "*2\r\n$3\r\nGET\r\n" + bulk(key);
  send({{text.data(), text.size()}});
  const std::string length = line();
  if (length == "$-1" || length == "_") return false;
  if (length != "$" + std::to_string(value.size()))
    fail(fmt::format("GET: found a value of length '{}'; expected: ${}", length, value.size()));
  receive(value.data(), value.size());
  std::array<char, 2> end{};
  receive(end.data(), end.size());
  return true;
}

bool RespConnection::exists(const std::string& key) {
  const std::string text = "*2\r\n$6\r\nEXISTS\r\n" + bulk(key);
  send({{text.data(), text.size()}});
  return line() == ":1";
}

void RespConnection::send(std::vector<Part> parts) {
  std::vector<iovec> left;
  for (const Part& part : parts) left.push_back({const_cast<void*>(part.data), part.size});
  for (std::size_t first = 0; first < left.size();) {
    msghdr message{};
    message.msg_iov = left.data() + first;
    message.msg_iovlen = left.size() - first;
    const ssize_t sent = sendmsg(context_->fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) fail_by_errno("sending");
    auto rest = static_cast<std::size_t>(sent);
    while (first < left.size() && rest >= left[first].iov_len) rest -= left[first++].iov_len;
    if (first == left.size()) break;
    left[first].iov_base = static_cast<char*>(left[first].iov_base) + rest;
    left[first].iov_len -= rest;
  }
}

void RespConnection::receive(void* to, std::size_t size) {
  auto* at = static_cast<char*>(to);
  while (size > 0) {
    const ssize_t got = recv(context_->fd, at, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_by_errno("receiving");
    if (got == 0) fail("the server closed the connection");
    at += got;
    size -= static_cast<std::size_t>(got);
  }
}

std::string RespConnection::line() {
  std::string out;
  for (char next = 0; next != '\n'; out.push_back(next)) receive(&next, 1);
  out.resize(out.size() - std::min<std::size_t>(out.size(), 2));
  if (!out.empty() && out.front() == '-') fail(out.substr(1));
  return out;
}

void RespConnection::fail(const std::string& what) const {
  throw EnvironmentError(fmt::format("{}: {}", target_.name(), what));
}

void RespConnection::fail_by_errno(const std::string& doing) const {
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    fail(fmt::format("{}: no answer in {} s", doing, time_out_.count()));
  fail(fmt::format("{}: {}", doing, std::strerror(errno)));
}

}  // namespace kvsim
