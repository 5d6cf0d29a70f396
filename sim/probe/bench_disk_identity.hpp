// What a folder or a block device lies on, as the kernel tells it.
#pragma once

#include <string>

#include "sim/base/json.hpp"

namespace kvsim {

// {"path", "file_system", "mount_options", "device", "model", "scheduler", "max_sectors_kb",
// "rotational"}: those that there are.
Json storage_identity(const std::string& path);
// As uname tells it.
std::string kernel_release();

}  // namespace kvsim
