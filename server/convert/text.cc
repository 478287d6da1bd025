#include "server/convert/text.h"

#include <arpa/inet.h>
#include <phonenumbers/phonenumberutil.h>
#include <re2/re2.h>
#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/idna.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/timezone.h>
#include <unicode/uchar.h>
#include <unicode/uloc.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace relais::convert {
namespace {

// RFC 5321, 4.5.3.1.1, and 4.5.3.1.3 less the angle brackets of the path.
constexpr size_t kMaxLocalPartBytes = 64;
constexpr size_t kMaxEmailBytes = 254;
// RFC 1035, 2.3.4, as UTS 46 counts them; longer names are left to it to refuse.
constexpr size_t kMaxHostBytes = 253;
constexpr size_t kMaxLabelBytes = 63;
// E.164: country code and national number together.
constexpr size_t kMaxPhoneDigits = 15;
// RFC 5646, 4.4.1, asks for 35 at least; extensions may be longer.
constexpr size_t kMaxLanguageBytes = 64;

constexpr auto kCountries = std::to_array<std::string_view>({
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ",
    "BA", "BB", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS",
    "BT", "BV", "BW", "BY", "BZ", "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN",
    "CO", "CR", "CU", "CV", "CW", "CX", "CY", "CZ", "DE", "DJ", "DK", "DM", "DO", "DZ", "EC", "EE",
    "EG", "EH", "ER", "ES", "ET", "FI", "FJ", "FK", "FM", "FO", "FR", "GA", "GB", "GD", "GE", "GF",
    "GG", "GH", "GI", "GL", "GM", "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW", "GY", "HK", "HM",
    "HN", "HR", "HT", "HU", "ID", "IE", "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", "JE", "JM",
    "JO", "JP", "KE", "KG", "KH", "KI", "KM", "KN", "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC",
    "LI", "LK", "LR", "LS", "LT", "LU", "LV", "LY", "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK",
    "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS", "MT", "MU", "MV", "MW", "MX", "MY", "MZ", "NA",
    "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU", "NZ", "OM", "PA", "PE", "PF", "PG",
    "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA", "RE", "RO", "RS", "RU", "RW",
    "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS",
    "ST", "SV", "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL", "TM", "TN", "TO",
    "TR", "TT", "TV", "TW", "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE", "VG", "VI",
    "VN", "VU", "WF", "WS", "YE", "YT", "ZA", "ZM", "ZW",
});
static_assert(kCountries.size() == 249 && std::is_sorted(kCountries.begin(), kCountries.end()));

constexpr auto kPublicMailDomains = std::to_array<std::string_view>({
    "126.com",        "163.com",         "abv.bg",         "alice.it",        "aliceadsl.fr",
    "aol.com",        "aol.fr",          "att.net",        "bbox.fr",         "bell.net",
    "bellsouth.net",  "bigpond.com",     "bk.ru",          "bluewin.ch",      "bol.com.br",
    "btinternet.com", "cegetel.net",     "centrum.cz",     "charter.net",     "club-internet.fr",
    "comcast.net",    "cox.net",         "daum.net",       "duck.com",        "earthlink.net",
    "fastmail.com",   "fastmail.fm",     "foxmail.com",    "free.fr",         "freenet.de",
    "gmail.com",      "gmx.at",          "gmx.ch",         "gmx.com",         "gmx.de",
    "gmx.fr",         "gmx.net",         "googlemail.com", "hanmail.net",     "hey.com",
    "hispeed.ch",     "hotmail.be",      "hotmail.co.uk",  "hotmail.com",     "hotmail.de",
    "hotmail.es",     "hotmail.fr",      "hotmail.it",     "hushmail.com",    "icloud.com",
    "ig.com.br",      "inbox.ru",        "interia.pl",     "juno.com",        "kpnmail.nl",
    "laposte.net",    "libero.it",       "list.ru",        "live.be",         "live.co.uk",
    "live.com",       "live.fr",         "live.nl",        "mac.com",         "mail.com",
    "mail.ru",        "mailbox.org",     "mailfence.com",  "me.com",          "msn.com",
    "naver.com",      "neuf.fr",         "ntlworld.com",   "numericable.fr",  "o2.pl",
    "onet.pl",        "optusnet.com.au", "orange.fr",      "outlook.be",      "outlook.com",
    "outlook.de",     "outlook.es",      "outlook.fr",     "outlook.it",      "planet.nl",
    "pm.me",          "posteo.de",       "proton.me",      "protonmail.ch",   "protonmail.com",
    "proximus.be",    "qq.com",          "rambler.ru",     "rediffmail.com",  "rocketmail.com",
    "rogers.com",     "sapo.pt",         "sbcglobal.net",  "seznam.cz",       "sfr.fr",
    "shaw.ca",        "sina.com",        "sky.com",        "skynet.be",       "sohu.com",
    "sunrise.ch",     "sympatico.ca",    "t-online.de",    "talktalk.net",    "telefonica.net",
    "telenet.be",     "telus.net",       "terra.com.br",   "terra.es",        "tin.it",
    "tiscali.it",     "tuta.io",         "tutanota.com",   "ukr.net",         "uol.com.br",
    "verizon.net",    "videotron.ca",    "virgilio.it",    "virginmedia.com", "voila.fr",
    "wanadoo.fr",     "web.de",          "wp.pl",          "xs4all.nl",       "ya.ru",
    "yahoo.ca",       "yahoo.co.in",     "yahoo.co.jp",    "yahoo.co.uk",     "yahoo.com",
    "yahoo.com.ar",   "yahoo.com.au",    "yahoo.com.br",   "yahoo.com.mx",    "yahoo.de",
    "yahoo.es",       "yahoo.fr",        "yahoo.in",       "yahoo.it",        "yandex.com",
    "yandex.ru",      "ymail.com",       "ziggo.nl",       "zoho.com",        "zohomail.com",
});
static_assert(std::is_sorted(kPublicMailDomains.begin(), kPublicMailDomains.end()));

// Names that ICU keeps for old programs and that the IANA database does not have.
constexpr auto kZonesOfIcuOnly = std::to_array<std::string_view>({
    "ACT", "AET", "AGT", "ART", "AST", "BET", "BST", "CAT", "CNT", "CST", "CTT", "EAT", "ECT",
    "IET", "IST", "JST", "MIT", "NET", "NST", "PLT", "PNT", "PRT", "PST", "SST", "VST",
});
static_assert(std::is_sorted(kZonesOfIcuOnly.begin(), kZonesOfIcuOnly.end()));

template <size_t N>
bool Contains(const std::array<std::string_view, N>& sorted, std::string_view value) {
  return std::binary_search(sorted.begin(), sorted.end(), value);
}

absl::Status Broken(const std::string& rule) { return absl::InvalidArgumentError(rule); }

icu::StringPiece Piece(std::string_view s) {
  return icu::StringPiece(s.data(), static_cast<int32_t>(s.size()));
}

// The tables are in ICU's own library, so the only failure is a broken installation; it shows as a
// null instance at the first call.
const icu::Normalizer2& Nfc() {
  UErrorCode status = U_ZERO_ERROR;
  return *icu::Normalizer2::getNFCInstance(status);
}
const icu::Normalizer2& Nfd() {
  UErrorCode status = U_ZERO_ERROR;
  return *icu::Normalizer2::getNFDInstance(status);
}

std::string Normalized(const icu::Normalizer2& form, std::string_view in) {
  UErrorCode status = U_ZERO_ERROR;
  if (form.isNormalizedUTF8(Piece(in), status) && U_SUCCESS(status)) return std::string(in);
  std::string out;
  icu::StringByteSink<std::string> sink(&out, static_cast<int32_t>(in.size()));
  status = U_ZERO_ERROR;
  form.normalizeUTF8(0, Piece(in), sink, nullptr, status);
  return out;
}

std::string CaseFolded(std::string_view in) {
  std::string out;
  UErrorCode status = U_ZERO_ERROR;
  icu::StringByteSink<std::string> sink(&out, static_cast<int32_t>(in.size()));
  icu::CaseMap::utf8Fold(U_FOLD_CASE_DEFAULT, Piece(in), sink, nullptr, status);
  return out;
}

// Calls visit(code point, offset, end); a negative code point is an invalid sequence. Stops when
// visit answers false, and then answers false itself.
template <class Visit>
bool EachCodePoint(std::string_view in, Visit visit) {
  const auto length = static_cast<int32_t>(in.size());
  for (int32_t i = 0; i < length;) {
    int32_t start = i;
    UChar32 c;
    U8_NEXT(in.data(), i, length, c);
    if (!visit(c, static_cast<size_t>(start), static_cast<size_t>(i))) return false;
  }
  return true;
}

void AppendCodePoint(UChar32 c, std::string& out) {
  char buffer[U8_MAX_LENGTH];
  int32_t length = 0;
  U8_APPEND_UNSAFE(buffer, length, c);
  out.append(buffer, static_cast<size_t>(length));
}

// Most of what arrives: letters, digits, punctuation and spaces of ASCII, which are valid, in NFC
// and without any character that a rule could refuse.
bool IsPrintableAscii(std::string_view in) {
  return std::all_of(in.begin(), in.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

// A host name that is its own ASCII form but for case: labels of letters, digits and hyphens, with
// nothing for IDN to read or refuse in them.
bool IsPlainHost(std::string_view in) {
  if (in.empty() || in.size() > kMaxHostBytes) return false;
  size_t begin = 0;
  while (begin <= in.size()) {
    size_t end = std::min(in.find('.', begin), in.size());
    std::string_view label = in.substr(begin, end - begin);
    if (label.empty() || label.size() > kMaxLabelBytes || label.front() == '-' ||
        label.back() == '-' || (label.size() > 3 && label[2] == '-' && label[3] == '-')) {
      return false;
    }
    for (char c : label) {
      if (c != '-' && !absl::ascii_isalnum(static_cast<unsigned char>(c))) return false;
    }
    begin = end + 1;
  }
  return true;
}

// `in` is valid UTF-8.
std::string_view TrimWhiteSpace(std::string_view in) {
  size_t first = std::string_view::npos;
  size_t end = 0;
  EachCodePoint(in, [&](UChar32 c, size_t offset, size_t next) {
    if (!u_isUWhiteSpace(c)) {
      first = std::min(first, offset);
      end = next;
    }
    return true;
  });
  return first == std::string_view::npos ? std::string_view() : in.substr(first, end - first);
}

// Letters that carry a mark Unicode does not decompose, after case folding; empty for all others.
std::string_view PlainLetters(UChar32 c) {
  switch (c) {
    case 0x00E6:
      return "ae";
    case 0x00F0:
    case 0x0111:
      return "d";
    case 0x00F8:
      return "o";
    case 0x00FE:
      return "th";
    case 0x0127:
      return "h";
    case 0x0131:
      return "i";
    case 0x0142:
      return "l";
    case 0x0153:
      return "oe";
    case 0x0167:
      return "t";
    default:
      return {};
  }
}

bool AllDigits(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), absl::ascii_isdigit);
}

// A character of RFC 5322's atext, or one outside ASCII that can be seen: an invisible character
// would make two addresses that look alike differ.
bool IsLocalPartCharacter(UChar32 c) {
  if (c < 0x80) {
    return u_isalnum(c) || std::string_view("!#$%&'*+-/=?^_`{|}~").find(static_cast<char>(c)) !=
                               std::string_view::npos;
  }
  switch (u_charType(c)) {
    case U_UNASSIGNED:
    case U_CONTROL_CHAR:
    case U_FORMAT_CHAR:
    case U_PRIVATE_USE_CHAR:
    case U_SURROGATE:
    case U_SPACE_SEPARATOR:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR:
      return false;
    default:
      return true;
  }
}

absl::Status CheckLocalPart(std::string_view local) {
  if (local.empty()) return Broken("must have a name before the @");
  if (local.front() == '"') return Broken("must not have a quoted name before the @");
  if (local.size() > kMaxLocalPartBytes) {
    return Broken(absl::StrCat("must have at most ", kMaxLocalPartBytes, " bytes before the @"));
  }
  bool visible = EachCodePoint(
      local, [](UChar32 c, size_t, size_t) { return c == '.' || IsLocalPartCharacter(c); });
  if (!visible) {
    return Broken("must have only letters, digits and !#$%&'*+-/=?^_`{|}~. before the @");
  }
  if (local.front() == '.' || local.back() == '.' || local.find("..") != std::string_view::npos) {
    return Broken("must not have a dot first, last or twice in a row before the @");
  }
  return absl::OkStatus();
}

// Compared by canonical caseless matching (Unicode, definition D145), kept in NFC.
std::string FoldedLocalPart(std::string_view local) {
  if (IsPrintableAscii(local)) return absl::AsciiStrToLower(std::string(local));
  return Normalized(Nfc(), CaseFolded(Normalized(Nfd(), local)));
}

std::string DomainRule(uint32_t errors) {
  if (errors & UIDNA_ERROR_EMPTY_LABEL) return "must not have an empty label in its domain";
  if (errors & UIDNA_ERROR_LABEL_TOO_LONG) {
    return "must have at most 63 bytes in each label of its domain";
  }
  if (errors & UIDNA_ERROR_DOMAIN_NAME_TOO_LONG) {
    return "must have a domain of at most 253 bytes";
  }
  if (errors & (UIDNA_ERROR_LEADING_HYPHEN | UIDNA_ERROR_TRAILING_HYPHEN)) {
    return "must not have a hyphen first or last in a label of its domain";
  }
  if (errors & (UIDNA_ERROR_PUNYCODE | UIDNA_ERROR_INVALID_ACE_LABEL)) {
    return "must have valid punycode in its domain";
  }
  return "must have only letters, digits, hyphens and dots in its domain";
}

// The ASCII form of a host name of any number of labels. `in` has passed NormalizeText.
absl::StatusOr<std::string> AsciiHost(std::string_view in) {
  // Immutable once made, so shared by all threads; never destroyed, so usable during exit.
  static const icu::IDNA* const kIdna = [] {
    UErrorCode status = U_ZERO_ERROR;
    return icu::IDNA::createUTS46Instance(
        UIDNA_USE_STD3_RULES | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ |
            UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_NONTRANSITIONAL_TO_UNICODE,
        status);
  }();
  if (in.empty()) return Broken("must have a domain");
  if (IsPlainHost(in)) return absl::AsciiStrToLower(std::string(in));
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  icu::IDNAInfo info;
  UErrorCode status = U_ZERO_ERROR;
  kIdna->nameToASCII_UTF8(Piece(in), sink, info, status);
  // Hyphens in the third and fourth place are in use in plain host names ("r3---sn-x").
  uint32_t errors = info.getErrors() & ~static_cast<uint32_t>(UIDNA_ERROR_HYPHEN_3_4);
  if (U_FAILURE(status) || errors != 0) return Broken(DomainRule(errors));
  if (!out.empty() && out.back() == '.') out.pop_back();
  // Mapping can remove characters (soft hyphens) until nothing is left.
  if (out.empty()) return Broken("must have a domain");
  return out;
}

std::string_view LastLabel(std::string_view host) { return host.substr(host.rfind('.') + 1); }

absl::StatusOr<std::string> PublicDomain(std::string_view in) {
  absl::StatusOr<std::string> host = AsciiHost(in);
  if (!host.ok()) return host;
  if (host->find('.') == std::string::npos) return Broken("must have a domain with a dot");
  if (AllDigits(LastLabel(*host))) return Broken("must have a domain name, not an IP address");
  return host;
}

absl::StatusOr<std::string> UrlHost(std::string_view in) {
  if (in.empty()) return Broken("must have a host after ://");
  if (in.front() == '[') {
    in6_addr address;
    if (in.back() != ']' || in.size() < 3 ||
        inet_pton(AF_INET6, std::string(in.substr(1, in.size() - 2)).c_str(), &address) != 1) {
      return Broken("must have a valid IPv6 address between the brackets");
    }
    return absl::AsciiStrToLower(std::string(in));
  }
  absl::StatusOr<std::string> host = AsciiHost(in);
  if (!host.ok()) return host;
  in_addr address;
  if (AllDigits(LastLabel(*host)) && inet_pton(AF_INET, host->c_str(), &address) != 1) {
    return Broken("must have a valid IPv4 address or a name as its host");
  }
  return host;
}

std::string PhoneRule(i18n::phonenumbers::PhoneNumberUtil::ErrorType error) {
  using Util = i18n::phonenumbers::PhoneNumberUtil;
  switch (error) {
    case Util::INVALID_COUNTRY_CODE_ERROR:
      return "must begin with + and a country code in use, or come with a country";
    case Util::TOO_SHORT_AFTER_IDD:
    case Util::TOO_SHORT_NSN:
      return "must have as many digits as its country's numbers; it has fewer";
    case Util::TOO_LONG_NSN:
      return "must have as many digits as its country's numbers; it has more";
    default:
      return "must be a telephone number";
  }
}

std::string PhoneRule(i18n::phonenumbers::PhoneNumberUtil::ValidationResult result) {
  using Util = i18n::phonenumbers::PhoneNumberUtil;
  switch (result) {
    case Util::INVALID_COUNTRY_CODE:
      return PhoneRule(Util::INVALID_COUNTRY_CODE_ERROR);
    case Util::TOO_SHORT:
      return PhoneRule(Util::TOO_SHORT_NSN);
    case Util::TOO_LONG:
      return PhoneRule(Util::TOO_LONG_NSN);
    case Util::IS_POSSIBLE_LOCAL_ONLY:
      return "must be a whole number with its area code";
    default:
      return "must have as many digits as its country's numbers";
  }
}

}  // namespace

