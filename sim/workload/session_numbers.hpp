// Numbers sessions in the order of their first turn, and their turns.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "sim/workload/request.hpp"

namespace kvsim {

class SessionNumbers {
 public:
  // Makes `request` the next turn of the session that the trace calls `name`. Memory grows with
  // the sessions of a trace: none says when one is over.
  void number(const std::string& name, Request& request) {
    const auto fresh = static_cast<std::int64_t>(sessions_.size());
    Session& session = sessions_.try_emplace(name, Session{fresh, 0}).first->second;
    request.session = session.number;
    request.turn = session.turns++;
  }

 private:
  struct Session {
    std::int64_t number;
    std::int32_t turns;
  };
  std::map<std::string, Session> sessions_;
};

}  // namespace kvsim
