// Imports and the long operations that show them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "server/domain/enums.h"
#include "server/domain/fields.h"
#include "server/domain/ids.h"
#include "server/domain/value.h"

namespace relais::domain {

struct Import {
  ImportId id;
  int64_t revision = 0;
  std::string display_name;
  ImportState state = ImportState::kUnspecified;
  int64_t committed_row = 0, rows_total = 0, rows_done = 0, rows_unchanged = 0, rows_failed = 0;
  std::string operation;  // operations/{id}
  std::string actor;
  Timestamp create_time, update_time;
  friend bool operator==(const Import&, const Import&) = default;
};

struct Operation {
  OperationId id;
  int64_t revision = 0;
  std::string kind;
  OperationState state = OperationState::kUnspecified;
  std::string target;  // name of the resource it works on
  int64_t rows_total = 0, rows_read = 0, rows_done = 0, rows_failed = 0;
  std::string cursor;      // where it goes on after a restart; the kind says what it holds
  int64_t error_code = 0;  // google.rpc.Code
  std::string error_message, actor;
  Timestamp create_time, update_time;
  std::optional<Timestamp> end_time;
  friend bool operator==(const Operation&, const Operation&) = default;
};

template <>
absl::Span<const Field<Import>> FieldsOf<Import>();
template <>
absl::Span<const Field<Operation>> FieldsOf<Operation>();

}  // namespace relais::domain
