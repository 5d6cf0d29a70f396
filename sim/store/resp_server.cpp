#include "sim/store/resp_server.hpp"

namespace kvsim {

Task RespServer::handle(double share) {
  if (!free_) co_await host_.compute(options_.command * share);
}

Task RespServer::copy(Bytes value, double copies) {
  if (!free_ && copies > 0) co_await host_.copy(value, copies);
}

Seconds RespServer::get_time(Bytes value) const {
  if (free_) return Seconds(0);
  return options_.command + host_.copy_time(value, options_.copies_out + options_.tcp_copies);
}

}  // namespace kvsim
