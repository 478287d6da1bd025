#include "server/domain/operation.h"

#include <vector>

namespace relais::domain {

template <>
absl::Span<const Field<Import>> FieldsOf<Import>() {
  static const auto* const kFields = new std::vector<Field<Import>>{
      MakeField<Import>(
          "display_name", [](auto& e) -> auto& { return e.display_name; }),
      MakeField<Import>(
          "state", [](auto& e) -> auto& { return e.state; }),
      MakeField<Import>(
          "committed_row", [](auto& e) -> auto& { return e.committed_row; }),
      MakeField<Import>(
          "rows_total", [](auto& e) -> auto& { return e.rows_total; }),
      MakeField<Import>(
          "rows_done", [](auto& e) -> auto& { return e.rows_done; }),
      MakeField<Import>(
          "rows_unchanged", [](auto& e) -> auto& { return e.rows_unchanged; }),
      MakeField<Import>(
          "rows_failed", [](auto& e) -> auto& { return e.rows_failed; }),
      MakeField<Import>(
          "operation", [](auto& e) -> auto& { return e.operation; }),
      MakeField<Import>(
          "actor", [](auto& e) -> auto& { return e.actor; }),
      MakeField<Import>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<Import>(
          "update_time", [](auto& e) -> auto& { return e.update_time; }),
  };
  return *kFields;
}

template <>
absl::Span<const Field<Operation>> FieldsOf<Operation>() {
  static const auto* const kFields = new std::vector<Field<Operation>>{
      MakeField<Operation>(
          "kind", [](auto& e) -> auto& { return e.kind; }),
      MakeField<Operation>(
          "state", [](auto& e) -> auto& { return e.state; }),
      MakeField<Operation>(
          "target", [](auto& e) -> auto& { return e.target; }),
      MakeField<Operation>(
          "rows_total", [](auto& e) -> auto& { return e.rows_total; }),
      MakeField<Operation>(
          "rows_read", [](auto& e) -> auto& { return e.rows_read; }),
      MakeField<Operation>(
          "rows_done", [](auto& e) -> auto& { return e.rows_done; }),
      MakeField<Operation>(
          "rows_failed", [](auto& e) -> auto& { return e.rows_failed; }),
      MakeField<Operation>("cursor", [](auto& e) -> auto& { return e.cursor; },
                           {.type = FieldType::kBlob, .history = false, .filterable = false}),
      MakeField<Operation>(
          "error.code", [](auto& e) -> auto& { return e.error_code; }),
      MakeField<Operation>(
          "error.message", [](auto& e) -> auto& { return e.error_message; }),
      MakeField<Operation>(
          "actor", [](auto& e) -> auto& { return e.actor; }),
      MakeField<Operation>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<Operation>(
          "update_time", [](auto& e) -> auto& { return e.update_time; }),
      MakeField<Operation>(
          "end_time", [](auto& e) -> auto& { return e.end_time; }),
  };
  return *kFields;
}

}  // namespace relais::domain
