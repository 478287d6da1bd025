#include "server/domain/calendar.h"

#include <chrono>
#include <cstdio>

namespace relais::domain {
namespace {

std::chrono::year_month_day CivilDay(int64_t day) {
  return std::chrono::sys_days(std::chrono::days(day));
}

}  // namespace

std::string DayText(int64_t day) {
  std::chrono::year_month_day civil = CivilDay(day);
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(civil.year()),
                static_cast<unsigned>(civil.month()), static_cast<unsigned>(civil.day()));
  return text;
}

std::string MonthText(Timestamp time) { return DayText(DayOf(time)).substr(0, 7); }

}  // namespace relais::domain
