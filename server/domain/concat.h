// Concat: absl::StrCat that also takes std::string_view. Debian 12 builds Abseil for C++14, so its
// absl::string_view and absl::optional are not the std types and do not convert by themselves.
#pragma once

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace relais {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view FromAbsl(absl::string_view text) { return {text.data(), text.size()}; }

namespace concat_internal {
inline absl::string_view Piece(std::string_view text) { return ToAbsl(text); }
inline absl::string_view Piece(const std::string& text) { return text; }
inline absl::string_view Piece(const char* text) { return text; }
template <class T>
const T& Piece(const T& number) {
  return number;
}
}  // namespace concat_internal

template <class... T>
std::string Concat(const T&... parts) {
  return absl::StrCat(concat_internal::Piece(parts)...);
}

template <class... T>
void Append(std::string& out, const T&... parts) {
  absl::StrAppend(&out, concat_internal::Piece(parts)...);
}

}  // namespace relais
