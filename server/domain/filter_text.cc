#include "server/domain/filter_text.h"

#include <chrono>
#include <cstdint>
#include <cstdio>

#include "server/domain/value.h"

namespace relais::domain {
namespace {

// Reads exactly `digits` digits at `at`; -1 when they are not there.
int ReadDigits(std::string_view text, size_t at, size_t digits) {
  if (at + digits > text.size()) return -1;
  int value = 0;
  for (size_t i = at; i < at + digits; ++i) {
    if (!IsAsciiDigit(text[i])) return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

bool At(std::string_view text, size_t at, char c) { return at < text.size() && text[at] == c; }

// ".5" for 500,000 micros; empty for none.
std::string Fraction(int64_t micros) {
  if (micros == 0) return "";
  char digits[16];
  std::snprintf(digits, sizeof(digits), ".%06d", static_cast<int>(micros % kMicrosPerSecond));
  std::string out = digits;
  while (out.back() == '0') out.pop_back();
  return out;
}

}  // namespace

std::string FilterFold(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (IsAsciiUpper(c)) c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string QuoteFilterText(std::string_view text) {
  std::string out = "\"";
  auto escape = [&out](unsigned code) {
    char buffer[8];
    std::snprintf(buffer, sizeof(buffer), "\\u%04X", code);
    out += buffer;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char c = static_cast<unsigned char>(text[i]);
    auto next = [&](size_t n) {
      return i + n < text.size() ? static_cast<unsigned char>(text[i + n]) : 0u;
    };
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x20 || c == 0x7f) {
      escape(c);
    } else if (c == 0xc2 && next(1) >= 0x80 && next(1) < 0xa0) {
      escape(next(1));
      i += 1;
    } else if (c == 0xd8 && next(1) == 0x9c) {
      escape(0x61c);
      i += 1;
    } else if (c == 0xe2 && (next(1) == 0x80 || next(1) == 0x81)) {
      unsigned code = 0x2000u + ((next(1) & 0x3fu) << 6) + (next(2) & 0x3fu);
      bool bidi = code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
                  (code >= 0x2066 && code <= 0x2069);
      if (bidi) {
        escape(code);
        i += 2;
      } else {
        out += static_cast<char>(c);
      }
    } else {
      out += static_cast<char>(c);
    }
  }
  out += '"';
  return out;
}

std::string FormatFilterTime(int64_t micros) {
  int64_t day = DayOf(Timestamp{micros});
  int64_t rest = micros - day * kMicrosPerDay;
  std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{static_cast<int>(day)}}};
  int64_t seconds = rest / kMicrosPerSecond;
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), "%04d-%02u-%02uT%02d:%02d:%02d",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(seconds / 3600),
                static_cast<int>(seconds / 60 % 60), static_cast<int>(seconds % 60));
  return buffer + Fraction(rest % kMicrosPerSecond) + "Z";
}

bool ParseFilterTime(std::string_view text, int64_t& micros, std::string& problem) {
  constexpr std::string_view kForm =
      "a time is written \"2026-01-31T09:30:00Z\", with an offset such as +01:00 in place of Z if "
      "wanted, or as a date \"2026-01-31\"";
  int year = ReadDigits(text, 0, 4);
  int month = ReadDigits(text, 5, 2);
  int day = ReadDigits(text, 8, 2);
  if (year < 0 || month < 0 || day < 0 || !At(text, 4, '-') || !At(text, 7, '-')) {
    problem = kForm;
    return false;
  }
  std::chrono::year_month_day date{std::chrono::year{year},
                                   std::chrono::month{static_cast<unsigned>(month)},
                                   std::chrono::day{static_cast<unsigned>(day)}};
  if (year == 0 || !date.ok()) {
    problem = "there is no such date";
    return false;
  }
  int64_t value = std::chrono::sys_days{date}.time_since_epoch().count() * kMicrosPerDay;
  if (text.size() == 10) {
    micros = value;
    return true;
  }
  int hour = ReadDigits(text, 11, 2);
  int minute = ReadDigits(text, 14, 2);
  int second = ReadDigits(text, 17, 2);
  if ((text[10] != 'T' && text[10] != 't') || hour < 0 || minute < 0 || second < 0 ||
      !At(text, 13, ':') || !At(text, 16, ':')) {
    problem = kForm;
    return false;
  }
  if (hour > 23 || minute > 59 || second > 59) {
    problem = "there is no such time of day";
    return false;
  }
  value += (int64_t{hour} * 3600 + minute * 60 + second) * kMicrosPerSecond;
  size_t at = 19;
  if (At(text, at, '.')) {
    int64_t scale = kMicrosPerSecond / 10;
    size_t first = ++at;
    for (; at < text.size() && IsAsciiDigit(text[at]); ++at, scale /= 10) {
      if (scale == 0 && text[at] != '0') {
        problem = "times are kept to the microsecond: at most six decimals";
        return false;
      }
      value += (text[at] - '0') * scale;
    }
    if (at == first) {
      problem = kForm;
      return false;
    }
  }
  if (at + 1 == text.size() && (text[at] == 'Z' || text[at] == 'z')) {
    micros = value;
    return true;
  }
  int offset_hours = ReadDigits(text, at + 1, 2);
  int offset_minutes = ReadDigits(text, at + 4, 2);
  if (at + 6 != text.size() || (text[at] != '+' && text[at] != '-') || !At(text, at + 3, ':') ||
      offset_hours < 0 || offset_hours > 23 || offset_minutes < 0 || offset_minutes > 59) {
    problem = kForm;
    return false;
  }
  int64_t offset = (int64_t{offset_hours} * 3600 + offset_minutes * 60) * kMicrosPerSecond;
  value += text[at] == '+' ? -offset : offset;
  // An offset can carry the ends of the calendar over its edge, where it could not be written back.
  constexpr int64_t kFirst = -719'162 * kMicrosPerDay;  // 0001-01-01
  constexpr int64_t kEnd = 2'932'897 * kMicrosPerDay;   // 10000-01-01
  if (value < kFirst || value >= kEnd) {
    problem = "years go from 0001 to 9999";
    return false;
  }
  micros = value;
  return true;
}

std::string FormatFilterDuration(int64_t micros) {
  struct Unit {
    int64_t micros;
    char letter;
  };
  for (Unit unit : {Unit{kMicrosPerDay, 'd'}, Unit{3600 * kMicrosPerSecond, 'h'},
                    Unit{60 * kMicrosPerSecond, 'm'}}) {
    if (micros % unit.micros == 0) return std::to_string(micros / unit.micros) + unit.letter;
  }
  return std::to_string(micros / kMicrosPerSecond) + Fraction(micros % kMicrosPerSecond) + "s";
}

}  // namespace relais::domain
