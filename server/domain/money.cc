#include "server/domain/money.h"

#include <algorithm>
#include <array>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace relais::domain {
namespace {

// Sorted, for binary search. Of the last amendments: XCG took over from ANG (2025), ZWG from ZWL
// (2024), XAD was added (2025), BGN left with the euro in Bulgaria (2026). XXX (no currency) and
// XTS (tests) are on the list but name nothing that can be paid.
constexpr auto kCurrencies = std::to_array<std::string_view>({
    "AED", "AFN", "ALL", "AMD", "AOA", "ARS", "AUD", "AWG", "AZN", "BAM", "BBD", "BDT", "BHD",
    "BIF", "BMD", "BND", "BOB", "BOV", "BRL", "BSD", "BTN", "BWP", "BYN", "BZD", "CAD", "CDF",
    "CHE", "CHF", "CHW", "CLF", "CLP", "CNY", "COP", "COU", "CRC", "CUP", "CVE", "CZK", "DJF",
    "DKK", "DOP", "DZD", "EGP", "ERN", "ETB", "EUR", "FJD", "FKP", "GBP", "GEL", "GHS", "GIP",
    "GMD", "GNF", "GTQ", "GYD", "HKD", "HNL", "HTG", "HUF", "IDR", "ILS", "INR", "IQD", "IRR",
    "ISK", "JMD", "JOD", "JPY", "KES", "KGS", "KHR", "KMF", "KPW", "KRW", "KWD", "KYD", "KZT",
    "LAK", "LBP", "LKR", "LRD", "LSL", "LYD", "MAD", "MDL", "MGA", "MKD", "MMK", "MNT", "MOP",
    "MRU", "MUR", "MVR", "MWK", "MXN", "MXV", "MYR", "MZN", "NAD", "NGN", "NIO", "NOK", "NPR",
    "NZD", "OMR", "PAB", "PEN", "PGK", "PHP", "PKR", "PLN", "PYG", "QAR", "RON", "RSD", "RUB",
    "RWF", "SAR", "SBD", "SCR", "SDG", "SEK", "SGD", "SHP", "SLE", "SOS", "SRD", "SSP", "STN",
    "SVC", "SYP", "SZL", "THB", "TJS", "TMT", "TND", "TOP", "TRY", "TTD", "TWD", "TZS", "UAH",
    "UGX", "USD", "USN", "UYI", "UYU", "UYW", "UZS", "VED", "VES", "VND", "VUV", "WST", "XAD",
    "XAF", "XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XCD", "XCG", "XDR", "XOF", "XPD", "XPF",
    "XPT", "XSU", "XUA", "YER", "ZAR", "ZMW", "ZWG",
});
static_assert(std::is_sorted(kCurrencies.begin(), kCurrencies.end()));

constexpr int kFractionDigits = 9;
constexpr std::string_view kSpaces = " \t\r\n";

std::string_view TrimLeft(std::string_view text) {
  size_t start = text.find_first_not_of(kSpaces);
  return start == std::string_view::npos ? std::string_view() : text.substr(start);
}

std::string_view Trim(std::string_view text) {
  text = TrimLeft(text);
  return text.substr(0, text.find_last_not_of(kSpaces) + 1);
}

// Reads "[-]digits[.digits]" into nanos.
absl::StatusOr<absl::int128> ParseNanos(std::string_view text) {
  bool negative = false;
  if (!text.empty() && text.front() == '-') {
    negative = true;
    text.remove_prefix(1);
  }
  size_t dot = text.find('.');
  std::string_view whole = text.substr(0, dot);
  std::string_view fraction =
      dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
  auto digits = [](std::string_view s) {
    return !s.empty() && std::all_of(s.begin(), s.end(), absl::ascii_isdigit);
  };
  if (!digits(whole) || (dot != std::string_view::npos && !digits(fraction))) {
    return absl::InvalidArgumentError(
        "the amount must be decimal digits with an optional minus sign and decimal point");
  }
  if (fraction.size() > kFractionDigits) {
    return absl::InvalidArgumentError("the amount must have at most nine decimals");
  }
  // The lowest amount has one unit more than the highest.
  const absl::int128 limit = absl::int128(std::numeric_limits<int64_t>::max()) + (negative ? 1 : 0);
  absl::int128 units = 0;
  for (char c : whole) {
    units = units * 10 + (c - '0');
    // Checked at each digit, so that no length of input overflows the accumulator.
    if (units > limit) {
      return absl::InvalidArgumentError("the amount must fit 64-bit units");
    }
  }
  int64_t nanos = 0;
  for (int i = 0; i < kFractionDigits; ++i) {
    nanos = nanos * 10 + (static_cast<size_t>(i) < fraction.size() ? fraction[i] - '0' : 0);
  }
  absl::int128 total = units * kNanosPerUnit + nanos;
  return negative ? -total : total;
}

}  // namespace

bool IsCurrency(std::string_view code) {
  return std::binary_search(kCurrencies.begin(), kCurrencies.end(), code);
}

absl::StatusOr<Money> MoneyFromNanos(std::string_view currency, absl::int128 nanos) {
  absl::int128 units = nanos / kNanosPerUnit;
  if (units > std::numeric_limits<int64_t>::max() || units < std::numeric_limits<int64_t>::min()) {
    return absl::OutOfRangeError("the amount does not fit 64-bit units");
  }
  // Division of int128 truncates towards zero, so the remainder has the sign of the amount.
  return Money{std::string(currency), static_cast<int64_t>(units),
               static_cast<int32_t>(nanos % kNanosPerUnit)};
}

absl::StatusOr<Money> Add(const Money& a, const Money& b) {
  if (a.currency_code != b.currency_code) {
    return absl::InvalidArgumentError("amounts of different currencies cannot be added");
  }
  return MoneyFromNanos(a.currency_code, a.total_nanos() + b.total_nanos());
}

std::string FormatMoney(const Money& m) {
  absl::int128 total = m.total_nanos();
  bool negative = total < 0;
  if (negative) total = -total;
  auto units = static_cast<uint64_t>(total / kNanosPerUnit);
  auto nanos = static_cast<uint64_t>(total % kNanosPerUnit);
  std::string out = absl::StrCat(negative ? "-" : "", units);
  if (nanos != 0) {
    // The leading 1 keeps the zeros in front of the fraction.
    std::string fraction = absl::StrCat(nanos + kNanosPerUnit).substr(1);
    fraction.erase(fraction.find_last_not_of('0') + 1);
    absl::StrAppend(&out, ".", fraction);
  }
  if (!m.currency_code.empty()) absl::StrAppend(&out, " ", m.currency_code);
  return out;
}

absl::StatusOr<Money> ParseMoney(std::string_view text) {
  text = Trim(text);
  size_t gap = text.find(' ');
  if (gap == std::string_view::npos) {
    return absl::InvalidArgumentError(
        "money must be an amount and a currency code, separated by a space");
  }
  std::string_view first = text.substr(0, gap);
  std::string_view second = TrimLeft(text.substr(gap));
  bool amount_first = !absl::ascii_isalpha(static_cast<unsigned char>(first.front()));
  std::string_view amount = amount_first ? first : second;
  std::string_view currency = amount_first ? second : first;
  if (!IsCurrency(currency)) {
    return absl::InvalidArgumentError(
        "the currency must be an ISO 4217 code in use, three upper-case letters");
  }
  absl::StatusOr<absl::int128> nanos = ParseNanos(amount);
  if (!nanos.ok()) return nanos.status();
  return MoneyFromNanos(currency, *nanos);
}

}  // namespace relais::domain
