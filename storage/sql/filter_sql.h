// A filter as the condition of a WHERE: the SQL back end of the filter language.
//
// It selects exactly the rows that domain::Matches accepts for the same `now`; a randomised test
// holds the two together on both engines. The condition is for WHERE and FILTER, alone or joined by
// AND and OR: where it does not hold it may be NULL instead of false (so that plain comparisons can
// use indexes); put `IS NOT TRUE` after it to turn it round, never a bare NOT.
//
// What it expects of the tables. Every field has a column named by FilterField::column, NULL when
// absent: bool, integer, enum and time (microseconds) as integers; text as TEXT; money as
// <column>_units, <column>_nanos and <column>_currency_code; lists, maps and records as JSON (TEXT
// on SQLite, JSONB on PostgreSQL). A counted collection is a table of its name with tenant_id and
// the column FilterSqlNames::id_column of the row it belongs to; both tables have tenant_id.
//
// Every literal is a bind. Identifiers come from the schema, which lets through lower_snake words
// only. Text is ordered by code point (COLLATE "C" on PostgreSQL, BINARY on SQLite, whose columns
// must not be declared with another collation), fold() is lower() on ASCII letters on both.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "server/domain/filter.h"
#include "server/domain/value.h"
#include "storage/cell.h"
#include "storage/sql/dialect.h"

namespace relais::storage {

struct FilterSqlNames {
  std::string alias = "t";            // of the main table in the statement
  std::string id_column = "lead_id";  // its id, by the same name in the tables of collections
};

class FilterSql {
 public:
  // The condition with placeholders numbered from `first`: Text() has :f1, :f2, ...; Text(":p", 3)
  // has :p3, :p4, ...; Text("$") has $1, $2, ... In the order of binds(), each used once.
  std::string Text(std::string_view prefix = ":f", size_t first = 1) const;

  // Integers and texts, never NULL.
  const std::vector<Cell>& binds() const { return binds_; }

 private:
  friend class FilterCompiler;
  std::vector<std::string> segments_;  // one more than binds
  std::vector<Cell> binds_;
};

// `now` is bound wherever the filter depends on it.
FilterSql CompileFilter(const domain::Filter& filter, Dialect dialect, domain::Timestamp now,
                        const FilterSqlNames& names = {});

}  // namespace relais::storage
