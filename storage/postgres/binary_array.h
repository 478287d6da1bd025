// PostgreSQL's binary form of an array: a whole column travels as one parameter, and neither side
// spends time on quoting and parsing. Pure and thread-safe.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "storage/cell.h"

namespace relais::storage {

// Sets `out` to the array of the cells at `column`: bigint[] for kInteger, uuid[] for kUuid, text[]
// for kText and kJson. INTERNAL for a text with a NUL byte, for one that is
// no UUID and for a text where a number belongs; the status never holds the value.
absl::Status WriteArray(ColumnType type, absl::Span<const Row> rows, size_t column,
                        std::string& out);

}  // namespace relais::storage
