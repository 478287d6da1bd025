// Text as it arrives from outside, brought to the one spelling that is stored and compared.
//
// Every function here takes hostile bytes of any length. A refusal is INVALID_ARGUMENT whose
// message is the rule that was broken, ready to stand after a field's path ("must be ..."); the
// value itself never appears in it. What a function accepts it leaves unchanged when given again.
//
// Thread-safe: no state but the immutable tables of ICU and libphonenumber.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace relais::convert {

// Limits in bytes of UTF-8, measured on what arrives and again on what is stored.
inline constexpr size_t kMaxTextBytes = 1024;
inline constexpr size_t kMaxNotesBytes = 16 * 1024;

enum class TextShape : uint8_t {
  kLine,   // no line breaks, no tabs
  kNotes,  // line feeds and tabs allowed; CR LF becomes LF
};

// NFC, without white space around it. Refused: invalid UTF-8, NUL and every other control
// character, line and paragraph separators in a kLine, characters that steer the direction of text
// (Unicode's Bidi_Control), more than `max_bytes`. Empty text is accepted.
absl::StatusOr<std::string> NormalizeText(std::string_view in, size_t max_bytes = kMaxTextBytes,
                                          TextShape shape = TextShape::kLine);

struct Email {
  std::string key;     // what identities are compared by: folded local part @ ASCII domain
  std::string raw;     // as given, trimmed, NFC
  std::string domain;  // of the key: lower-case ASCII, IDN in punycode
};

// An address as people have them: a dot-atom local part of at most 64 bytes (also outside ASCII),
// one @, a domain of two labels or more, at most 254 bytes in all (RFC 5321, 6531). Quoted local
// parts and address literals are refused. Tags (+x) and dots are part of the key.
absl::StatusOr<Email> NormalizeEmail(std::string_view in);

struct Phone {
  std::string e164;       // "+33612345678", at most 15 digits
  std::string extension;  // digits behind the switchboard, or empty; not part of `e164`
  std::string raw;        // as given, trimmed, NFC
  bool valid = false;     // the number is in a range that the numbering plan assigns
};

// A number that is possible in its country. `default_region` is an ISO 3166-1 code for numbers that
// do not begin with +; when it is empty or unknown, those are refused. Letters are refused except
// to mark an extension.
absl::StatusOr<Phone> NormalizePhone(std::string_view in, std::string_view default_region);

// For columns that prefix search reads and for what is searched in them: case folded, diacritics
// removed (also of letters that Unicode does not decompose, such as o with stroke), runs of white
// space made one space and none around. Never fails: invalid bytes become U+FFFD.
std::string FoldForSearch(std::string_view in);

// True for an officially assigned ISO 3166-1 alpha-2 code in upper case (249 of them; source: the
// ISO 3166 Maintenance Agency's list, unchanged since 2018).
bool IsCountry(std::string_view code);

// A BCP 47 tag in canonical spelling: "fr", "fr-CA", "zh-Hant-TW". Underscores are read as hyphens.
absl::StatusOr<std::string> NormalizeLanguage(std::string_view in);

// True for a name of the IANA time zone database (as of this machine's ICU), spelled exactly so.
bool IsTimeZone(std::string_view name);

// A host name of two labels or more in lower-case ASCII, IDN in punycode (UTS 46, nontransitional),
// without a final dot. IP addresses are refused.
absl::StatusOr<std::string> NormalizeDomain(std::string_view in);

// An http or https URL with scheme and host in lower case; the rest stays as given. The host may be
// a name (also of one label) or an IP address; a user name or password is refused.
absl::StatusOr<std::string> NormalizeUrl(std::string_view in, size_t max_bytes = kMaxTextBytes);

// The lower-case 8-4-4-4-12 form, or nothing when `in` is no UUID in that form. Every version and
// variant counts, but not the nil UUID, which is what a forgotten id looks like.
std::optional<std::string> CanonicalUuid(std::string_view in);
inline bool IsUuid(std::string_view in) { return CanonicalUuid(in).has_value(); }

// A date "YYYY-MM-DD" of the proleptic Gregorian calendar from 1900-01-01 (earlier ones are the
// defaults of other systems, not people) to `today`, in days since 1970-01-01 UTC.
absl::StatusOr<std::string> NormalizeBirthDate(std::string_view in, int64_t today);

// True for a domain, normalised, at which anyone can have a mailbox, so that it says nothing about
// a company. A compiled-in list of the large providers; subdomains do not count.
bool IsPublicMailDomain(std::string_view domain);

}  // namespace relais::convert
