// Processes that others on one machine share: made by the first who asks, kept with the machine.
//
// An LMCache server is one such, or a gateway: each replica's connector asks for it by name, the
// first one brings it up with its own options. Stores are none: they are configured by themselves.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "sim/base/check.hpp"

namespace kvsim {

class HostService {
 public:
  virtual ~HostService() = default;
};

class HostServices {
 public:
  // What is called `name`; the first time, what `make` returns. All who ask for one name ask for
  // the same type.
  template <class Service, class Make>
  Service& shared(const std::string& name, Make make) {
    std::unique_ptr<HostService>& slot = services_[name];
    if (!slot) slot = make();
    auto* service = dynamic_cast<Service*>(slot.get());
    KV_CHECK(service != nullptr, "{} is another service", name);
    return *service;
  }

 private:
  std::map<std::string, std::unique_ptr<HostService>> services_;
};

}  // namespace kvsim