absl::StatusOr<std::string> NormalizeText(std::string_view in, size_t max_bytes, TextShape shape) {
  const auto too_long = [max_bytes] {
    return Broken(absl::StrCat("must have at most ", max_bytes, " bytes of UTF-8"));
  };
  if (in.size() > max_bytes) return too_long();
  if (IsPrintableAscii(in)) {
    size_t first = std::min(in.find_first_not_of(' '), in.size());
    return std::string(in.substr(first, in.find_last_not_of(' ') + 1 - first));
  }
  if (!EachCodePoint(in, [](UChar32 c, size_t, size_t) { return c >= 0; })) {
    return Broken("must be valid UTF-8");
  }
  in = TrimWhiteSpace(in);
  std::string unified;
  if (shape == TextShape::kNotes && in.find('\r') != std::string_view::npos) {
    for (size_t i = 0; i < in.size(); ++i) {
      if (in[i] != '\r' || i + 1 == in.size() || in[i + 1] != '\n') unified.push_back(in[i]);
    }
    in = unified;
  }
  std::string rule;
  EachCodePoint(in, [&](UChar32 c, size_t, size_t) {
    if (c >= 0x20 && c < 0x7F) return true;
    if (u_hasBinaryProperty(c, UCHAR_BIDI_CONTROL)) {
      rule = "must not have characters that control the direction of text";
    } else if (u_charType(c) == U_CONTROL_CHAR) {
      if (shape == TextShape::kLine) {
        rule = "must not have control characters or line breaks";
      } else if (c != '\n' && c != '\t') {
        rule = "must not have control characters other than line feed and tab";
      }
    } else if (shape == TextShape::kLine && (c == 0x2028 || c == 0x2029)) {
      rule = "must not have control characters or line breaks";
    }
    return rule.empty();
  });
  if (!rule.empty()) return Broken(rule);
  std::string out = Normalized(Nfc(), in);
  // A few characters are longer in NFC, up to three times.
  if (out.size() > max_bytes) return too_long();
  return out;
}

