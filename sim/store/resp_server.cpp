#include "sim/store/resp_server.hpp"

namespace kvsim {

Task RespServer::handle(double share) {
  if (!free_) co_await host_.compute(options_.command * share);
}

Task RespServer::copy(Bytes value, double copies) {
  if (!free_ && copies > 0) co_await host_.copy(value, copies);
}

Seconds RespServer::get_time(Bytes value) const { return handle_time() + time_out(value); }

}  // namespace kvsim
