// Callers of a twin: so many at once, each of which does an operation one time after another.
#pragma once

#include <cstdint>
#include <functional>

#include "sim/des/tasks.hpp"
#include "sim/des/waiting.hpp"

namespace kvsim {

// What `callers` times `each` calls of `once` take on average. `once` (of a caller's number) and
// `mean` must stay until this is over. The callers begin evenly over `spread`: real ones are not in
// step, and one's waiting hides behind the others' work.
Task run_callers(Tasks& tasks, std::int64_t callers, std::int64_t each,
                 const std::function<Task(std::int64_t caller)>& once, Seconds& mean,
                 Seconds spread = Seconds(0));

}  // namespace kvsim
