#include "server/domain/funnel.h"

#include <algorithm>
#include <utility>

namespace relais::domain {

std::optional<double> Ratio::value() const {
  if (denominator == 0) return std::nullopt;
  return static_cast<double>(numerator) / static_cast<double>(denominator);
}

std::optional<double> Median(std::vector<int64_t> values) {
  if (values.empty()) return std::nullopt;
  auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  auto upper = static_cast<double>(*middle);
  if (values.size() % 2 == 1) return upper;
  auto lower = static_cast<double>(*std::max_element(values.begin(), middle));
  return (lower + upper) / 2;
}

std::optional<double> Mean(const std::vector<int64_t>& values) {
  if (values.empty()) return std::nullopt;
  int64_t sum = 0;
  for (int64_t value : values) sum += value;
  return static_cast<double>(sum) / static_cast<double>(values.size());
}

std::optional<int64_t> Percentile(std::vector<int64_t> values, int64_t percent) {
  if (values.empty()) return std::nullopt;
  auto count = static_cast<int64_t>(values.size());
  int64_t rank = (count * percent + 99) / 100;
  auto nth = values.begin() + (std::clamp<int64_t>(rank, 1, count) - 1);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

CycleLength SummarizeCycles(std::vector<int64_t> days) {
  CycleLength length;
  length.count = static_cast<int64_t>(days.size());
  length.mean_days = Mean(days);
  if (std::optional<int64_t> p90 = Percentile(days, 90)) {
    length.p90_days = static_cast<double>(*p90);
  }
  length.median_days = Median(std::move(days));
  return length;
}

}  // namespace relais::domain
