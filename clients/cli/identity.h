// Ids and digests that the client makes itself. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace relais::cli {

// A random UUID (version 4), canonical text.
std::string RandomUuid();

// A UUID (version 8) made of the content of files, in the order given: the same content gives the
// same id. NOT_FOUND when one cannot be read.
absl::StatusOr<std::string> ContentUuid(const std::vector<std::string>& paths);

}  // namespace relais::cli
