// PostgreSQL's text form of an array, so that a whole column travels as one parameter. Pure.
#pragma once

#include <cstddef>
#include <string>

#include "absl/types/span.h"
#include "storage/cell.h"

namespace relais::storage {

// "{1,2,NULL}" or "{\"a\",\"b\\\"c\",NULL}" of the cells at `column`: text is quoted always, so
// that no content (commas, braces, the word NULL, blanks) is taken for syntax.
std::string ArrayLiteral(absl::Span<const Row> rows, size_t column);
std::string ArrayLiteral(absl::Span<const Cell> cells);

}  // namespace relais::storage
