#include "server/domain/working_time.h"

#include <string>

#include "server/domain/concat.h"
#include "tests/domain/samples.h"

namespace relais::domain {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kHour = 3600;

// Monday to Friday, 09:00 to 12:00 and 13:00 to 18:00.
Calendar Office(std::string zone = "Europe/Paris") {
  Calendar calendar;
  calendar.time_zone = std::move(zone);
  for (const char* day : {"MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY"}) {
    calendar.working_hours.push_back({day, "09:00", "12:00"});
    calendar.working_hours.push_back({day, "13:00", "18:00"});
  }
  return calendar;
}

WorkingTime Of(const Calendar& calendar) {
  absl::StatusOr<WorkingTime> time = WorkingTime::Of(calendar);
  EXPECT_TRUE(time.ok()) << time.status();
  return *time;
}

Absence Away(Timestamp start, Timestamp end) { return {Concat(start.micros), Concat(end.micros)}; }

// 2026-01-05 is a Monday; Paris is one hour ahead of UTC in winter, two in summer.
Timestamp Paris(int month, int day, int64_t hour, int64_t minute = 0, int offset = 1) {
  return At(2026, static_cast<unsigned>(month), static_cast<unsigned>(day),
            (hour - offset) * kHour + minute * 60);
}

TEST(WorkingTimeTest, DueTimesCountWorkingHoursOnly) {
  const WorkingTime office = Of(Office());
  EXPECT_EQ(office.After(Paris(1, 5, 9), kHour).value(), Paris(1, 5, 10));
  // Over lunch, over night, over the weekend.
  EXPECT_EQ(office.After(Paris(1, 5, 11), 2 * kHour).value(), Paris(1, 5, 14));
  EXPECT_EQ(office.After(Paris(1, 5, 17), 2 * kHour).value(), Paris(1, 6, 10));
  EXPECT_EQ(office.After(Paris(1, 9, 17), 2 * kHour).value(), Paris(1, 12, 10));
  // Begun when nobody works.
  EXPECT_EQ(office.After(Paris(1, 10, 3), kHour).value(), Paris(1, 12, 10));
  // A whole day's work ends with the day.
  EXPECT_EQ(office.After(Paris(1, 5, 9), 8 * kHour).value(), Paris(1, 5, 18));
  EXPECT_EQ(office.After(Paris(1, 5, 3), 0).value(), Paris(1, 5, 3));
}

TEST(WorkingTimeTest, HolidaysAndAbsencesDoNotCount) {
  Calendar calendar = Office();
  calendar.holidays = {{"2026-01-06", "Epiphany"}};
  WorkingTime office = Of(calendar);
  EXPECT_EQ(office.After(Paris(1, 5, 17), 2 * kHour).value(), Paris(1, 7, 10));
  office.Without({Away(Paris(1, 7, 9, 30), Paris(1, 7, 16)), {"nonsense", "1"}});
  EXPECT_EQ(office.After(Paris(1, 5, 17), 2 * kHour).value(), Paris(1, 7, 16, 30));
  EXPECT_EQ(office.SecondsBetween(Paris(1, 5, 17), Paris(1, 7, 17)), kHour + kHour / 2 + kHour);
}

TEST(WorkingTimeTest, TheClocksOfTheZoneCount) {
  // In 2026 Paris changes to summer time in the night to Sunday 29 March.
  const WorkingTime office = Of(Office());
  EXPECT_EQ(office.After(Paris(3, 27, 17), 2 * kHour).value(), Paris(3, 30, 10, 0, 2));
  // Somebody who works through that night has an hour less.
  Calendar nights;
  nights.time_zone = "Europe/Paris";
  nights.working_hours = {{"SUNDAY", "00:00", "06:00"}};
  EXPECT_EQ(Of(nights).SecondsBetween(Paris(3, 28, 12), Paris(3, 29, 12, 0, 2)), 5 * kHour);
}

TEST(WorkingTimeTest, TwentyFourHoursMakeADay) {
  Calendar always;
  always.time_zone = "UTC";
  for (int day = 1; day <= 7; ++day) {
    always.working_hours.push_back(
        {std::string(NameOf(static_cast<Weekday>(day))), "00:00", "24:00"});
  }
  const WorkingTime time = Of(always);
  EXPECT_EQ(time.After(At(2026, 1, 31, 7), 100 * kHour).value(), At(2026, 1, 31, 7 + 100 * kHour));
  EXPECT_EQ(time.SecondsBetween(At(2026, 1, 1), At(2027, 1, 1)), 365 * 24 * kHour);
  EXPECT_EQ(time.SecondsBetween(At(2026, 1, 2), At(2026, 1, 1)), 0);
}

TEST(WorkingTimeTest, WhatPassesAndWhatIsDueAgree) {
  Calendar calendar = Office("America/New_York");
  calendar.holidays = {{"2026-07-03", ""}, {"2026-11-26", ""}};
  WorkingTime time = Of(calendar);
  time.Without({Away(At(2026, 3, 1, 5), At(2026, 3, 17, 50'000))});
  uint64_t random = 7;
  for (int i = 0; i < 2'000; ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const Timestamp start = At(2026, 1, 1, static_cast<int64_t>((random >> 33) % (365 * 86'400)));
    const auto seconds = static_cast<int64_t>((random >> 20) % (200 * 3600)) + 1;
    const Timestamp due = time.After(start, seconds).value();
    EXPECT_EQ(time.SecondsBetween(start, due), seconds);
    // The last second of it was worked.
    EXPECT_EQ(time.SecondsBetween(start, {due.micros - kMicrosPerSecond}), seconds - 1);
  }
}

TEST(WorkingTimeTest, ACalendarWithoutWorkIsRefusedWhenItIsAsked) {
  WorkingTime office = Of(Office());
  office.Without({Away(At(2000, 1, 1), At(2100, 1, 1))});
  EXPECT_EQ(ReasonOf(office.After(At(2026, 1, 1), 60).status()), "NO_WORKING_TIME");
}

TEST(WorkingTimeTest, WhatIsWrongWithACalendarIsSaidAllAtOnce) {
  Calendar calendar;
  calendar.time_zone = "Mars/Olympus";
  calendar.working_hours = {{"MONDAY", "09:00", "12:00"},
                            {"MONDAY", "11:59", "13:00"},
                            {"NODAY", "9:00", "25:00"},
                            {"FRIDAY", "18:00", "09:00"}};
  calendar.holidays = {{"2026-02-30", ""}, {"2026-2-3", ""}, {"2026-02-03", ""}};
  EXPECT_THAT(FieldsIn(WorkingTime::Of(calendar).status()),
              ElementsAre("calendar.time_zone", "calendar.working_hours[1]",
                          "calendar.working_hours[2].day", "calendar.working_hours[2].start",
                          "calendar.working_hours[2].end", "calendar.working_hours[3].end",
                          "calendar.holidays[0].date", "calendar.holidays[1].date"));
  calendar = Office();
  calendar.working_hours.clear();
  EXPECT_THAT(FieldsIn(WorkingTime::Of(calendar).status()), ElementsAre("calendar.working_hours"));
}

TEST(WorkingTimeTest, TheUsualWeekIsWorkedWhereNothingElseIsSaid) {
  const WorkingTime usual = WorkingTime::Usual("Europe/Paris");
  EXPECT_EQ(usual.After(Paris(1, 9, 16), 2 * kHour).value(), Paris(1, 12, 10));
  EXPECT_EQ(WorkingTime::Usual("nowhere").After(At(2026, 1, 5), 60).value(),
            At(2026, 1, 5, 9 * kHour + 60));
}

TEST(WorkingTimeTest, AnAbsenceEndsWhenItEnds) {
  User user;
  user.absences = {Away(At(2026, 1, 5), At(2026, 1, 6))};
  EXPECT_FALSE(IsAbsent(user, {At(2026, 1, 5).micros - 1}));
  EXPECT_TRUE(IsAbsent(user, At(2026, 1, 5)));
  EXPECT_FALSE(IsAbsent(user, At(2026, 1, 6)));
}

}  // namespace
}  // namespace relais::domain