absl::StatusOr<Email> NormalizeEmail(std::string_view in) {
  absl::StatusOr<std::string> text = NormalizeText(in);
  if (!text.ok()) return text.status();
  if (text->empty()) return Broken("must not be empty");
  size_t at = text->find('@');
  if (at == std::string::npos || text->find('@', at + 1) != std::string::npos) {
    return Broken("must have exactly one @");
  }
  std::string_view whole = *text;
  std::string_view local = whole.substr(0, at);
  std::string_view domain = whole.substr(at + 1);
  if (absl::Status status = CheckLocalPart(local); !status.ok()) return status;
  if (!domain.empty() && domain.front() == '[') {
    return Broken("must have a domain name, not an address in brackets");
  }
  if (!domain.empty() && domain.back() == '.') {
    return Broken("must not end with a dot");
  }
  absl::StatusOr<std::string> ascii = PublicDomain(domain);
  if (!ascii.ok()) return ascii.status();
  std::string folded = FoldedLocalPart(local);
  if (std::max(local.size(), folded.size()) + 1 + ascii->size() > kMaxEmailBytes) {
    return Broken(absl::StrCat("must have at most ", kMaxEmailBytes, " bytes"));
  }
  Email email;
  email.key = absl::StrCat(folded, "@", *ascii);
  email.domain = *std::move(ascii);
  email.raw = *std::move(text);
  return email;
}

