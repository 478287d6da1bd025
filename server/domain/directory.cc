#include "server/domain/directory.h"

#include <array>
#include <vector>

#include "server/domain/records.h"

namespace relais::domain {
namespace {

constexpr auto kAbsenceRefs = [](auto& r) { return std::array{&r.start_time, &r.end_time}; };
constexpr auto kWorkingHoursRefs = [](auto& r) { return std::array{&r.day, &r.start, &r.end}; };
constexpr auto kHolidayRefs = [](auto& r) { return std::array{&r.date, &r.display_name}; };

}  // namespace

Value ToValue(const std::vector<Absence>& v) { return RecordsToValue(v, kAbsenceRefs); }
void FromValue(const Value& v, std::vector<Absence>& out) {
  RecordsFromValue(v, out, kAbsenceRefs);
}
Value ToValue(const std::vector<WorkingHours>& v) { return RecordsToValue(v, kWorkingHoursRefs); }
void FromValue(const Value& v, std::vector<WorkingHours>& out) {
  RecordsFromValue(v, out, kWorkingHoursRefs);
}
Value ToValue(const std::vector<Holiday>& v) { return RecordsToValue(v, kHolidayRefs); }
void FromValue(const Value& v, std::vector<Holiday>& out) {
  RecordsFromValue(v, out, kHolidayRefs);
}

std::vector<std::pair<std::string, std::string>> UniqueKeys(const User& user) {
  std::vector<std::pair<std::string, std::string>> keys;
  if (!user.email.empty()) keys.emplace_back("email", user.email);
  for (const auto& [system, id] : user.external_ids) keys.emplace_back("id:" + system, id);
  return keys;
}

std::vector<std::pair<std::string, std::string>> UniqueKeys(const Team& team) {
  return {{"name", team.display_name}};
}

template <>
absl::Span<const Field<User>> FieldsOf<User>() {
  static const auto* const kFields = new std::vector<Field<User>>{
      MakeField<User>(
          "display_name", [](auto& e) -> auto& { return e.display_name; }),
      MakeField<User>("email", [](auto& e) -> auto& { return e.email; }, {.personal = true}),
      MakeField<User>(
          "teams", [](auto& e) -> auto& { return e.teams; }),
      MakeField<User>(
          "time_zone", [](auto& e) -> auto& { return e.time_zone; }),
      MakeField<User>(
          "language", [](auto& e) -> auto& { return e.language; }),
      MakeField<User>(
          "archived", [](auto& e) -> auto& { return e.archived; }),
      MakeField<User>(
          "external_ids", [](auto& e) -> auto& { return e.external_ids; }),
      MakeField<User>(
          "calendar", [](auto& e) -> auto& { return e.calendar; }),
      MakeField<User>("absences", [](auto& e) -> auto& { return e.absences; },
                      {.filterable = false}),
      MakeField<User>(
          "capacity", [](auto& e) -> auto& { return e.capacity; }),
      MakeField<User>(
          "weight", [](auto& e) -> auto& { return e.weight; }),
      MakeField<User>(
          "territories", [](auto& e) -> auto& { return e.territories; }),
      MakeField<User>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<User>(
          "update_time", [](auto& e) -> auto& { return e.update_time; }),
  };
  return *kFields;
}

template <>
absl::Span<const Field<Team>> FieldsOf<Team>() {
  static const auto* const kFields = new std::vector<Field<Team>>{
      MakeField<Team>(
          "display_name", [](auto& e) -> auto& { return e.display_name; }),
      MakeField<Team>(
          "parent_team", [](auto& e) -> auto& { return e.parent_team; }),
      MakeField<Team>(
          "archived", [](auto& e) -> auto& { return e.archived; }),
      MakeField<Team>(
          "calendar", [](auto& e) -> auto& { return e.calendar; }),
      MakeField<Team>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<Team>(
          "update_time", [](auto& e) -> auto& { return e.update_time; }),
  };
  return *kFields;
}

template <>
absl::Span<const Field<Calendar>> FieldsOf<Calendar>() {
  static const auto* const kFields = new std::vector<Field<Calendar>>{
      MakeField<Calendar>(
          "display_name", [](auto& e) -> auto& { return e.display_name; }),
      MakeField<Calendar>(
          "time_zone", [](auto& e) -> auto& { return e.time_zone; }),
      MakeField<Calendar>("working_hours", [](auto& e) -> auto& { return e.working_hours; },
                          {.filterable = false}),
      MakeField<Calendar>("holidays", [](auto& e) -> auto& { return e.holidays; },
                          {.filterable = false}),
      MakeField<Calendar>(
          "archived", [](auto& e) -> auto& { return e.archived; }),
      MakeField<Calendar>(
          "create_time", [](auto& e) -> auto& { return e.create_time; }),
      MakeField<Calendar>(
          "update_time", [](auto& e) -> auto& { return e.update_time; }),
  };
  return *kFields;
}

}  // namespace relais::domain
