// The flags of `vllm serve`, with what each means here.
#pragma once

#include "sim/explain/option_table.hpp"

namespace kvsim {

[[nodiscard]] const OptionTable& vllm_options();
// Keys of --kv-transfer-config, as "kv_connector_extra_config.cpu_bytes_to_use".
[[nodiscard]] const OptionTable& vllm_transfer_options();
// Environment variables.
[[nodiscard]] const OptionTable& vllm_environment();

// The long name of a flag with dashes: of "--tp" it is "--tensor-parallel-size".
[[nodiscard]] std::string vllm_long_name(const std::string& flag);

}  // namespace kvsim
