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

// A row of events. Subjects that belong to no lead are sealed under a key of the tenant. The digest
// covers the content and the batch, so that two histories that fork give different digests.
// `person_keys` must hold the key of the event's lead when it has personal changes; without it (the
// person was erased) personal changes are dropped.
Row ToEventRow(const domain::TenantId& tenant, const domain::Event& event,
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
    "CAST(CASE WHEN sealed IS NULL THEN 0 ELSE 1 END AS BIGINT)";
inline constexpr ColumnType kOutlineTypes[] = {ColumnType::kInteger, ColumnType::kInteger,
                                               ColumnType::kInteger, ColumnType::kUuid,
                                               ColumnType::kText,    ColumnType::kInteger};
absl::StatusOr<domain::Event> FromEventOutline(const Row& row, absl::Span<const std::string> paths);

}  // namespace relais::storage
