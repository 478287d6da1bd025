// Users, teams, and the calendars that they work by.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/domain/fields.h"
#include "server/domain/ids.h"
#include "server/domain/value.h"

namespace relais::domain {

// A time in which a user gets nothing: microseconds as decimal text, the end not included.
struct Absence {
  static constexpr std::string_view kMemberNames[] = {"start_time", "end_time"};
  static constexpr absl::Span<const std::string_view> kMembers = kMemberNames;
  std::string start_time, end_time;
  friend bool operator==(const Absence&, const Absence&) = default;
};

struct User {
  UserId id;
  int64_t revision = 0;
  std::string display_name, email;
  std::vector<std::string> teams;  // teams/{id}
  std::string time_zone, language;
  bool archived = false;
  std::map<std::string, std::string> external_ids;  // system -> id
  std::string calendar;                             // calendars/{id}; empty: that of a team
  std::vector<Absence> absences;
  std::optional<int64_t> capacity;       // open leads at most; absent: no limit
  std::optional<int64_t> weight;         // share of what is routed by weight; absent: 1
  std::vector<std::string> territories;  // "FR", "FR-75": country, or country and region
  Timestamp create_time, update_time;
  friend bool operator==(const User&, const User&) = default;
};

struct Team {
  TeamId id;
  int64_t revision = 0;
  std::string display_name, parent_team;
  bool archived = false;
  std::string calendar;  // calendars/{id} of members without one of their own; may be empty
  Timestamp create_time, update_time;
  friend bool operator==(const Team&, const Team&) = default;
};

// Working time within one day of the week: "HH:MM" to "HH:MM" in the calendar's zone, "24:00" being
// the day's end.
struct WorkingHours {
  static constexpr std::string_view kMemberNames[] = {"day", "start", "end"};
  static constexpr absl::Span<const std::string_view> kMembers = kMemberNames;
  std::string day;  // name of a Weekday
  std::string start, end;
  friend bool operator==(const WorkingHours&, const WorkingHours&) = default;
};

// A day without working time.
struct Holiday {
  static constexpr std::string_view kMemberNames[] = {"date", "display_name"};
  static constexpr absl::Span<const std::string_view> kMembers = kMemberNames;
  std::string date;  // YYYY-MM-DD
  std::string display_name;
  friend bool operator==(const Holiday&, const Holiday&) = default;
};

struct Calendar {
  CalendarId id;
  int64_t revision = 0;
  std::string display_name, time_zone;
  std::vector<WorkingHours> working_hours;
  std::vector<Holiday> holidays;
  bool archived = false;
  Timestamp create_time, update_time;
  friend bool operator==(const Calendar&, const Calendar&) = default;
};

Value ToValue(const std::vector<Absence>& v);
Value ToValue(const std::vector<WorkingHours>& v);
Value ToValue(const std::vector<Holiday>& v);
void FromValue(const Value& v, std::vector<Absence>& out);
void FromValue(const Value& v, std::vector<WorkingHours>& out);
void FromValue(const Value& v, std::vector<Holiday>& out);

// The keys by which a user or team is unique in the tenant, as (kind, value): the e-mail and each
// external id of a user, the name of a team.
std::vector<std::pair<std::string, std::string>> UniqueKeys(const User& user);
std::vector<std::pair<std::string, std::string>> UniqueKeys(const Team& team);

template <>
absl::Span<const Field<User>> FieldsOf<User>();
template <>
absl::Span<const Field<Team>> FieldsOf<Team>();
template <>
absl::Span<const Field<Calendar>> FieldsOf<Calendar>();

}  // namespace relais::domain
