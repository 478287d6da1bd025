// Working time: how long something takes, and when it is due, counted by a calendar's working hours
// alone. Nights, weekends, holidays and the absences of whoever works by it do not count.
//
// Pure, but that the rules of time zones are read from the system's database (through
// absl::TimeZone), once for each zone. Thread-safe: immutable after construction.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/domain/directory.h"
#include "server/domain/enums.h"
#include "server/domain/value.h"

namespace relais::domain {

// Whether the system knows the rules of an IANA zone such as "Europe/Paris".
bool KnowsTimeZone(std::string_view name);

// How many days ahead a due time is looked for: with less working time than asked for in three
// years a calendar is taken for a mistake.
inline constexpr int kMaxDueDays = 3 * 366;

class WorkingTime {
 public:
  // Monday to Friday, 09:00 to 17:00, in the zone ("" or unknown: UTC), without holidays.
  static WorkingTime Usual(std::string_view time_zone);
  // INVALID_ARGUMENT with fields below `field` for a zone that is not known, hours that are
  // malformed, end before they begin or overlap, a week without any, or a malformed date.
  static absl::StatusOr<WorkingTime> Of(const Calendar& calendar,
                                        std::string_view field = "calendar");

  // Takes the absences out of the working time. What is malformed in them does not count.
  void Without(const std::vector<Absence>& absences);

  // The moment at which `seconds` of working time have passed since `start`: the end of the last
  // working second, so that a task that is given at a day's end is due on the next one. With 0 it
  // is `start` itself. FAILED_PRECONDITION, reason NO_WORKING_TIME, when there is not so much
  // within kMaxDueDays.
  absl::StatusOr<Timestamp> After(Timestamp start, int64_t seconds) const;
  // Whole seconds of working time from `start` to `end`; 0 when `end` is not later. Counts at most
  // kMaxDueDays.
  int64_t SecondsBetween(Timestamp start, Timestamp end) const;

 private:
  using Interval = std::pair<int64_t, int64_t>;  // the end not included

  // Working time of one day in microseconds since the epoch, in order and without absences.
  std::vector<Interval> WorkOf(absl::CivilDay day) const;
  absl::CivilDay DayAt(Timestamp time) const;

  absl::TimeZone zone_ = absl::UTCTimeZone();
  std::array<std::vector<Interval>, 7> week_;  // minutes of the day; Monday first
  std::set<std::string> holidays_;             // YYYY-MM-DD
  std::vector<Interval> absences_;             // microseconds, in order
};

// Whether any absence holds `time`.
bool IsAbsent(const User& user, Timestamp time);

}  // namespace relais::domain
