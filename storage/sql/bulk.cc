#include "storage/sql/bulk.h"

#include <algorithm>
#include <utility>

#include "server/domain/concat.h"
#include "server/domain/status_macros.h"
#include "storage/sql/rows.h"

namespace relais::storage {

absl::Status CheckRows(const Table& table, absl::Span<const Row> rows) {
  for (const Row& row : rows) {
    if (row.size() != table.columns.size()) {
      return absl::InternalError(Concat("a row for ", table.name, " has ", row.size(), " cells"));
    }
  }
  return absl::OkStatus();
}

std::vector<size_t> KeyColumns(const Table& table) {
  std::vector<size_t> key;
  for (const std::string& name : table.key) key.push_back(ColumnIndex(table, name));
  return key;
}

absl::StatusOr<std::vector<size_t>> NamedColumns(const Table& table,
                                                 absl::Span<const std::string> names) {
  std::vector<size_t> columns;
  for (const std::string& name : names) {
    columns.push_back(ColumnIndex(table, name));
    if (columns.back() == table.columns.size()) {
      return absl::InternalError(Concat("table ", table.name, " has no column ", name));
    }
  }
  return columns;
}

absl::StatusOr<std::vector<size_t>> ColumnsToUpdate(const Table& table,
                                                    absl::Span<const size_t> columns) {
  std::vector<size_t> out(columns.begin(), columns.end());
  size_t revision = ColumnIndex(table, "revision");
  if (revision == table.columns.size()) {
    return absl::InternalError(Concat("table ", table.name, " has no revision to guard updates"));
  }
  out.push_back(revision);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  std::vector<size_t> key = KeyColumns(table);
  for (size_t column : out) {
    if (column >= table.columns.size() || std::find(key.begin(), key.end(), column) != key.end()) {
      return absl::InternalError(Concat("column ", column, " of ", table.name, " is not updated"));
    }
  }
  return out;
}

absl::StatusOr<std::vector<Row>> DistinctKeys(std::vector<Row> keys, size_t width) {
  for (const Row& key : keys) {
    if (key.size() != width) {
      return absl::InternalError("a key has another width than its columns");
    }
  }
  std::erase_if(keys, [](const Row& key) { return std::any_of(key.begin(), key.end(), IsNull); });
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

std::string ColumnList(const Table& table) {
  std::string out;
  for (const Column& column : table.columns) {
    if (!out.empty()) out += ", ";
    out += column.name;
  }
  return out;
}

std::vector<ColumnType> TypesOf(const Table& table) {
  std::vector<ColumnType> types;
  types.reserve(table.columns.size());
  for (const Column& column : table.columns) types.push_back(column.type);
  return types;
}

}  // namespace relais::storage
