#include "sim/store/wire.hpp"

namespace kvsim {

Task Wire::wait(Bytes bytes) {
  co_await tasks_.sleep(options_.round_trip / 2);
  if (options_.stream > Bandwidth(0)) co_await tasks_.sleep(bytes / options_.stream);
}

Seconds Wire::estimate(Bytes bytes) const {
  const Bandwidth rate = loopback() ? options_.stream : options_.fabric->rate(options_.to_server);
  return rate > Bandwidth(0) ? bytes / rate : Seconds(0);
}

}  // namespace kvsim
