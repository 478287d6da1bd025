// A made-up entity with a field of every type, and a child of it, for the tests of the filter
// language: the language must not depend on what today's entities happen to have.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "server/domain/fields.h"
#include "server/domain/filter_schema.h"
#include "server/domain/records.h"
#include "server/domain/value.h"

namespace relais::domain {

enum class Phase : int32_t { kUnspecified, kLead, kProspect, kCustomer };
enum class SignKind : int32_t { kUnspecified, kPageView, kWebinar, kCall };

template <>
struct EnumTraits<Phase> {
  static const EnumNames& names() {
    static constexpr std::string_view kNames[] = {"UNSPECIFIED", "LEAD", "PROSPECT", "CUSTOMER"};
    static constexpr EnumNames kEnum{"Phase", kNames};
    return kEnum;
  }
};
template <>
struct EnumTraits<SignKind> {
  static const EnumNames& names() {
    static constexpr std::string_view kNames[] = {"UNSPECIFIED", "PAGE_VIEW", "WEBINAR", "CALL"};
    static constexpr EnumNames kEnum{"SignKind", kNames};
    return kEnum;
  }
};

struct Address {
  static constexpr std::string_view kMemberNames[] = {"address", "label"};
  static constexpr absl::Span<const std::string_view> kMembers = kMemberNames;
  std::string address, label;
  friend bool operator==(const Address&, const Address&) = default;
};

inline Value ToValue(const std::vector<Address>& v) {
  return RecordsToValue(v, [](auto& r) { return std::array{&r.address, &r.label}; });
}
inline void FromValue(const Value& v, std::vector<Address>& out) {
  RecordsFromValue(v, out, [](auto& r) { return std::array{&r.address, &r.label}; });
}

struct Specimen {
  bool active = false;
  std::optional<bool> checked;
  int64_t score = 0;
  std::optional<int64_t> headcount;
  Phase stage = Phase::kUnspecified;
  std::string name, note, secret;
  std::vector<Address> emails;
  Timestamp create_time;
  std::optional<Timestamp> close_time;
  std::optional<Money> estimated_value;
  std::vector<std::string> needs;
  std::map<std::string, std::string> labels;
};

struct Sign {
  SignKind kind = SignKind::kUnspecified;
  Timestamp occur_time;
  std::string topic;
  std::optional<int64_t> seconds;
  std::optional<Money> value;
  std::map<std::string, std::string> properties;
};

template <>
inline absl::Span<const Field<Specimen>> FieldsOf<Specimen>() {
  static const auto* const kFields = new std::vector<Field<Specimen>>{
      MakeField<Specimen>(
          "active", [](auto& e) -> auto& { return e.active; }),
      MakeField<Specimen>(
          "checked", [](auto& e) -> auto& { return e.checked; }),
      MakeField<Specimen>(
          "score", [](auto& e) -> auto& { return e.score; }),
      MakeField<Specimen>(
          "organization.headcount", [](auto& e) -> auto& { return e.headcount; }),
      MakeField<Specimen>(
          "stage", [](auto& e) -> auto& { return e.stage; }),
      MakeField<Specimen>("person.name", [](auto& e) -> auto& { return e.name; },
                          {.personal = true}),
      MakeField<Specimen>(
          "note", [](auto& e) -> auto& { return e.note; }),
      MakeField<Specimen>("secret", [](auto& e) -> auto& { return e.secret; },
                          {.filterable = false}),
      MakeField<Specimen>("person.emails", [](auto& e) -> auto& { return e.emails; },
                          {.personal = true}),
      MakeField<Specimen>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<Specimen>(
          "close_time", [](auto& e) -> auto& { return e.close_time; }),
      MakeField<Specimen>(
          "estimated_value", [](auto& e) -> auto& { return e.estimated_value; }),
      MakeField<Specimen>(
          "needs", [](auto& e) -> auto& { return e.needs; }),
      MakeField<Specimen>(
          "labels", [](auto& e) -> auto& { return e.labels; }),
  };
  return *kFields;
}

template <>
inline absl::Span<const Field<Sign>> FieldsOf<Sign>() {
  static const auto* const kFields = new std::vector<Field<Sign>>{
      MakeField<Sign>(
          "kind", [](auto& e) -> auto& { return e.kind; }),
      MakeField<Sign>(
          "occur_time", [](auto& e) -> auto& { return e.occur_time; }),
      MakeField<Sign>(
          "topic", [](auto& e) -> auto& { return e.topic; }),
      MakeField<Sign>(
          "seconds", [](auto& e) -> auto& { return e.seconds; }),
      MakeField<Sign>(
          "value", [](auto& e) -> auto& { return e.value; }),
      MakeField<Sign>(
          "properties", [](auto& e) -> auto& { return e.properties; }),
  };
  return *kFields;
}

inline FilterSchema SpecimenSchema() {
  FilterSchema schema = SchemaOf<Specimen>();
  schema.AddCollection("touchpoints", SchemaOf<Sign>(), "occur_time").IgnoreError();
  return schema;
}

}  // namespace relais::domain
