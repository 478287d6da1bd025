// SQLSTATE to the kinds of error of storage/engine/session.h. Pure.
#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace relais::storage {

// `state` is empty when the server told none. The status quotes the first words of `sql` and
// nothing of the server's message, which may hold values.
absl::Status PostgresError(std::string_view state, bool connected, std::string_view sql);

}  // namespace relais::storage
