#include "server/domain/faults.h"

#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "server/domain/concat.h"

namespace relais::domain {
namespace {

constexpr char kPayloadUrl[] = "relais.fault";

// The payload is a flat list of texts, each written as "<length>:<bytes>", so that a fault survives
// any value without escaping and the domain needs no serialisation library.
void Put(std::string& out, std::string_view text) { Append(out, text.size(), ":", text); }
void PutNumber(std::string& out, int64_t number) { Put(out, Concat(number)); }

class Texts {
 public:
  explicit Texts(std::string_view in) : in_(in) {}
  std::string Next() {
    size_t colon = in_.find(':');
    size_t length = 0;
    if (colon == std::string_view::npos ||
        !absl::SimpleAtoi(ToAbsl(in_.substr(0, colon)), &length) ||
        in_.size() - colon - 1 < length) {
      in_ = {};
      return {};
    }
    std::string text(in_.substr(colon + 1, length));
    in_.remove_prefix(colon + 1 + length);
    return text;
  }
  int64_t NextNumber() {
    int64_t number = 0;
    return absl::SimpleAtoi(Next(), &number) ? number : 0;
  }

 private:
  std::string_view in_;
};

}  // namespace

absl::Status ToStatus(const Fault& fault) {
  std::string out;
  Put(out, fault.reason);
  PutNumber(out, static_cast<int64_t>(fault.metadata.size()));
  for (const auto& [key, value] : fault.metadata) {
    Put(out, key);
    Put(out, value);
  }
  PutNumber(out, static_cast<int64_t>(fault.fields.size()));
  for (const FieldViolation& violation : fault.fields) {
    Put(out, violation.field);
    Put(out, violation.description);
  }
  PutNumber(out, static_cast<int64_t>(fault.preconditions.size()));
  for (const PreconditionViolation& violation : fault.preconditions) {
    Put(out, violation.type);
    Put(out, violation.subject);
    Put(out, violation.description);
  }
  Put(out, fault.resource_type);
  Put(out, fault.resource_name);
  PutNumber(out, fault.retry_after_millis.value_or(-1));
  absl::Status status(fault.code, fault.message);
  status.SetPayload(kPayloadUrl, absl::Cord(out));
  return status;
}

std::optional<Fault> FaultOf(const absl::Status& status) {
  absl::optional<absl::Cord> payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value()) return std::nullopt;
  std::string text(*payload);
  Texts in(text);
  Fault fault;
  fault.code = status.code();
  fault.message = std::string(status.message());
  fault.reason = in.Next();
  for (int64_t n = in.NextNumber(); n > 0; --n) {
    std::string key = in.Next();
    fault.metadata[key] = in.Next();
  }
  for (int64_t n = in.NextNumber(); n > 0; --n) {
    std::string field = in.Next();
    fault.fields.push_back({std::move(field), in.Next()});
  }
  for (int64_t n = in.NextNumber(); n > 0; --n) {
    std::string type = in.Next();
    std::string subject = in.Next();
    fault.preconditions.push_back({std::move(type), std::move(subject), in.Next()});
  }
  fault.resource_type = in.Next();
  fault.resource_name = in.Next();
  if (int64_t millis = in.NextNumber(); millis >= 0) fault.retry_after_millis = millis;
  return fault;
}

absl::Status InvalidFields(std::vector<FieldViolation> violations) {
  std::string message = Concat(violations[0].field, ": ", violations[0].description);
  if (violations.size() > 1) Append(message, " (and ", violations.size() - 1, " more)");
  return ToStatus({.code = absl::StatusCode::kInvalidArgument,
                   .reason = "INVALID_FIELD",
                   .message = std::move(message),
                   .fields = std::move(violations)});
}

absl::Status InvalidField(std::string_view field, std::string_view description) {
  return InvalidFields({{std::string(field), std::string(description)}});
}

absl::Status InvalidFilter(std::string_view field, int line, int column, std::string_view message) {
  std::string description = Concat("line ", line, ", column ", column, ": ", message);
  return ToStatus({.code = absl::StatusCode::kInvalidArgument,
                   .reason = "INVALID_FILTER",
                   .message = Concat(field, ": ", description),
                   .metadata = {{"line", Concat(line)}, {"column", Concat(column)}},
                   .fields = {{std::string(field), description}}});
}

