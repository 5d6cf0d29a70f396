// One connection to a server of the RESP protocol, as a blocking client thread holds it. hiredis
// connects, signs in and carries small commands; values go as LMCache's resp:// client moves them
// (csrc/storage_backends/redis): gathered from where they lie, received straight to where they
// belong, replies' first lines byte by byte.
//
// What goes wrong is an EnvironmentError in one line that names the server: refused, wrong
// password, LOADING, OOM, gone in the middle, no answer in time.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/base/units.hpp"

struct redisContext;

namespace kvsim {

struct RespTarget {
  std::string host = "127.0.0.1";
  int port = 6379;
  std::string user;
  std::string password;
  int database = 0;
  // For messages: without the password.
  [[nodiscard]] std::string name() const;
};

// "redis://[[user]:password@]host[:port][/database]"; valkey:// and kvrocks:// are the same. User
// and password may hold %40 and the like. ConfigError when it is none.
RespTarget parse_resp_url(const std::string& url);

class RespConnection {
 public:
  // time_out: of connecting, and of any one wait for the server.
  RespConnection(const RespTarget& target, Seconds time_out);
  ~RespConnection();
  RespConnection(const RespConnection&) = delete;
  RespConnection& operator=(const RespConnection&) = delete;

  // A status, a string, or an integer in digits; "" for nil. Arrays: their elements.
  std::vector<std::string> command(const std::vector<std::string>& words);
  // Lines "name:value" of INFO.
  std::map<std::string, std::string> info();

  void set(const std::string& key, std::span<const std::byte> value);
  // False when the key was there before; then nothing changed.
  bool set_new(const std::string& key, std::span<const std::byte> value);
  // False when there is none. EnvironmentError when it is of another length.
  bool get(const std::string& key, std::span<std::byte> value);
  bool exists(const std::string& key);

 private:
  struct Part {
    const void* data;
    std::size_t size;
  };
  void sign_in();
  std::string put(const std::string& key, std::span<const std::byte> value, bool only_new);
  void send(std::vector<Part> parts);
  void receive(void* to, std::size_t size);
  // Without its line end; an error reply throws.
  std::string line();
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void fail_by_errno(const std::string& doing) const;

  RespTarget target_;
  Seconds time_out_;
  struct Free {
    void operator()(redisContext* context) const;
  };
  std::unique_ptr<redisContext, Free> context_;
};

}  // namespace kvsim
