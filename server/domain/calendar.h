// Days and months of the UTC calendar (proleptic Gregorian), as numbers and as text.
#pragma once

#include <cstdint>
#include <string>

#include "server/domain/value.h"

namespace relais::domain {

// "2026-01-31" for a day counted from 1970-01-01 (what DayOf returns).
std::string DayText(int64_t day);

// "2026-01".
std::string MonthText(Timestamp time);

// Midnight UTC at the beginning of a day.
constexpr Timestamp StartOfDay(int64_t day) { return {day * kMicrosPerDay}; }

}  // namespace relais::domain
