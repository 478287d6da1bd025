// Events as rows: non-personal changes in clear JSON, personal ones sealed under the person's key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/domain/event.h"
#include "server/domain/ids.h"
#include "storage/cell.h"
#include "storage/engine/vault.h"

namespace relais::storage {

// The changes of an event as they are stored, not yet sealed: [[path, before, after], ...] in the
// form of ToJson, empty when there are none.
struct ChangesText {
  std::string open, personal;
};

// What Diff(before, after) tells, written straight. With `made` nothing was before: a default, such
// as the time 0, is no value.
template <class E>
ChangesText ChangesOf(const E& before, const E& after, bool made);

// Adds what a decision was made on.
void AddFacts(absl::Span<const domain::FieldChange> facts, ChangesText& changes);

// A row of events; event.changes are not looked at. Subjects that belong to no lead are sealed
// under a key of the tenant. The digest covers the content and the batch, so that two histories
// that fork give different digests. `person_keys` must hold the key of the event's lead when it has
// personal changes; without it (the person was erased) personal changes are dropped.
Row ToEventRow(const domain::TenantId& tenant, const domain::Event& event, ChangesText changes,
               const std::string& batch_id, size_t index_in_batch, const Vault& vault,
               const std::unordered_map<std::string, std::string>& person_keys);

// The reverse; personal changes are left out and `erased` is set when the person's key is gone.
// INTERNAL for a malformed row, DATA_LOSS for a sealed text that does not open.
absl::StatusOr<domain::Event> FromEventRow(
    Row row, const Vault& vault, const std::unordered_map<std::string, std::string>& person_keys);

// The expressions to select for an outline (EventQuery::only_paths), and such a row as an event.
// INTERNAL for a malformed row.
inline constexpr std::string_view kOutlineColumns =
    "number, record_time, type, lead_id, changes, "
    "CAST(CASE WHEN sealed IS NULL THEN 0 ELSE 1 END AS BIGINT), actor";
inline constexpr ColumnType kOutlineTypes[] = {
    ColumnType::kInteger, ColumnType::kInteger, ColumnType::kInteger, ColumnType::kUuid,
    ColumnType::kText,    ColumnType::kInteger, ColumnType::kText};
absl::StatusOr<domain::Event> FromEventOutline(const Row& row, absl::Span<const std::string> paths);

namespace event_rows_internal {

// What a change of a path begins with: ["path",
std::string BeginningOf(std::string_view path);
// Adds a change to a list that is still open.
void AppendChange(std::string_view beginning, const domain::Value& before,
                  const domain::Value& after, std::string& json);
// The same of columns as Field::append gives them; `before` may be null: no value.
void AppendChange(std::string_view beginning, domain::FieldType type, const domain::Scalar* before,
                  const domain::Scalar* after, std::string& json);
void Close(ChangesText& changes);

}  // namespace event_rows_internal

template <class E>
ChangesText ChangesOf(const E& before, const E& after, bool made) {
  constexpr size_t kUsualBytes = 512;
  static const auto* const kBeginnings = [] {
    auto* beginnings = new std::vector<std::string>();
    for (const domain::Field<E>& field : domain::FieldsOf<E>()) {
      beginnings->push_back(event_rows_internal::BeginningOf(field.spec.path));
    }
    return beginnings;
  }();
  ChangesText changes;
  changes.open.reserve(kUsualBytes);
  std::vector<domain::Scalar> from, to;
  const absl::Span<const domain::Field<E>> fields = domain::FieldsOf<E>();
  for (size_t i = 0; i < fields.size(); ++i) {
    const domain::Field<E>& field = fields[i];
    const std::string& beginning = (*kBeginnings)[i];
    if (!field.spec.history || field.same(before, after)) continue;
    std::string& json = field.spec.personal ? changes.personal : changes.open;
    if (field.append == nullptr) {
      const domain::Value old_value = field.get(before), new_value = field.get(after);
      if (old_value == new_value) continue;
      event_rows_internal::AppendChange(beginning, made ? domain::Value() : old_value, new_value,
                                        json);
      continue;
    }
    to.clear();
    field.append(after, to);
    if (!made || field.spec.type == domain::FieldType::kMoney) {
      from.clear();
      field.append(before, from);
      if (from == to) continue;  // money without currency is absent, whatever its number
    }
    event_rows_internal::AppendChange(beginning, field.spec.type, made ? nullptr : from.data(),
                                      to.data(), json);
  }
  event_rows_internal::Close(changes);
  return changes;
}

}  // namespace relais::storage
