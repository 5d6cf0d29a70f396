// A Redis or Valkey of our own: on a free loopback port, without persistence, its files in the
// scratch folder; stopped when this goes, and by the folder's watcher when the process is killed.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "sim/probe/bench_resp_connection.hpp"
#include "sim/probe/scratch.hpp"

namespace kvsim {

// The first of these programs on the PATH; "" when there is none.
std::string find_program(const std::vector<std::string>& names);

class RespServerProcess {
 public:
  // `program`: name or path; "" takes redis-server, else valkey-server. `settings` are lines of its
  // configuration ("io-threads 4"). EnvironmentError when there is none or it does not start.
  RespServerProcess(Scratch& scratch, const std::string& program,
                    const std::vector<std::string>& settings = {});
  ~RespServerProcess();
  RespServerProcess(const RespServerProcess&) = delete;
  RespServerProcess& operator=(const RespServerProcess&) = delete;

  [[nodiscard]] const RespTarget& target() const { return target_; }
  [[nodiscard]] const std::string& program() const { return program_; }
  [[nodiscard]] pid_t process() const { return process_; }

 private:
  void start(const std::vector<std::string>& settings);
  // False when it ended instead: somebody may have taken the port.
  [[nodiscard]] bool wait_until_it_answers();
  [[nodiscard]] bool ended();
  void stop();
  [[nodiscard]] std::string last_log_line() const;

  Scratch& scratch_;
  std::string program_;
  std::string log_;
  RespTarget target_;
  pid_t process_ = -1;
};

}  // namespace kvsim
