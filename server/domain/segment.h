// A saved filter over leads whose members are kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "server/domain/enums.h"
#include "server/domain/fields.h"
#include "server/domain/ids.h"
#include "server/domain/value.h"

namespace relais::domain {

struct Segment {
  SegmentId id;
  int64_t revision = 0;
  std::string display_name, description;
  std::string filter;  // as it was written
  SegmentState state = SegmentState::kUnspecified;
  bool time_dependent = false;
  std::optional<Timestamp> ready_time;  // its members were complete for the first time
  Timestamp create_time, update_time;
  friend bool operator==(const Segment&, const Segment&) = default;
};

template <>
absl::Span<const Field<Segment>> FieldsOf<Segment>();

}  // namespace relais::domain
