// The tables of docs/accuracy.md: prose is written by hand, what lies between two markers
// `<!-- NAME -->` and `<!-- end of NAME -->` is replaced by what was computed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/validate/error_table.hpp"

namespace kvsim {

// Markdown tables of the rows of one kind (all, study, gpu, model), a line for each name and grade,
// a column for each class of metrics: "median / p90 (n)" in per cent. Flagged rows are left out.
[[nodiscard]] std::string markdown_errors(const std::vector<ErrorRow>& rows, const std::string& by);

// Replaces the parts of `page` that `parts` names. Throws ConfigError naming `file` for a part
// without its pair of markers.
[[nodiscard]] std::string with_parts(std::string page,
                                     const std::map<std::string, std::string>& parts,
                                     const std::string& file);

}  // namespace kvsim
