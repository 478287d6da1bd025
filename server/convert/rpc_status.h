// The one place that knows google.rpc: faults of the domain as callers see them.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"

namespace relais::convert {

// The canonical code and message, with details: always ErrorInfo (reason, domain "relais",
// metadata), and BadRequest, PreconditionFailure, ResourceInfo, RetryInfo where they apply. For
// UNKNOWN and INTERNAL the text is `call_id` only: what happened is in the log. Violations that do
// not fit kMaxStatusDetailBytes are left out; ErrorInfo then says `violations_total`. An OK status
// gives an empty message.
google::rpc::Status ToRpcStatus(const absl::Status& status, std::string_view call_id);

}  // namespace relais::convert
