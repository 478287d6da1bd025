// The log: one line per call and one per noteworthy event, on stderr. Lines carry names, codes,
// durations and ids, never a field of a request or of a person.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace relais::runtime {

// Sends the process's log to stderr from `level` on ("trace", "debug", "info", "warn", "error",
// "off") through a thread of its own, so that a slow terminal never holds up a call: when 8,192
// lines wait, the oldest are dropped. INVALID_ARGUMENT for another level. To be called by main,
// once.
absl::Status StartLogging(const std::string& level);
// Writes what waits. After it, lines are lost.
void StopLogging();

struct CallLine {
  std::string_view service, method;  // "LeadService", "CaptureLead"
  std::string_view code;             // as metrics.h names it: "OK", "InvalidArgument"
  std::chrono::microseconds taken{};
  std::string_view call_id, trace_id, tenant, principal;
  std::string_view reason;  // of the fault; empty on success
};
// Thread-safe. INFO; ERROR for calls that ended Internal.
void LogCall(const CallLine& line);
// Whether a line of that code would be written: what is in a line need not be made otherwise.
bool LogsCall(std::string_view code);

void LogInfo(std::string_view message);
void LogWarning(std::string_view message);
void LogError(std::string_view message);

}  // namespace relais::runtime