absl::StatusOr<Phone> NormalizePhone(std::string_view in, std::string_view default_region) {
  using Util = i18n::phonenumbers::PhoneNumberUtil;
  // libphonenumber finds a number in any sentence; this demands that the text is one.
  static const RE2* const kShape = new RE2(
      "(?i)(?:tel:)?[\\p{Nd}\\p{Zs}+\\x{FF0B}()\\[\\]./~\\p{Pd}\\x{2212}\\x{00B7}]+"
      "(?:;?(?:ext(?:ension|n)?|int|x|#)[\\p{Zs}.:=]*\\p{Nd}{1,7}#?)?");
  absl::StatusOr<std::string> text = NormalizeText(in);
  if (!text.ok()) return text.status();
  if (text->empty()) return Broken("must not be empty");
  if (!RE2::FullMatch(*text, *kShape)) {
    return Broken(
        "must be written with digits, an optional + in front, spaces and punctuation, and at most "
        "an extension behind");
  }
  const Util& util = *Util::GetInstance();
  Phone phone;
  std::string source = *text;
  std::string region = IsCountry(default_region) ? std::string(default_region) : "ZZ";
  // Reading a number once is not enough for a key: Mexico's mobile numbers lose their old 1, and
  // numbers outside a plan's ranges a leading zero, only when they are read again. So it is read
  // until it stays; one round a digit is more than any needs.
  bool settled = false;
  for (size_t round = 0; round <= kMaxPhoneDigits && !settled; ++round) {
    i18n::phonenumbers::PhoneNumber number;
    Util::ErrorType error = util.Parse(source, region, &number);
    if (error != Util::NO_PARSING_ERROR) return Broken(PhoneRule(error));
    Util::ValidationResult possible = util.IsPossibleNumberWithReason(number);
    if (possible != Util::IS_POSSIBLE) return Broken(PhoneRule(possible));
    if (number.has_extension()) phone.extension = number.extension();
    number.clear_extension();
    phone.valid = util.IsValidNumber(number);
    util.Format(number, Util::E164, &phone.e164);
    settled = phone.e164 == source;
    source = phone.e164;
    region = "ZZ";
  }
  if (!settled) return Broken(PhoneRule(Util::NOT_A_NUMBER));
  if (phone.e164.size() > kMaxPhoneDigits + 1) return Broken(PhoneRule(Util::TOO_LONG_NSN));
  phone.raw = *std::move(text);
  return phone;
}

