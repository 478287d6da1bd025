// JSON of a domain::Value, in two spellings. Both are canonical (members sorted by their bytes, no
// blanks), so equal values give equal bytes; readers accept any order and spacing, because JSONB
// keeps neither. Pure and thread-safe.
//
// Text must be valid UTF-8 (refused at the edge otherwise); what is not is replaced by U+FFFD.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/domain/value.h"

namespace relais::storage {

// Tagged: every kind of value survives, so that event payloads can be replayed. A time is
// {"$t":micros}, money is {"$m":[currency,units,nanos]}, absent is null. A map's key that starts
// with '$' gets one more '$' in front.
std::string ToJson(const domain::Value& value);
// The same at the end of `out`, of a value and of a text.
void AppendJson(const domain::Value& value, std::string& out);
void AppendJsonText(std::string_view text, std::string& out);
// INTERNAL when the text is not of the form above (also: fractions, numbers beyond 64 bits, more
// than 32 levels). The status never quotes the text.
absl::StatusOr<domain::Value> FromJson(std::string_view text);

// Of a tagged list of [text, value, value], those whose text is one of `texts` (without anything
// to escape). The others are passed over without a look at what is in them. Errors as FromJson.
struct PickedJson {
  std::string text;
  domain::Value first, second;
};
absl::StatusOr<std::vector<PickedJson>> PickFromJson(std::string_view json,
                                                     absl::Span<const std::string> texts);

// Plain: what columns of lists, maps and records hold, with the members' own names, for SQL to look
// into. Takes only text, lists and maps; another kind inside is written as null.
std::string ToPlainJson(const domain::Value& value);
// INTERNAL as above, and for anything but text, arrays and objects.
absl::StatusOr<domain::Value> FromPlainJson(std::string_view text);

}  // namespace relais::storage
