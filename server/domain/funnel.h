// The arithmetic of figures: parts of a whole, and how long sales took. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "server/domain/value.h"

namespace relais::domain {

// A part of a whole, exact.
struct Ratio {
  int64_t numerator = 0;
  int64_t denominator = 0;

  // Absent when the whole is 0.
  std::optional<double> value() const;
  friend bool operator==(const Ratio&, const Ratio&) = default;
};

// Whole days from one UTC calendar day to another; negative when `to` lies before.
constexpr int64_t CalendarDays(Timestamp from, Timestamp to) { return DayOf(to) - DayOf(from); }

// Half of the values are not greater: the middle one, or the mean of the two middle ones. Absent
// without values. The order of `values` does not matter, here and below.
std::optional<double> Median(std::vector<int64_t> values);

// Sum divided by count. Absent without values.
std::optional<double> Mean(const std::vector<int64_t>& values);

// The nearest rank: the smallest value such that at least `percent` (1 to 100) in a hundred are not
// greater. Absent without values.
std::optional<int64_t> Percentile(std::vector<int64_t> values, int64_t percent);

// How long sales took, in days.
struct CycleLength {
  int64_t count = 0;
  std::optional<double> median_days, mean_days, p90_days;
  friend bool operator==(const CycleLength&, const CycleLength&) = default;
};

CycleLength SummarizeCycles(std::vector<int64_t> days);

}  // namespace relais::domain
