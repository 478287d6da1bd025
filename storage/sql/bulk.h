// What the bulk forms of both engines check and work out before they write SQL. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/cell.h"

namespace relais::storage {

// INTERNAL when a row has not one cell for each column.
absl::Status CheckRows(const Table& table, absl::Span<const Row> rows);

// Indexes of table.key.
std::vector<size_t> KeyColumns(const Table& table);

// Indexes of the named columns. INTERNAL for a name that the table has not.
absl::StatusOr<std::vector<size_t>> NamedColumns(const Table& table,
                                                 absl::Span<const std::string> names);

// `columns` in order, once each, with `revision` added: an update always writes the new revision.
// INTERNAL when a column of the key is among them or the table has no revision.
absl::StatusOr<std::vector<size_t>> ColumnsToUpdate(const Table& table,
                                                    absl::Span<const size_t> columns);

// The keys once each, sorted, without those that hold a NULL (which equals nothing). INTERNAL when
// one has another width.
absl::StatusOr<std::vector<Row>> DistinctKeys(std::vector<Row> keys, size_t width);

// "a, b, c" of all columns.
std::string ColumnList(const Table& table);

// The types of table.columns, for Query.
std::vector<ColumnType> TypesOf(const Table& table);

}  // namespace relais::storage
