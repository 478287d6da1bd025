#include "server/convert/rpc_status.h"

#include <optional>
#include <string>
#include <utility>

#include "google/rpc/code.pb.h"
#include "google/rpc/error_details.pb.h"
#include "server/convert/limits.h"
#include "server/domain/concat.h"
#include "server/domain/faults.h"

namespace relais::convert {
namespace {

using domain::Fault;

// The bytes that callers can still be given.
class DetailBudget {
 public:
  bool Take(size_t bytes) {
    if (bytes > left_) return false;
    left_ -= bytes;
    return true;
  }

 private:
  size_t left_ = kMaxStatusDetailBytes;
};

// Cut at the beginning of a character.
std::string Shortened(std::string text) {
  if (text.size() <= kMaxStatusMessageBytes) return text;
  size_t size = kMaxStatusMessageBytes;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) --size;
  text.resize(size);
  return text;
}

google::rpc::Status Internal(std::string_view call_id) {
  google::rpc::Status out;
  out.set_code(google::rpc::INTERNAL);
  out.set_message(Concat("internal error; call ", call_id));
  google::rpc::ErrorInfo info;
  info.set_reason("INTERNAL");
  info.set_domain("relais");
  (*info.mutable_metadata())["call_id"] = std::string(call_id);
  out.add_details()->PackFrom(info);
  return out;
}

// What an error without a fault may say: it may hold text of a library.
Fault WithoutText(absl::StatusCode code) {
  return {.code = code,
          .reason = code == absl::StatusCode::kCancelled ? "CANCELLED" : "DEADLINE_EXCEEDED",
          .message = code == absl::StatusCode::kCancelled ? "the call was cancelled"
                                                          : "the deadline passed"};
}

}  // namespace

google::rpc::Status ToRpcStatus(const absl::Status& status, std::string_view call_id) {
  google::rpc::Status out;
  if (status.ok()) return out;
  std::optional<Fault> fault = domain::FaultOf(status);
  if (!fault && (status.code() == absl::StatusCode::kCancelled ||
                 status.code() == absl::StatusCode::kDeadlineExceeded)) {
    fault = WithoutText(status.code());
  }
  if (!fault || fault->code == absl::StatusCode::kInternal ||
      fault->code == absl::StatusCode::kUnknown) {
    return Internal(call_id);
  }

  out.set_code(static_cast<int>(fault->code));
  out.set_message(Shortened(fault->message));

  google::rpc::ErrorInfo info;
  info.set_reason(fault->reason);
  info.set_domain("relais");
  info.mutable_metadata()->insert(fault->metadata.begin(), fault->metadata.end());
  DetailBudget budget;
  // Room for what is said besides: type names, the note on what was left out.
  budget.Take(info.ByteSizeLong() + 256);

  google::rpc::BadRequest bad_request;
  for (const domain::FieldViolation& violation : fault->fields) {
    google::rpc::BadRequest::FieldViolation entry;
    entry.set_field(violation.field);
    entry.set_description(violation.description);
    if (!budget.Take(entry.ByteSizeLong() + 4)) break;
    *bad_request.add_field_violations() = std::move(entry);
  }
  google::rpc::PreconditionFailure precondition;
  for (const domain::PreconditionViolation& violation : fault->preconditions) {
    google::rpc::PreconditionFailure::Violation entry;
    entry.set_type(violation.type);
    entry.set_subject(violation.subject);
    entry.set_description(violation.description);
    if (!budget.Take(entry.ByteSizeLong() + 4)) break;
    *precondition.add_violations() = std::move(entry);
  }
  size_t total = fault->fields.size() + fault->preconditions.size();
  size_t shown = static_cast<size_t>(bad_request.field_violations_size()) +
                 static_cast<size_t>(precondition.violations_size());
  if (shown < total) (*info.mutable_metadata())["violations_total"] = Concat(total);

  out.add_details()->PackFrom(info);
  if (bad_request.field_violations_size() > 0) out.add_details()->PackFrom(bad_request);
  if (precondition.violations_size() > 0) out.add_details()->PackFrom(precondition);
  if (!fault->resource_type.empty()) {
    google::rpc::ResourceInfo resource;
    resource.set_resource_type(fault->resource_type);
    resource.set_resource_name(fault->resource_name);
    out.add_details()->PackFrom(resource);
  }
  if (fault->retry_after_millis) {
    google::rpc::RetryInfo retry;
    int64_t millis = *fault->retry_after_millis;
    retry.mutable_retry_delay()->set_seconds(millis / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(millis % 1000) * 1'000'000);
    out.add_details()->PackFrom(retry);
  }
  return out;
}

}  // namespace relais::convert
