// Entities as rows: for each entity a table with one column for each field of its field table
// (server/domain/fields.h), and the conversions both ways. Pure and thread-safe.
//
// Columns, in order: tenant_id; the entity's own id; lead_id for what belongs to a lead; revision
// where the entity has one; then the fields in the order of FieldsOf<E>(), named by their path with
// '.' turned into '_'.
//   kBool      0 or 1
//   kInt       the number; an unset optional is NULL
//   kText      NULL when empty
//   kTime      microseconds since the epoch
//   kEnum      the number; NULL when unspecified
//   kMoney     three columns, <column>_units, _nanos and _currency_code, all NULL when unset
//   kTextList, kTextMap, kRecordList   JSON of storage/sql/json.h (plain form), NULL when empty
//   kBlob      text, or of a member that is a Value JSON of storage/sql/json.h (tagged form); NULL
//              when empty
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/domain/fields.h"
#include "server/domain/ids.h"
#include "storage/cell.h"

namespace relais::storage {

// E is one of Lead, Touchpoint, Consent, Assessment, Opportunity, User, Team, Import, Operation,
// ConfigDocument, Calendar, Handoff, Segment.
template <class E>
const Table& TableOf();

// One cell for each column of TableOf<E>().
template <class E>
Row ToRow(const domain::TenantId& tenant, const E& entity);

// The reverse, for a row with all columns of TableOf<E>(). INTERNAL when the row has another shape,
// an enum number that this program does not know or malformed JSON; the text names the column,
// never its value.
template <class E>
absl::StatusOr<E> FromRow(Row row);

// Some of the columns of TableOf<E>(): those before the fields and those of the fields at `paths`,
// in the same order, as a table to select from.
template <class E>
struct PartOfRow {
  explicit PartOfRow(absl::Span<const std::string_view> paths);
  // Fills an entity just made with these fields, moving from the cells; errors as FromRow.
  absl::Status Read(Row& row, E& entity) const;

  Table table;
  std::vector<const domain::Field<E>*> fields;
};
// All of them.
template <class E>
const PartOfRow<E>& WholeRow();

// The column of a field's path: "person.given_name" is person_given_name. A money field's own three
// columns add their suffix to it.
std::string ColumnOf(std::string_view path);

// Position of a column in table.columns; table.columns.size() when there is none.
size_t ColumnIndex(const Table& table, std::string_view column);

// Indexes of the cells that differ; both rows are of the same table.
std::vector<size_t> ChangedColumns(const Row& before, const Row& after);

}  // namespace relais::storage
