#include "sim/store/resp_server.hpp"

#include <algorithm>

namespace kvsim {

Task RespServer::handle(double share) {
  if (!free_) co_await host_.compute(options_.command * share);
}

Task RespServer::copy(Bytes value, double copies) {
  if (!free_ && copies > 0) co_await host_.copy(value, copies);
}

double RespServer::copies_in(Bytes value) const {
  const double fresh = value >= options_.fresh_from ? options_.fresh_copies : 0;
  return options_.copies_in + options_.tcp_copies + fresh;
}

double RespServer::copies_out(Bytes value, Bytes others) const {
  double fresh = 1;
  if (value < options_.fresh_from) {
    const Bytes beyond = std::clamp(others + value - options_.replies_kept, Bytes(0), value);
    fresh = value > Bytes(0) ? beyond.real() / value.real() : 0;
  }
  return options_.copies_out + tcp_out() + fresh * options_.fresh_copies;
}

Seconds RespServer::get_time(Bytes value) const { return handle_time() + time_out(value); }

}  // namespace kvsim
