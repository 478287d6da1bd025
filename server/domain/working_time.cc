#include "server/domain/working_time.h"

#include <algorithm>
#include <optional>

#include "absl/strings/numbers.h"
#include "server/domain/concat.h"
#include "server/domain/faults.h"

namespace relais::domain {
namespace {

constexpr int64_t kMinutesPerDay = 24 * 60;

// Minutes of "HH:MM", 00:00 to 24:00.
std::optional<int64_t> MinutesOf(std::string_view text) {
  auto digit = [&](size_t i) { return text[i] >= '0' && text[i] <= '9'; };
  if (text.size() != 5 || text[2] != ':' || !digit(0) || !digit(1) || !digit(3) || !digit(4)) {
    return std::nullopt;
  }
  const int64_t hours = (text[0] - '0') * 10 + (text[1] - '0');
  const int64_t minutes = (text[3] - '0') * 10 + (text[4] - '0');
  if (minutes > 59 || hours * 60 + minutes > kMinutesPerDay) return std::nullopt;
  return hours * 60 + minutes;
}

std::optional<std::pair<int64_t, int64_t>> SpanOf(const Absence& absence) {
  int64_t start = 0, end = 0;
  if (!absl::SimpleAtoi(absence.start_time, &start) || !absl::SimpleAtoi(absence.end_time, &end) ||
      end <= start) {
    return std::nullopt;
  }
  return std::pair(start, end);
}

std::string DateOf(absl::CivilDay day) { return absl::FormatCivilTime(day); }

bool IsDate(const std::string& text) {
  absl::CivilDay day;
  return text.size() == 10 && absl::ParseCivilTime(text, &day) && DateOf(day) == text;
}

}  // namespace

bool KnowsTimeZone(std::string_view name) {
  absl::TimeZone zone;
  return absl::LoadTimeZone(std::string(name), &zone);
}

WorkingTime WorkingTime::Usual(std::string_view time_zone) {
  constexpr Interval kDay = {9 * 60, 17 * 60};
  WorkingTime usual;
  if (!time_zone.empty()) absl::LoadTimeZone(std::string(time_zone), &usual.zone_);
  for (size_t day = 0; day < 5; ++day) usual.week_[day] = {kDay};
  return usual;
}

absl::StatusOr<WorkingTime> WorkingTime::Of(const Calendar& calendar, std::string_view field) {
  WorkingTime time;
  std::vector<FieldViolation> violations;
  auto add = [&](const std::string& path, std::string rule) {
    violations.push_back({Concat(field, ".", path), std::move(rule)});
  };
  if (!absl::LoadTimeZone(calendar.time_zone, &time.zone_)) {
    add("time_zone", "must be a time zone that this server knows, such as Europe/Paris");
  }
  for (size_t i = 0; i < calendar.working_hours.size(); ++i) {
    const WorkingHours& hours = calendar.working_hours[i];
    const std::string path = Concat("working_hours[", i, "]");
    const std::optional<int64_t> day = EnumTraits<Weekday>::names().Number(hours.day);
    const std::optional<int64_t> start = MinutesOf(hours.start), end = MinutesOf(hours.end);
    if (!day.has_value()) add(path + ".day", "must be a day of the week");
    if (!start.has_value()) add(path + ".start", "must be HH:MM, from 00:00 to 24:00");
    if (!end.has_value()) add(path + ".end", "must be HH:MM, from 00:00 to 24:00");
    if (!day.has_value() || !start.has_value() || !end.has_value()) continue;
    if (*end <= *start) {
      add(path + ".end", "must be later than start");
      continue;
    }
    std::vector<Interval>& of_day = time.week_[static_cast<size_t>(*day - 1)];
    const bool overlaps = std::any_of(of_day.begin(), of_day.end(), [&](const Interval& other) {
      return *start < other.second && other.first < *end;
    });
    if (overlaps) add(path, "must not overlap with other hours of the day");
    of_day.emplace_back(*start, *end);
  }
  if (calendar.working_hours.empty()) add("working_hours", "must have an entry");
  for (size_t i = 0; i < calendar.holidays.size(); ++i) {
    if (!IsDate(calendar.holidays[i].date)) {
      add(Concat("holidays[", i, "].date"), "must be a date, YYYY-MM-DD");
    }
    time.holidays_.insert(calendar.holidays[i].date);
  }
  if (!violations.empty()) return InvalidFields(std::move(violations));
  for (std::vector<Interval>& of_day : time.week_) std::sort(of_day.begin(), of_day.end());
  return time;
}

void WorkingTime::Without(const std::vector<Absence>& absences) {
  for (const Absence& absence : absences) {
    if (auto span = SpanOf(absence)) absences_.push_back(*span);
  }
  std::sort(absences_.begin(), absences_.end());
}

absl::CivilDay WorkingTime::DayAt(Timestamp time) const {
  return absl::ToCivilDay(absl::FromUnixMicros(time.micros), zone_);
}

std::vector<WorkingTime::Interval> WorkingTime::WorkOf(absl::CivilDay day) const {
  std::vector<Interval> work;
  if (holidays_.contains(DateOf(day))) return work;
  const auto weekday = static_cast<size_t>(absl::GetWeekday(day));  // Monday is 0
  for (const auto& [from, to] : week_[weekday]) {
    // A minute that the clocks skip or repeat is where they were before the change.
    auto at = [&](int64_t minute) {
      const absl::CivilSecond local = absl::CivilSecond(day) + minute * 60;
      return absl::ToUnixMicros(absl::FromCivil(local, zone_));
    };
    int64_t start = at(from);
    const int64_t end = at(to);
    for (const auto& [away, back] : absences_) {
      if (away >= end) break;
      if (back <= start) continue;
      if (away > start) work.emplace_back(start, away);
      start = back;
    }
    if (start < end) work.emplace_back(start, end);
  }
  return work;
}

absl::StatusOr<Timestamp> WorkingTime::After(Timestamp start, int64_t seconds) const {
  if (seconds <= 0) return start;
  int64_t left = seconds * kMicrosPerSecond;
  absl::CivilDay day = DayAt(start);
  for (int i = 0; i < kMaxDueDays; ++i, ++day) {
    for (const auto& [from, to] : WorkOf(day)) {
      const int64_t begin = std::max(from, start.micros);
      if (begin >= to) continue;
      if (to - begin >= left) return Timestamp{begin + left};
      left -= to - begin;
    }
  }
  return PreconditionFailed(
      "NO_WORKING_TIME", "the calendar has not enough working time",
      {{"CALENDAR", "calendar",
        Concat("has less than ", (seconds + 59) / 60, " minutes of working time in the next ",
               kMaxDueDays, " days")}});
}

int64_t WorkingTime::SecondsBetween(Timestamp start, Timestamp end) const {
  int64_t micros = 0;
  absl::CivilDay day = DayAt(start);
  const absl::CivilDay last = std::min(DayAt(end), day + kMaxDueDays);
  for (; day <= last; ++day) {
    for (const auto& [from, to] : WorkOf(day)) {
      micros += std::max<int64_t>(0, std::min(to, end.micros) - std::max(from, start.micros));
    }
  }
  return micros / kMicrosPerSecond;
}

bool IsAbsent(const User& user, Timestamp time) {
  return std::any_of(user.absences.begin(), user.absences.end(), [&](const Absence& absence) {
    auto span = SpanOf(absence);
    return span.has_value() && span->first <= time.micros && time.micros < span->second;
  });
}

}  // namespace relais::domain
