// The key outside the database: it wraps the key of each person, so that a copy of the database
// alone reads no personal value of the log.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace relais::runtime {

inline constexpr size_t kKeyBytes = 32;  // AES-256

// Reads the 32-byte key of a file (64 hexadecimal digits), or makes the file with a random key when
// there is none: whole or not at all, mode 0600, synced, also when two servers do so at once.
// Errors: FAILED_PRECONDITION when the file may be read by group or others, belongs to another
// user, or holds no key; UNAVAILABLE when it can be neither read nor made. Messages name the path.
absl::StatusOr<std::string> LoadOrMakeKey(const std::string& path);

}  // namespace relais::runtime
