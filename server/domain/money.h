// Exact money: units and nanos as in google.type.Money, arithmetic in 128-bit nanos.
//
// Pure values; no rounding happens here except in the function that says so in its name.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"

namespace relais::domain {

inline constexpr int64_t kNanosPerUnit = 1'000'000'000;

// An amount of one currency. `nanos` has the sign of `units` (or any sign when units is 0) and
// |nanos| < 1e9.
struct Money {
  std::string currency_code;  // ISO 4217, three upper-case letters
  int64_t units = 0;
  int32_t nanos = 0;

  absl::int128 total_nanos() const { return absl::int128(units) * kNanosPerUnit + nanos; }
  friend bool operator==(const Money&, const Money&) = default;
};

// True for a currency code in use (ISO 4217 list A.1, compiled in; source: ISO 4217:2015 and its
// amendments up to 2026), without XXX and XTS, which name no money.
bool IsCurrency(std::string_view code);

// OUT_OF_RANGE when the amount does not fit 64-bit units.
absl::StatusOr<Money> MoneyFromNanos(std::string_view currency, absl::int128 nanos);

// INVALID_ARGUMENT when the currencies differ; OUT_OF_RANGE on overflow.
absl::StatusOr<Money> Add(const Money& a, const Money& b);

// Decimal text such as "1234.5 EUR" or "-0.05 EUR": at most nine decimals, trailing zeros of the
// fraction dropped.
std::string FormatMoney(const Money& m);

// Reads "1234.5 EUR" or "EUR 1234.5". INVALID_ARGUMENT says which part is wrong.
absl::StatusOr<Money> ParseMoney(std::string_view text);

}  // namespace relais::domain
