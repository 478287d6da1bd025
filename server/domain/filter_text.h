// Small text tools of the filter language. Bytes are ASCII or parts of UTF-8; no locale is asked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::domain {

constexpr bool IsAsciiLower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool IsAsciiUpper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool IsAsciiDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool IsWordStart(char c) { return IsAsciiLower(c) || IsAsciiUpper(c) || c == '_'; }
constexpr bool IsWordByte(char c) { return IsWordStart(c) || IsAsciiDigit(c); }

// A-Z to a-z, every other byte as it is.
std::string FilterFold(std::string_view text);

inline std::vector<std::string_view> SplitPath(std::string_view path) {
  std::vector<std::string_view> words;
  for (size_t from = 0;;) {
    size_t dot = path.find('.', from);
    words.push_back(path.substr(from, dot == std::string_view::npos ? dot : dot - from));
    if (dot == std::string_view::npos) return words;
    from = dot + 1;
  }
}

// Text in double quotes as the filter language writes it; control and bidirectional characters come
// out as \uXXXX, because the language refuses them raw.
std::string QuoteFilterText(std::string_view text);

// A moment as RFC 3339 in UTC, with as many decimals of the second as it needs (at most six).
std::string FormatFilterTime(int64_t micros);

// Strict RFC 3339, or a date alone for its midnight in UTC. On failure `problem` says what is wrong
// without repeating the text. Years 1 to 9999, at most microseconds, no leap second.
bool ParseFilterTime(std::string_view text, int64_t& micros, std::string& problem);

// "7d", "36h", "1.5s": the largest unit that is exact.
std::string FormatFilterDuration(int64_t micros);

}  // namespace relais::domain