std::string FoldForSearch(std::string_view in) {
  if (IsPrintableAscii(in)) {  // most names, and none of the steps below finds more in it
    std::string folded = absl::AsciiStrToLower(std::string(in));
    absl::RemoveExtraAsciiWhitespace(&folded);
    return folded;
  }
  // Marks go before the folding as well as after: folding turns the iota below into a letter.
  const auto without_marks = [](std::string_view text) {
    std::string out;
    EachCodePoint(text, [&](UChar32 c, size_t, size_t) {
      if (c < 0) c = 0xFFFD;
      if (u_charType(c) != U_NON_SPACING_MARK) AppendCodePoint(c, out);
      return true;
    });
    return out;
  };
  std::string folded = CaseFolded(without_marks(Normalized(Nfd(), in)));
  folded = without_marks(Normalized(Nfd(), folded));
  std::string out;
  bool gap = false;
  EachCodePoint(folded, [&](UChar32 c, size_t, size_t) {
    if (u_isUWhiteSpace(c)) {
      gap = !out.empty();
      return true;
    }
    if (gap) out.push_back(' ');
    gap = false;
    std::string_view plain = PlainLetters(c);
    if (plain.empty()) {
      AppendCodePoint(c, out);
    } else {
      out.append(plain);
    }
    return true;
  });
  return Normalized(Nfc(), out);
}

