// What the tests of the domain share: readable times, ids and faults.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "server/domain/faults.h"
#include "server/domain/ids.h"
#include "server/domain/lead.h"
#include "server/domain/value.h"

namespace relais::domain {

// Midnight UTC, plus seconds.
inline Timestamp At(int year, unsigned month, unsigned day, int64_t seconds = 0) {
  std::chrono::sys_days days =
      std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day);
  return {days.time_since_epoch().count() * kMicrosPerDay + seconds * kMicrosPerSecond};
}

inline std::string Uuid(int number) {
  return absl::StrFormat("01900000-0000-7000-8000-%012d", number);
}

inline Lead LeadIn(Stage stage, int number = 1) {
  Lead lead;
  lead.id = LeadId(Uuid(number));
  lead.stage = stage;
  lead.market = Market::kB2b;
  return lead;
}

// "REASON" of a refusal, or "" for OK and foreign statuses.
inline std::string ReasonOf(const absl::Status& status) {
  auto fault = FaultOf(status);
  return fault.has_value() ? fault->reason : "";
}

inline std::vector<std::string> FieldsIn(const absl::Status& status) {
  std::vector<std::string> fields;
  if (auto fault = FaultOf(status)) {
    for (const FieldViolation& violation : fault->fields) fields.push_back(violation.field);
  }
  return fields;
}

inline std::vector<PreconditionViolation> PreconditionsIn(const absl::Status& status) {
  auto fault = FaultOf(status);
  return fault.has_value() ? fault->preconditions : std::vector<PreconditionViolation>();
}

}  // namespace relais::domain
