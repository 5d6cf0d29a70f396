// The flags of Dynamo's frontend and router that bear on routing, with what each means here.
#pragma once

#include <string>

#include "sim/explain/option_table.hpp"

namespace kvsim {

[[nodiscard]] const OptionTable& dynamo_options();
// Keys of --router-conditional-disagg-config.
[[nodiscard]] const OptionTable& dynamo_disagg_options();

// The name of a flag today: of "--kv-events" it is "--router-kv-events". Flags that have kept their
// name, and those of others, come back as they are.
[[nodiscard]] std::string dynamo_current_name(const std::string& flag);
// The flag that an environment variable stands for, "" when none.
[[nodiscard]] std::string dynamo_flag_of(const std::string& variable);

// The "router" section of an experiment (its "admission" within) that a list of flags means.
// Throws ConfigError for what is no list of flags of Dynamo, or has a value that it would refuse.
[[nodiscard]] Json dynamo_router(const std::string& flags, const std::string& name);

}  // namespace kvsim