bool IsCountry(std::string_view code) { return Contains(kCountries, code); }

namespace {

absl::StatusOr<std::string> CanonicalLanguage(std::string_view in) {
  const auto refused = [] { return Broken("must be a BCP 47 language tag, such as fr or pt-BR"); };
  absl::StatusOr<std::string> text = NormalizeText(in, kMaxLanguageBytes);
  if (!text.ok()) return text.status();
  std::replace(text->begin(), text->end(), '_', '-');
  bool tag_characters = !text->empty() && std::all_of(text->begin(), text->end(), [](char c) {
    return c == '-' || absl::ascii_isalnum(static_cast<unsigned char>(c));
  });
  if (!tag_characters) return refused();
  UErrorCode status = U_ZERO_ERROR;
  char locale[ULOC_FULLNAME_CAPACITY];
  int32_t parsed = 0;
  uloc_forLanguageTag(text->c_str(), locale, sizeof locale, &parsed, &status);
  if (U_FAILURE(status) || status == U_STRING_NOT_TERMINATED_WARNING ||
      parsed != static_cast<int32_t>(text->size())) {
    return refused();
  }
  char tag[ULOC_FULLNAME_CAPACITY];
  status = U_ZERO_ERROR;
  int32_t length = uloc_toLanguageTag(locale, tag, sizeof tag, /*strict=*/true, &status);
  if (U_FAILURE(status) || status == U_STRING_NOT_TERMINATED_WARNING) return refused();
  std::string out(tag, static_cast<size_t>(length));
  std::string_view primary = std::string_view(out).substr(0, out.find('-'));
  // All two-letter codes are known to ICU; of the three-letter ones it knows only a part.
  bool unknown = primary.size() == 2 && std::string_view(uloc_getISO3Language(locale)).empty();
  // Four letters and more are well-formed, but reserved for languages that nobody has registered.
  if (unknown || primary.size() > 3 || primary == "und") return refused();
  return out;
}

// What CanonicalLanguage says of the codes of two letters, in the order of the alphabet; nothing
// where it refuses. Made once: ICU takes longer over one tag than all other text of a request.
const std::vector<std::optional<std::string>>& TwoLetterLanguages() {
  static const auto* const kLanguages = [] {
    auto* all = new std::vector<std::optional<std::string>>;
    for (char first = 'a'; first <= 'z'; ++first) {
      for (char second = 'a'; second <= 'z'; ++second) {
        absl::StatusOr<std::string> tag = CanonicalLanguage(std::string{first, second});
        all->push_back(tag.ok() ? std::optional<std::string>(*std::move(tag)) : std::nullopt);
      }
    }
    return all;
  }();
  return *kLanguages;
}

}  // namespace

