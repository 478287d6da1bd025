// A fault on order: what shows how callers fare with slow storage. Off unless an operator asks for
// it twice (--failpoint and --allow_failpoints).
#pragma once

#include <functional>
#include <string_view>

#include "absl/status/statusor.h"

namespace relais::runtime {

// What "write_delay_us=2000" asks for: a function that makes its thread sleep for so many
// microseconds a unit, to be called before each transaction; threads sleep one after the other, as
// they would wait for one disk. "write_delay_us=@PATH" reads the number from a file at every call,
// so that it may change; a file that is absent or holds no number means no delay. INVALID_ARGUMENT
// for any other text. The function is thread-safe.
absl::StatusOr<std::function<void(int units)>> WriteDelay(std::string_view failpoint);

}  // namespace relais::runtime