absl::Status InvalidPageToken() {
  constexpr std::string_view kRule =
      "is not a token of this server for this query; begin again without it";
  return ToStatus({.code = absl::StatusCode::kInvalidArgument,
                   .reason = "INVALID_PAGE_TOKEN",
                   .message = Concat("page_token: ", kRule),
                   .fields = {{"page_token", std::string(kRule)}}});
}

absl::Status NotFound(std::string_view type, std::string_view name) {
  return ToStatus(
      {.code = absl::StatusCode::kNotFound,
       .reason = "NOT_FOUND",
       .message = name.empty() ? Concat("no such ", type) : Concat(name, " does not exist"),
       .resource_type = std::string(type),
       .resource_name = std::string(name)});
}

absl::Status NotFoundByKey(std::string_view type, std::string_view system) {
  return ToStatus({.code = absl::StatusCode::kNotFound,
                   .reason = "NOT_FOUND",
                   .message = Concat("no ", type, " has this id of system ", system),
                   .metadata = {{"system", std::string(system)}},
                   .resource_type = std::string(type)});
}

absl::Status RequestIdReused(std::string_view request_id) {
  return ToStatus({.code = absl::StatusCode::kAlreadyExists,
                   .reason = "REQUEST_ID_REUSED",
                   .message = "request_id was used for another request; make a new one",
                   .metadata = {{"request_id", std::string(request_id)}}});
}

absl::Status Taken(std::string_view field, std::string_view holder_type, std::string_view holder) {
  return ToStatus({.code = absl::StatusCode::kAlreadyExists,
                   .reason = "ALREADY_EXISTS",
                   .message = Concat(field, " belongs to ", holder),
                   .metadata = {{"field", std::string(field)}},
                   .resource_type = std::string(holder_type),
                   .resource_name = std::string(holder)});
}

absl::Status PreconditionFailed(std::string_view reason, std::string_view message,
                                std::vector<PreconditionViolation> violations) {
  return ToStatus({.code = absl::StatusCode::kFailedPrecondition,
                   .reason = std::string(reason),
                   .message = std::string(message),
                   .preconditions = std::move(violations)});
}

absl::Status StaleEtag(std::string_view name, std::string_view expected, std::string_view actual) {
  return ToStatus(
      {.code = absl::StatusCode::kAborted,
       .reason = "ETAG_MISMATCH",
       .message = Concat(name, " has changed; read it again"),
       .metadata = {{"expected", std::string(expected)}, {"actual", std::string(actual)}}});
}

absl::Status HistoryChanged() {
  return ToStatus({.code = absl::StatusCode::kOutOfRange,
                   .reason = "HISTORY_CHANGED",
                   .message = "resume_token belongs to another history; begin again from 0"});
}

absl::Status Overloaded(int64_t retry_after_millis) {
  return ToStatus({.code = absl::StatusCode::kResourceExhausted,
                   .reason = "OVERLOADED",
                   .message = "too many requests are waiting; nothing was done",
                   .retry_after_millis = retry_after_millis});
}

absl::Status StorageUnavailable(int64_t retry_after_millis) {
  return ToStatus({.code = absl::StatusCode::kUnavailable,
                   .reason = "STORAGE_UNAVAILABLE",
                   .message = "storage is away; nothing was done",
                   .retry_after_millis = retry_after_millis});
}

absl::Status OutcomeUnknown() {
  return ToStatus(
      {.code = absl::StatusCode::kUnavailable,
       .reason = "OUTCOME_UNKNOWN",
       .message = "the write may or may not be kept; repeat it with the same request_id",
       .retry_after_millis = 200});
}

absl::Status Expired() {
  return ToStatus({.code = absl::StatusCode::kDeadlineExceeded,
                   .reason = "DEADLINE_EXCEEDED",
                   .message = "the deadline passed while the request waited; nothing was done"});
}

absl::Status InternalFault(std::string_view what) {
  return ToStatus(
      {.code = absl::StatusCode::kInternal, .reason = "INTERNAL", .message = std::string(what)});
}

std::string EtagOf(int64_t revision) { return Concat("\"", revision, "\""); }

absl::Status CheckEtag(std::string_view name, std::string_view etag, int64_t revision) {
  if (etag.empty()) return absl::OkStatus();
  std::string actual = EtagOf(revision);
  return etag == actual ? absl::OkStatus() : StaleEtag(name, etag, actual);
}

}  // namespace relais::domain
