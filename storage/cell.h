// Rows as storage sees them: every column of either engine is read and written as one of three
// shapes, so that entities, engines and bulk statements meet in one type.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/domain/fields.h"

namespace relais::storage {

// NULL, a 64-bit integer (also booleans 0/1, enum numbers, times in microseconds) or UTF-8 text
// (also UUIDs and JSON).
using Cell = domain::Scalar;
using Row = std::vector<Cell>;

// How a column is declared; the engine turns it into SQL types and casts.
//   kUuid: TEXT on SQLite, UUID on PostgreSQL. kInteger: BIGINT on both (INTEGER would be cut to 32
//   bits by SOCI). kText: TEXT, COLLATE "C" on PostgreSQL. kJson: TEXT on SQLite, JSONB on
//   PostgreSQL.
enum class ColumnType : uint8_t { kUuid, kInteger, kText, kJson };

struct Column {
  std::string name;
  ColumnType type = ColumnType::kText;
};

// A table as bulk statements need it. `key` are the leading columns of the primary key, tenant_id
// first; `columns` are all columns in order, the key included.
struct Table {
  std::string name;
  std::vector<std::string> key;
  std::vector<Column> columns;
};

inline int64_t IntOr(const Cell& cell, int64_t fallback = 0) {
  const int64_t* v = std::get_if<int64_t>(&cell);
  return v ? *v : fallback;
}
inline std::string_view TextOf(const Cell& cell) {
  const std::string* v = std::get_if<std::string>(&cell);
  return v ? std::string_view(*v) : std::string_view();
}
inline bool IsNull(const Cell& cell) { return std::holds_alternative<std::monostate>(cell); }

}  // namespace relais::storage
