#include "server/domain/funnel.h"

#include <algorithm>
#include <random>

#include "server/domain/calendar.h"
#include "tests/domain/samples.h"

namespace relais::domain {
namespace {

TEST(RatioTest, AWholeOfZeroHasNoValue) {
  EXPECT_EQ((Ratio{3, 0}.value()), std::nullopt);
  EXPECT_EQ((Ratio{0, 4}.value()), 0.0);
  EXPECT_DOUBLE_EQ((Ratio{842, 8000}.value().value()), 0.10525);
}

TEST(CycleTest, DaysAreThoseOfTheCalendarAndMayBeNegative) {
  EXPECT_EQ(CalendarDays(At(2026, 2, 27, 86'399), At(2026, 2, 28)), 1);
  EXPECT_EQ(CalendarDays(At(2026, 2, 28), At(2026, 2, 28, 86'399)), 0);
  EXPECT_EQ(CalendarDays(At(2026, 3, 2), At(2026, 2, 28)), -2);
  EXPECT_EQ(CalendarDays(At(1969, 12, 31, 1), At(1970, 1, 1)), 1);
}

TEST(CycleTest, TheMedianIsTheMiddleOrTheMeanOfTheTwoMiddleOnes) {
  EXPECT_EQ(Median({}), std::nullopt);
  EXPECT_EQ(Median({7}), 7.0);
  EXPECT_EQ(Median({9, 1, 5}), 5.0);
  EXPECT_EQ(Median({9, 1, 5, 6}), 5.5);
  EXPECT_EQ(Median({-3, -2}), -2.5);
}

TEST(CycleTest, TheMeanIsSumByCount) {
  EXPECT_EQ(Mean({}), std::nullopt);
  EXPECT_EQ(Mean({1, 2, 6}), 3.0);
  EXPECT_DOUBLE_EQ(Mean({-1, 2}).value(), 0.5);
}

TEST(CycleTest, PercentilesAreOfTheNearestRank) {
  EXPECT_EQ(Percentile({}, 90), std::nullopt);
  EXPECT_EQ(Percentile({5}, 90), 5);
  EXPECT_EQ(Percentile({10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 90), 9);
  EXPECT_EQ(Percentile({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 90), 10);
  EXPECT_EQ(Percentile({3, 1, 2}, 100), 3);
  EXPECT_EQ(Percentile({3, 1, 2}, 1), 1);
}

TEST(CycleTest, TheSummaryAgreesWithASortedList) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<int64_t> days(1 + random() % 50);
    for (int64_t& day : days) day = static_cast<int64_t>(random() % 100) - 10;
    CycleLength length = SummarizeCycles(days);
    std::sort(days.begin(), days.end());
    size_t n = days.size();
    EXPECT_EQ(length.count, static_cast<int64_t>(n));
    EXPECT_EQ(length.median_days, static_cast<double>(days[(n - 1) / 2] + days[n / 2]) / 2.0);
    size_t rank = 1;
    while (rank * 10 < n * 9) ++rank;
    EXPECT_EQ(length.p90_days, static_cast<double>(days[rank - 1]));
  }
  EXPECT_EQ(SummarizeCycles({}), CycleLength{});
}

TEST(CalendarTest, DaysAndMonthsAreWrittenAsIso) {
  EXPECT_EQ(DayText(0), "1970-01-01");
  EXPECT_EQ(DayText(-1), "1969-12-31");
  EXPECT_EQ(DayText(DayOf(At(2024, 2, 29))), "2024-02-29");
  EXPECT_EQ(MonthText(At(2018, 5, 31, 86'399)), "2018-05");
  EXPECT_EQ(StartOfDay(DayOf(At(2024, 2, 29, 777))), At(2024, 2, 29));
}

}  // namespace
}  // namespace relais::domain
