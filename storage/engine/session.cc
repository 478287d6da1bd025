#include "storage/engine/session.h"

#include "absl/strings/cord.h"
#include "server/domain/concat.h"

namespace relais::storage {
namespace {

// A payload and not the code alone tells these from the ABORTED and UNAVAILABLE of the domain.
constexpr char kKindUrl[] = "relais/storage/kind";
constexpr char kConflict[] = "conflict";
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

absl::Status LostError(std::string_view what) {
  absl::Status status = absl::UnavailableError(ToAbsl(what));
  status.SetPayload(kKindUrl, absl::Cord(kLost));
  return status;
}

bool IsConflict(const absl::Status& status) { return HasKind(status, kConflict); }

bool IsLost(const absl::Status& status) { return HasKind(status, kLost); }

}  // namespace relais::storage
