// The catalogue of errors. Every refusal of the domain and of storage is made by one of the named
// constructors below; a Fault travels inside absl::Status (as a payload) and becomes google.rpc
// details in one place, server/convert/rpc_status. Nothing here may hold a personal value.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace relais::domain {

struct FieldViolation {
  std::string field;        // path in the request, as in the proto: "lead.person.emails[1].address"
  std::string description;  // the rule, and the value where the field is not personal
};

struct PreconditionViolation {
  std::string type;     // "STAGE", "CRITERION", "FIELD", ...
  std::string subject;  // resource name, criterion or field
  std::string description;
};

struct Fault {
  absl::StatusCode code = absl::StatusCode::kUnknown;
  std::string reason;  // UPPER_SNAKE; clients branch on it
  std::string message;
  std::map<std::string, std::string> metadata;
  std::vector<FieldViolation> fields;
  std::vector<PreconditionViolation> preconditions;
  std::string resource_type, resource_name;  // ResourceInfo when the type is not empty
  std::optional<int64_t> retry_after_millis;
};

absl::Status ToStatus(const Fault& fault);
// The fault inside a status; nullopt for a status that did not come from here.
std::optional<Fault> FaultOf(const absl::Status& status);

// INVALID_ARGUMENT, reason INVALID_FIELD. Requires at least one violation.
absl::Status InvalidFields(std::vector<FieldViolation> violations);
absl::Status InvalidField(std::string_view field, std::string_view description);
// INVALID_ARGUMENT, reason INVALID_FILTER; metadata line and column.
absl::Status InvalidFilter(std::string_view field, int line, int column, std::string_view message);
// INVALID_ARGUMENT, reason INVALID_PAGE_TOKEN.
absl::Status InvalidPageToken();
// NOT_FOUND, reason NOT_FOUND, ResourceInfo. `name` must be a resource name, never an identity.
absl::Status NotFound(std::string_view type, std::string_view name);
// The same for a key in another system; the key may be personal, so only the system is named.
absl::Status NotFoundByKey(std::string_view type, std::string_view system);
// ALREADY_EXISTS, reason REQUEST_ID_REUSED.
absl::Status RequestIdReused(std::string_view request_id);
// ALREADY_EXISTS, reason ALREADY_EXISTS, ResourceInfo of the holder; `field` names what is taken.
absl::Status Taken(std::string_view field, std::string_view holder_type, std::string_view holder);
// FAILED_PRECONDITION with one violation per unmet condition.
absl::Status PreconditionFailed(std::string_view reason, std::string_view message,
                                std::vector<PreconditionViolation> violations);
// ABORTED, reason ETAG_MISMATCH; metadata expected and actual.
absl::Status StaleEtag(std::string_view name, std::string_view expected, std::string_view actual);
// OUT_OF_RANGE, reason HISTORY_CHANGED.
absl::Status HistoryChanged();
// RESOURCE_EXHAUSTED, reason OVERLOADED, RetryInfo.
absl::Status Overloaded(int64_t retry_after_millis);
// UNAVAILABLE, reason STORAGE_UNAVAILABLE, RetryInfo.
absl::Status StorageUnavailable(int64_t retry_after_millis);
// UNAVAILABLE, reason OUTCOME_UNKNOWN: the commit may or may not have happened; repeat with the
// same request id.
absl::Status OutcomeUnknown();
// DEADLINE_EXCEEDED, reason DEADLINE_EXCEEDED: expired in the queue; nothing was done.
absl::Status Expired();
// INTERNAL, reason INTERNAL. `what` goes to the log only, never to a caller.
absl::Status InternalFault(std::string_view what);

// The etag of a revision, and the check of a caller's: OK when `etag` is empty or matches.
std::string EtagOf(int64_t revision);
absl::Status CheckEtag(std::string_view name, std::string_view etag, int64_t revision);

}  // namespace relais::domain
