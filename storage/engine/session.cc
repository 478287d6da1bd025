#include "storage/engine/session.h"

#include <utility>

#include "absl/strings/cord.h"
#include "server/domain/concat.h"
#include "server/domain/status_macros.h"

namespace relais::storage {
namespace {

// A payload and not the code alone tells these from the ABORTED and UNAVAILABLE of the domain.
constexpr char kKindUrl[] = "relais/storage/kind";
constexpr char kConflict[] = "conflict";
constexpr char kTaken[] = "taken";
constexpr char kLost[] = "lost";

bool HasKind(const absl::Status& status, const char* kind) {
  auto payload = status.GetPayload(kKindUrl);
  return payload.has_value() && *payload == kind;
}

}  // namespace

absl::Status ConflictError(std::string_view what) {
  absl::Status status = absl::AbortedError(ToAbsl(what));
  status.SetPayload(kKindUrl, absl::Cord(kConflict));
  return status;
}

absl::Status TakenError(std::string_view what) {
  absl::Status status = absl::AbortedError(ToAbsl(what));
  status.SetPayload(kKindUrl, absl::Cord(kTaken));
  return status;
}

absl::Status LostError(std::string_view what) {
  absl::Status status = absl::UnavailableError(ToAbsl(what));
  status.SetPayload(kKindUrl, absl::Cord(kLost));
  return status;
}

bool IsConflict(const absl::Status& status) {
  return HasKind(status, kConflict) || HasKind(status, kTaken);
}

bool IsTaken(const absl::Status& status) { return HasKind(status, kTaken); }

bool IsLost(const absl::Status& status) { return HasKind(status, kLost); }

absl::StatusOr<std::vector<Row>> Session::Query(std::string_view sql, absl::Span<const Cell> params,
                                                absl::Span<const ColumnType> types) {
  std::vector<Row> rows;
  RETURN_IF_ERROR(
      QueryEach(sql, params, types, [&rows](Row& row) { rows.push_back(std::move(row)); }));
  return rows;
}

absl::StatusOr<std::vector<Row>> Session::SelectRows(const Table& table,
                                                     const domain::TenantId& tenant,
                                                     std::vector<std::string> match,
                                                     std::vector<Row> keys, bool lock) {
  std::vector<Selection> selections;
  selections.push_back({table, std::move(match), std::move(keys), lock});
  ASSIGN_OR_RETURN(std::vector<std::vector<Row>> rows, Select(tenant, std::move(selections)));
  return std::move(rows.front());
}

}  // namespace relais::storage