absl::StatusOr<std::string> NormalizeLanguage(std::string_view in) {
  if (in.size() == 2 && absl::ascii_islower(static_cast<unsigned char>(in[0])) &&
      absl::ascii_islower(static_cast<unsigned char>(in[1]))) {
    const auto index = static_cast<size_t>((in[0] - 'a') * 26 + (in[1] - 'a'));
    if (const std::optional<std::string>& tag = TwoLetterLanguages()[index]) return *tag;
  }
  return CanonicalLanguage(in);
}

bool IsTimeZone(std::string_view name) {
  // The longest name in the database has 32 bytes.
  if (name.empty() || name.size() > 64 || Contains(kZonesOfIcuOnly, name)) return false;
  if (name.substr(0, 8) == "SystemV/" || name == "Etc/Unknown") return false;
  bool ascii = std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7F; });
  if (!ascii) return false;
  UErrorCode status = U_ZERO_ERROR;
  UBool in_database = false;
  icu::UnicodeString canonical;
  icu::TimeZone::getCanonicalID(icu::UnicodeString::fromUTF8(Piece(name)), canonical, in_database,
                                status);
  // ICU also reads offsets such as GMT+5; those are not in its database.
  return U_SUCCESS(status) && in_database;
}

absl::StatusOr<std::string> NormalizeDomain(std::string_view in) {
  absl::StatusOr<std::string> text = NormalizeText(in);
  if (!text.ok()) return text;
  return PublicDomain(*text);
}

