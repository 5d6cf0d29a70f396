// What commands and bytes cost a RESP client and its server, from elapsed times and from CPU times.
//
// The law is the twin's (lane_resp.cpp) in closed form: alone, the longer of what both ends do with
// a value counts, beside commands and wake-ups; k at once wait for the server's one thread, or for
// the cores that all of them share.
#pragma once

#include <vector>

#include "sim/calibrate/lane_model.hpp"
#include "sim/store/host.hpp"

namespace kvsim {

struct RespFacts {
  CpuOptions cpu;
  bool loopback = true;  // both ends on this machine
  Bytes fresh_from{0};   // as RespOptions has it
};

// Seconds, or seconds a byte.
struct RespCosts {
  FittedFigure client_command;
  FittedFigure server_command;
  FittedFigure round_trip;  // what a command takes that nobody works for: wake-ups, the wire
  FittedFigure send;        // client, SET
  FittedFigure receive;     // client, GET
  FittedFigure take_in;     // server, SET
  FittedFigure send_out;    // server, GET
  FittedFigure fresh;       // server, beside: pages fresh from the kernel
};

RespCosts fit_resp_costs(const std::vector<Sample>& samples, const RespFacts& facts);

}  // namespace kvsim
