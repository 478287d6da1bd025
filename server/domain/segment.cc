#include "server/domain/segment.h"

#include <vector>

namespace relais::domain {

template <>
absl::Span<const Field<Segment>> FieldsOf<Segment>() {
  static const auto* const kFields = new std::vector<Field<Segment>>{
      MakeField<Segment>(
          "display_name", [](auto& e) -> auto& { return e.display_name; }),
      MakeField<Segment>(
          "description", [](auto& e) -> auto& { return e.description; }),
      MakeField<Segment>(
          "filter", [](auto& e) -> auto& { return e.filter; }),
      MakeField<Segment>(
          "state", [](auto& e) -> auto& { return e.state; }),
      MakeField<Segment>(
          "time_dependent", [](auto& e) -> auto& { return e.time_dependent; }),
      MakeField<Segment>(
          "ready_time", [](auto& e) -> auto& { return e.ready_time; }),
      MakeField<Segment>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<Segment>(
          "update_time", [](auto& e) -> auto& { return e.update_time; }),
  };
  return *kFields;
}

}  // namespace relais::domain