absl::StatusOr<std::string> NormalizeUrl(std::string_view in, size_t max_bytes) {
  absl::StatusOr<std::string> text = NormalizeText(in, max_bytes);
  if (!text.ok()) return text;
  std::string_view url = *text;
  size_t colon = url.find("://");
  std::string scheme = absl::AsciiStrToLower(
      std::string(url.substr(0, colon == std::string_view::npos ? 0 : colon)));
  if (scheme != "http" && scheme != "https") return Broken("must begin with http:// or https://");
  bool safe = EachCodePoint(url, [](UChar32 c, size_t, size_t) {
    return !u_isUWhiteSpace(c) && c != '<' && c != '>' && c != '"' && c != '\\';
  });
  if (!safe) return Broken("must not have white space, quotes, angle brackets or backslashes");
  url.remove_prefix(colon + 3);
  std::string_view rest = url.substr(std::min(url.find_first_of("/?#"), url.size()));
  std::string_view authority = url.substr(0, url.size() - rest.size());
  if (authority.find('@') != std::string_view::npos) {
    return Broken("must not have a user name or password");
  }
  // A colon inside the brackets of an IPv6 address is no port.
  size_t host_end = authority.substr(0, 1) == "[" ? authority.rfind(']') : 0;
  size_t port_at = authority.find(':', host_end);
  std::string_view port = authority.substr(std::min(port_at, authority.size()));
  if (!port.empty()) {
    unsigned number = 0;
    const char* end = port.data() + port.size();
    auto [last, error] = std::from_chars(port.data() + 1, end, number);
    if (error != std::errc() || last != end || number < 1 || number > 65535) {
      return Broken("must have a port between 1 and 65535 after the host");
    }
  }
  absl::StatusOr<std::string> host = UrlHost(authority.substr(0, authority.size() - port.size()));
  if (!host.ok()) return host;
  std::string out = absl::StrCat(scheme, "://", *host);
  out.append(port).append(rest);
  if (out.size() > max_bytes) {
    return Broken(absl::StrCat("must have at most ", max_bytes, " bytes of UTF-8"));
  }
  return out;
}

std::optional<std::string> CanonicalUuid(std::string_view in) {
  constexpr std::string_view kPattern = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  if (in.size() != kPattern.size()) return std::nullopt;
  std::string out(in);
  bool nil = true;
  for (size_t i = 0; i < kPattern.size(); ++i) {
    if (kPattern[i] == '-') {
      if (in[i] != '-') return std::nullopt;
      continue;
    }
    const auto c = static_cast<unsigned char>(in[i]);
    if (!absl::ascii_isxdigit(c)) return std::nullopt;
    out[i] = absl::ascii_tolower(c);
    nil = nil && c == '0';
  }
  if (nil) return std::nullopt;
  return out;
}

absl::StatusOr<std::string> NormalizeBirthDate(std::string_view in, int64_t today) {
  absl::StatusOr<std::string> text = NormalizeText(in);
  if (!text.ok()) return text;
  const std::string& date = *text;
  bool shaped = date.size() == 10 && date[4] == '-' && date[7] == '-';
  const auto number = [&](size_t at, size_t length) {
    std::string_view digits = std::string_view(date).substr(at, length);
    shaped = shaped && AllDigits(digits);
    int value = 0;
    if (shaped) std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
  };
  if (!shaped) return Broken("must be a date written YYYY-MM-DD");
  std::chrono::year_month_day day{std::chrono::year(number(0, 4)),
                                  std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                  std::chrono::day(static_cast<unsigned>(number(8, 2)))};
  if (!shaped) return Broken("must be a date written YYYY-MM-DD");
  if (!day.ok()) return Broken("must be a day that exists");
  if (day.year() < std::chrono::year(1900)) return Broken("must not be before 1900-01-01");
  if (std::chrono::sys_days(day).time_since_epoch().count() > today) {
    return Broken("must not be in the future");
  }
  return text;
}

bool IsPublicMailDomain(std::string_view domain) { return Contains(kPublicMailDomains, domain); }

}  // namespace relais::convert
