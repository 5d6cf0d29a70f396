// What servers of the RESP protocol share (Redis, Valkey, Kvrocks): what a command costs a thread.
//
// A value of n bytes costs copies of n bytes, as counted in each server's source, on the host's
// memory; a command without a value costs a fixed time. Sources: spec/kvrocks_rocksdb.md section 1
// (copies), spec/lmcache.md section 5 (EXISTS at about 143,000 a second on one thread: 7 us),
// calibration/io.csv (one Redis moves 1.7 to 2.0 GB/s of 32 MiB values on loopback: LMCache 1238).
// The few copies counted would be faster than that at the rate of a core's memcpy: what TCP and the
// page faults of fresh buffers cost beside its own copy is `tcp_copies`, in copies' worth of time.
//
// Pages come from jemalloc: an allocation of 8 MiB or more (its oversize_threshold) is made of
// pages fresh from the kernel, which finds and clears them, and goes back to it at once (seen: so
// many page faults a value of Redis 7.0); smaller ones are used again and again. What that costs is
// `fresh_copies`. Left out: smaller replies in bursts, some of which lie in fresh pages too.
#pragma once

#include <optional>

#include "sim/base/fields.hpp"
#include "sim/store/host.hpp"
#include "sim/store/store.hpp"

namespace kvsim {

struct RespOptions {
  double copies_in = 1;
  double copies_out = 2;
  double tcp_copies = 2.5;
  std::optional<double> tcp_copies_out;
  double fresh_copies = 0;
  Bytes fresh_from{8LL << 20};
  Seconds command{7e-6};
  Bytes max_value{512LL << 20};
  template <class F>
  void fields(F& f) {
    f.optional("copies_in", copies_in, Range{1, 100},
               "Copies of a SET's value by the server, from the kernel's buffer on.");
    f.optional("copies_out", copies_out, Range{1, 100},
               "Copies of a GET's value, to the kernel's buffer.");
    f.optional("tcp_copies", tcp_copies, Range{0, 100},
               "What TCP and page faults cost beside a copy, in copies. Default: assumed, from "
               "reported rates of one Redis.");
    f.optional("tcp_copies_out", tcp_copies_out, Range{0, 100},
               "The same of sending a value. Default: tcp_copies.");
    f.optional("fresh_copies", fresh_copies, Range{0, 100},
               "What pages fresh from the kernel cost beside, in copies. Default: part of "
               "tcp_copies.");
    f.optional("fresh_from_bytes", fresh_from, Range{0, 1e15},
               "Values from this size on lie in fresh pages: jemalloc's oversize_threshold.");
    f.optional("command_s", command, Range{0, 1},
               "A thread's time for a command, its value aside: parse, look up, reply.");
    f.optional("proto_max_bulk_bytes", max_value, Range{1, 1e13}, "Larger values are refused.");
  }
};

class RespServer {
 public:
  RespServer(Host& host, const RespOptions& options, bool free)
      : host_(host), options_(options), free_(free) {}

  // For who holds the thread: a command without its value, or the share of it that this thread has.
  [[nodiscard]] Task handle(double share = 1);
  // The whole value between the connection and where it is kept.
  [[nodiscard]] Task take_in(Bytes value) { return copy(value, copies_in(value)); }
  [[nodiscard]] Task send_out(Bytes value) { return copy(value, copies_out(value)); }
  // The kernel's part of these, where other threads do it, and the rest.
  [[nodiscard]] Task from_socket(Bytes value) { return copy(value, 1 + options_.tcp_copies); }
  [[nodiscard]] Task to_socket(Bytes value) { return copy(value, 1 + tcp_out()); }
  [[nodiscard]] Task take_from_socket(Bytes value) {
    return copy(value, copies_in(value) - 1 - options_.tcp_copies);
  }
  [[nodiscard]] Task give_to_socket(Bytes value) {
    return copy(value, copies_out(value) - 1 - tcp_out());
  }

  [[nodiscard]] const RespOptions& options() const { return options_; }
  [[nodiscard]] bool free() const { return free_; }
  // The same as a thread's time: of an event loop that serves what is ready in turns, a piece of a
  // large value at a time, so that small commands do not wait for large ones to end.
  [[nodiscard]] Seconds handle_time() const { return free_ ? Seconds(0) : options_.command; }
  [[nodiscard]] Seconds time_in(Bytes value) const { return time(value, copies_in(value)); }
  [[nodiscard]] Seconds time_out(Bytes value) const { return time(value, copies_out(value)); }
  // How often a value's bytes are copied, and what else costs as much.
  [[nodiscard]] double copies_in(Bytes value) const {
    return options_.copies_in + options_.tcp_copies + fresh(value);
  }
  [[nodiscard]] double copies_out(Bytes value) const {
    return options_.copies_out + tcp_out() + fresh(value);
  }
  // What a found GET takes of a thread, alone.
  [[nodiscard]] Seconds get_time(Bytes value) const;

 private:
  [[nodiscard]] Task copy(Bytes value, double copies);
  [[nodiscard]] Seconds time(Bytes value, double copies) const {
    return free_ ? Seconds(0) : host_.copy_time(value, copies);
  }
  [[nodiscard]] double fresh(Bytes value) const {
    return value >= options_.fresh_from ? options_.fresh_copies : 0;
  }
  [[nodiscard]] double tcp_out() const {
    return options_.tcp_copies_out.value_or(options_.tcp_copies);
  }

  Host& host_;
  RespOptions options_;
  bool free_;
};

}  // namespace kvsim
