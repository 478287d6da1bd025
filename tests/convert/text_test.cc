#include "server/convert/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

namespace relais::convert {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

template <class T>
std::string RuleOf(const absl::StatusOr<T>& result) {
  if (result.ok()) return "accepted";
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(result.status().message());
}

std::string KeyOf(std::string_view in) {
  absl::StatusOr<Email> email = NormalizeEmail(in);
  return email.ok() ? email->key : "refused: " + RuleOf(email);
}

std::string E164(std::string_view in, std::string_view region) {
  absl::StatusOr<Phone> phone = NormalizePhone(in, region);
  return phone.ok() ? phone->e164 : "refused: " + RuleOf(phone);
}

std::string Utf8(char32_t c) {
  std::string out;
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (c >> 6)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (c >> 12)));
    out.push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | (c >> 18)));
    out.push_back(static_cast<char>(0x80 | ((c >> 12) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | ((c >> 6) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (c & 0x3F)));
  }
  return out;
}

TEST(NormalizeTextTest, TwoSpellingsOfOneTextBecomeOne) {
  EXPECT_EQ(*NormalizeText("Ame\u0301lie"), "Am\u00E9lie");
  EXPECT_EQ(*NormalizeText("Am\u00E9lie"), "Am\u00E9lie");
  EXPECT_EQ(*NormalizeText("\u212B"), "\u00C5");
}

TEST(NormalizeTextTest, WhiteSpaceAroundIsTrimmedAndInsideIsKept) {
  EXPECT_EQ(*NormalizeText(" \t\r\n Jean  Paul \u00A0\u2003\n"), "Jean  Paul");
  EXPECT_EQ(*NormalizeText(""), "");
  EXPECT_EQ(*NormalizeText(" \u3000 "), "");
}

TEST(NormalizeTextTest, InvalidUtf8IsRefused) {
  for (std::string_view bad : {"\xC3", "a\x80z", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                               "\xFF", "\xE2\x82", "Am\xE9lie"}) {
    EXPECT_EQ(RuleOf(NormalizeText(bad)), "must be valid UTF-8");
  }
}

TEST(NormalizeTextTest, ControlCharactersAreRefused) {
  EXPECT_THAT(RuleOf(NormalizeText(std::string_view("a\0b", 3))), HasSubstr("control characters"));
  for (char32_t c = 1; c < 0xA0; ++c) {
    if (c >= 0x20 && c < 0x7F) continue;
    EXPECT_THAT(RuleOf(NormalizeText("a" + Utf8(c) + "b")), HasSubstr("control characters"))
        << static_cast<uint32_t>(c);
    std::string rule = RuleOf(NormalizeText("a" + Utf8(c) + "b", 100, TextShape::kNotes));
    EXPECT_EQ(rule == "accepted", c == '\n' || c == '\t') << static_cast<uint32_t>(c);
  }
  EXPECT_THAT(RuleOf(NormalizeText("a\u2028b")), HasSubstr("line breaks"));
}

TEST(NormalizeTextTest, NotesKeepTheirLinesWithOneKindOfLineEnd) {
  EXPECT_EQ(*NormalizeText("one\r\n\ttwo\nthree\n", 100, TextShape::kNotes), "one\n\ttwo\nthree");
  EXPECT_THAT(RuleOf(NormalizeText("one\rtwo", 100, TextShape::kNotes)),
              HasSubstr("control characters"));
}

TEST(NormalizeTextTest, CharactersThatTurnTheDirectionOfTextAreRefused) {
  for (char32_t c : {0x061C, 0x200E, 0x200F, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067,
                     0x2068, 0x2069}) {
    EXPECT_THAT(RuleOf(NormalizeText("a" + Utf8(c) + "b")), HasSubstr("direction of text"));
    EXPECT_THAT(RuleOf(NormalizeText("a" + Utf8(c), 100, TextShape::kNotes)),
                HasSubstr("direction of text"));
  }
}

TEST(NormalizeTextTest, TextOfEveryScriptPasses) {
  for (std::string_view text :
       {"\u05D3\u05D5\u05D3", "\u0645\u062D\u0645\u062F", "\u674E\u5C0F\u9F99",
        "\u0928\u092E\u0938\u094D\u0924\u0947", "\U0001F469\u200D\U0001F4BB", "O\u2019Brien"}) {
    EXPECT_EQ(*NormalizeText(text), text);
  }
}

TEST(NormalizeTextTest, TheLimitIsInBytesAndHoldsForWhatIsStored) {
  EXPECT_TRUE(NormalizeText(std::string(kMaxTextBytes, 'x')).ok());
  EXPECT_EQ(RuleOf(NormalizeText(std::string(kMaxTextBytes + 1, 'x'))),
            "must have at most 1024 bytes of UTF-8");
  EXPECT_TRUE(
      NormalizeText(std::string(kMaxNotesBytes, 'x'), kMaxNotesBytes, TextShape::kNotes).ok());
  EXPECT_EQ(RuleOf(NormalizeText(std::string(10'000, 'x'))),
            "must have at most 1024 bytes of UTF-8");
  // U+1D160 has 4 bytes and becomes three characters of 4 bytes.
  EXPECT_EQ(RuleOf(NormalizeText("\U0001D160\U0001D160", 8)), "must have at most 8 bytes of UTF-8");
}

TEST(NormalizeTextTest, TheRuleNeverRepeatsTheValue) {
  std::string secret = "Zebulon-4711";
  std::vector<std::string> rules = {
      RuleOf(NormalizeText(secret + "\x01 x")),  RuleOf(NormalizeText(secret + "\xFF")),
      RuleOf(NormalizeText(secret, 3)),          RuleOf(NormalizeEmail(secret)),
      RuleOf(NormalizeEmail(secret + "@@x.fr")), RuleOf(NormalizeEmail(secret + "@-x.fr")),
      RuleOf(NormalizePhone(secret, "FR")),      RuleOf(NormalizePhone("4711", "FR")),
      RuleOf(NormalizeLanguage(secret)),         RuleOf(NormalizeDomain(secret + "_")),
      RuleOf(NormalizeUrl("ftp://" + secret)),   RuleOf(NormalizeBirthDate(secret, 20'000)),
  };
  for (const std::string& rule : rules) {
    EXPECT_THAT(rule, HasSubstr("must"));
    EXPECT_THAT(rule, Not(HasSubstr("Zebulon")));
    EXPECT_THAT(rule, Not(HasSubstr("4711")));
  }
}

TEST(NormalizeEmailTest, CaseAndFormOfWritingDoNotMakeTwoPeople) {
  EXPECT_EQ(KeyOf(" Jean.Dupont@Example.FR\n"), "jean.dupont@example.fr");
  EXPECT_EQ(KeyOf("JOSE\u0301@example.com"), KeyOf("jos\u00E9@EXAMPLE.com"));
  EXPECT_EQ(KeyOf("MASSE@example.com"), KeyOf("ma\u00DFe@example.com"));
  EXPECT_EQ(KeyOf("info@B\u00DCCHER.example"), "info@xn--bcher-kva.example");
  EXPECT_EQ(KeyOf("info@XN--BCHER-KVA.example"), "info@xn--bcher-kva.example");
  EXPECT_EQ(KeyOf("info@example\u3002com"), "info@example.com");
}

TEST(NormalizeEmailTest, TagsAndDotsOfTheLocalPartCount) {
  EXPECT_EQ(KeyOf("jean+promo@example.fr"), "jean+promo@example.fr");
  EXPECT_NE(KeyOf("jean.dupont@gmail.com"), KeyOf("jeandupont@gmail.com"));
  EXPECT_EQ(KeyOf("o'brien!#$%&*-/=?^_`{|}~@example.fr"), "o'brien!#$%&*-/=?^_`{|}~@example.fr");
}

TEST(NormalizeEmailTest, TheRawTextIsKeptBesideTheKey) {
  absl::StatusOr<Email> email = NormalizeEmail("  Jean.DUPONT@B\u00FCcher.example ");
  ASSERT_TRUE(email.ok());
  EXPECT_EQ(email->raw, "Jean.DUPONT@B\u00FCcher.example");
  EXPECT_EQ(email->key, "jean.dupont@xn--bcher-kva.example");
  EXPECT_EQ(email->domain, "xn--bcher-kva.example");
}

TEST(NormalizeEmailTest, EachRefusalNamesItsRule) {
  struct Case {
    std::string text;
    const char* rule;
  };
  const Case cases[] = {
      {"", "must not be empty"},
      {"  ", "must not be empty"},
      {"jean", "exactly one @"},
      {"jean@@example.fr", "exactly one @"},
      {"a@b@example.fr", "exactly one @"},
      {"@example.fr", "a name before the @"},
      {"jean@", "a domain"},
      {".jean@example.fr", "dot first, last or twice"},
      {"jean.@example.fr", "dot first, last or twice"},
      {"je..an@example.fr", "dot first, last or twice"},
      {"jean dupont@example.fr", "only letters, digits"},
      {"jean\u00A0dupont@example.fr", "only letters, digits"},
      {"jean,paul@example.fr", "only letters, digits"},
      {"Jean <jean@example.fr>", "only letters, digits"},
      {"jean@example.fr, paul", "only letters, digits"},
      {"je\u200Ban@example.fr", "only letters, digits"},
      {"je\u00ADan@example.fr", "only letters, digits"},
      {"\"jean dupont\"@example.fr", "quoted name"},
      {"jean@[192.0.2.1]", "address in brackets"},
      {"jean@192.0.2.1", "not an IP address"},
      {"jean@localhost", "a domain with a dot"},
      {"jean@example.fr.", "must not end with a dot"},
      {"jean@.fr", "empty label"},
      {"jean@example..fr", "empty label"},
      {"jean@-example.fr", "hyphen first or last"},
      {"jean@example-.fr", "hyphen first or last"},
      {"jean@exa_mple.fr", "only letters, digits, hyphens"},
      {"jean@exa mple.fr", "only letters, digits, hyphens"},
      {"jean@xn--zzzzzzz99999999.fr", "punycode"},
      {"jean@" + std::string(64, 'a') + ".fr", "63 bytes in each label"},
      {std::string(65, 'a') + "@example.fr", "64 bytes before the @"},
      {"jean\r\nBcc: all@example.fr", "control characters or line breaks"},
      {std::string("jean\0@example.fr", 16), "control characters"},
      {"jean\u202E@example.fr", "direction of text"},
      {"jean\xFF@example.fr", "valid UTF-8"},
      {std::string(10'000, 'a') + "@example.fr", "at most 1024 bytes"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(RuleOf(NormalizeEmail(c.text)), HasSubstr(c.rule)) << c.text.substr(0, 60);
  }
}

TEST(NormalizeEmailTest, LengthsAreThoseOfTheStandard) {
  EXPECT_TRUE(NormalizeEmail(std::string(64, 'a') + "@example.fr").ok());
  std::string label(61, 'd');
  std::string domain = label + "." + label + "." + label;  // 185 bytes
  EXPECT_TRUE(NormalizeEmail(std::string(64, 'a') + "@" + domain + ".fr").ok());
  // 64 + 1 + 189 = 254
  EXPECT_TRUE(NormalizeEmail(std::string(64, 'a') + "@" + domain + ".fra").ok());
  EXPECT_EQ(RuleOf(NormalizeEmail(std::string(64, 'a') + "@" + domain + ".fran")),
            "must have at most 254 bytes");
}

TEST(NormalizeEmailTest, AKeyIsItsOwnKey) {
  std::mt19937 random(7);
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string local;
    for (uint32_t n = random() % 6 + 1; n > 0; --n) {
      local += Utf8(random() % 3 == 0 ? 'A' + random() % 26 : 0xA0 + random() % 0x2000);
    }
    absl::StatusOr<Email> email = NormalizeEmail(local + "@Example.fr");
    if (!email.ok()) continue;
    ++accepted;
    absl::StatusOr<Email> again = NormalizeEmail(email->key);
    ASSERT_TRUE(again.ok()) << email->key << ": " << RuleOf(again);
    EXPECT_EQ(again->key, email->key);
    absl::StatusOr<Email> raw = NormalizeEmail(email->raw);
    ASSERT_TRUE(raw.ok());
    EXPECT_EQ(raw->key, email->key);
  }
  EXPECT_GT(accepted, 1000);
}

TEST(NormalizePhoneTest, EveryWayOfWritingANumberGivesOneKey) {
  for (std::string_view text :
       {"06 12 34 56 78", "06.12.34.56.78", "+33 6 12 34 56 78", "+33 (0)6 12 34 56 78",
        "0033 6 12 34 56 78", "+33612345678", "tel:+33-6-12-34-56-78",
        "\uFF0B\uFF13\uFF13\uFF16\uFF11\uFF12\uFF13\uFF14\uFF15\uFF16\uFF17\uFF18",
        "06\u00A012\u00A034\u00A056\u00A078", "06\u201112\u201134\u201156\u201178"}) {
    EXPECT_EQ(E164(text, "FR"), "+33612345678") << text;
  }
  EXPECT_EQ(E164("(212) 555-0123", "US"), "+12125550123");
  EXPECT_EQ(E164("06 698 12345", "IT"), "+390669812345");
  EXPECT_EQ(E164("+52 1 313 169 2772", ""), E164("+52 313 169 2772", ""));
}

TEST(NormalizePhoneTest, ANumberWithoutPlusNeedsItsCountry) {
  EXPECT_EQ(E164("+33612345678", ""), "+33612345678");
  for (std::string_view region : {"", "ZZ", "fr", "France", "XX"}) {
    EXPECT_THAT(E164("0612345678", region), HasSubstr("begin with + and a country code"));
  }
}

TEST(NormalizePhoneTest, PossibleIsEnoughAndValidIsAMark) {
  EXPECT_TRUE(NormalizePhone("+33612345678", "")->valid);
  absl::StatusOr<Phone> unassigned = NormalizePhone("+33000000000", "");
  ASSERT_TRUE(unassigned.ok()) << RuleOf(unassigned);
  EXPECT_FALSE(unassigned->valid);
}

TEST(NormalizePhoneTest, AnExtensionIsKeptApartFromTheNumber) {
  for (std::string_view text : {"01 42 68 53 00 ext. 12", "01 42 68 53 00 x12",
                                "01 42 68 53 00 #12", "+33142685300;ext=12"}) {
    absl::StatusOr<Phone> phone = NormalizePhone(text, "FR");
    ASSERT_TRUE(phone.ok()) << text << ": " << RuleOf(phone);
    EXPECT_EQ(phone->e164, "+33142685300");
    EXPECT_EQ(phone->extension, "12");
    EXPECT_EQ(phone->raw, text);
  }
}

TEST(NormalizePhoneTest, EachRefusalNamesItsRule) {
  struct Case {
    std::string text;
    const char* rule;
  };
  const Case cases[] = {
      {"", "must not be empty"},
      {"+", "telephone number"},
      {"()", "telephone number"},
      {"hello", "written with digits"},
      {"12 rue de la Paix", "written with digits"},
      {"call 0612345678", "written with digits"},
      {"0612345678 (Anna)", "written with digits"},
      {"1-800-FLOWERS", "written with digits"},
      {"jean@example.fr", "written with digits"},
      {"06123", "fewer"},
      {"061234567890123", "more"},
      {"+999 1234567", "country code"},
      {"+0 612345678", "country code"},
      {"06\t12345678", "control characters"},
      {std::string("06\00012345678", 11), "control characters"},
      {"\u202D0612345678\u202C", "direction of text"},
      {std::string(1000, '1'), "more"},
      {std::string(10'000, '1'), "at most 1024 bytes"},
      {"0612345678' OR '1'='1", "written with digits"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(RuleOf(NormalizePhone(c.text, "FR")), HasSubstr(c.rule)) << c.text.substr(0, 60);
  }
}

TEST(NormalizePhoneTest, AKeyIsItsOwnKeyAndFitsE164) {
  std::mt19937 random(11);
  const std::vector<std::string> regions = {"FR", "US", "AR", "MX", "BR", "AU", "IT", "DE", "GB"};
  int accepted = 0;
  int valid = 0;
  for (int i = 0; i < 6000; ++i) {
    std::string text = i % 2 == 0 ? "+" + std::to_string(random() % 998 + 1) : "0";
    for (uint32_t n = random() % 14; n > 0; --n) text += static_cast<char>('0' + random() % 10);
    absl::StatusOr<Phone> phone = NormalizePhone(text, regions[random() % regions.size()]);
    if (!phone.ok()) continue;
    ++accepted;
    valid += phone->valid;
    EXPECT_LE(phone->e164.size(), 16u);
    EXPECT_EQ(E164(phone->e164, "FR"), phone->e164) << text;
  }
  EXPECT_GT(accepted, 500);
  EXPECT_GT(valid, 50);
}

TEST(FoldForSearchTest, AsciiIsFoldedAsTheSameTextBesideOtherLetters) {
  for (std::string_view text :
       {"", " ", "Ada", "  O'Brien   &  SONS ", "a`^~_|\"\\", "A.B-c@Example.COM", "0 1  2"}) {
    // The letter behind a blank sends the whole text the long way.
    std::string beside = FoldForSearch(std::string(text) + " \u0111");
    std::string folded = FoldForSearch(text);
    EXPECT_EQ(folded.empty() ? "d" : folded + " d", beside) << text;
  }
}

TEST(FoldForSearchTest, CaseAndDiacriticsDoNotHideAName) {
  EXPECT_EQ(FoldForSearch("\u00C9l\u00E9onore LEF\u00C8VRE"), "eleonore lefevre");
  EXPECT_EQ(FoldForSearch("E\u0301le\u0301onore"), "eleonore");
  EXPECT_EQ(FoldForSearch("\u0141\u00F3d\u017A"), "lodz");
  EXPECT_EQ(FoldForSearch("S\u00D8REN"), "soren");
  EXPECT_EQ(FoldForSearch("C\u0152UR"), "coeur");
  EXPECT_EQ(FoldForSearch("STRASSE"), FoldForSearch("stra\u00DFe"));
  EXPECT_EQ(FoldForSearch("\u0130stanbul"), "istanbul");
  EXPECT_EQ(FoldForSearch("\u0391\u03B8\u03AE\u03BD\u03B1"), "\u03B1\u03B8\u03B7\u03BD\u03B1");
  EXPECT_EQ(FoldForSearch("\u1FB3"), FoldForSearch("\u03B1"));
}

TEST(FoldForSearchTest, WhiteSpaceIsOneSpaceInsideAndNoneAround) {
  EXPECT_EQ(FoldForSearch(" \u00A0Jean \t\n Paul\u2003"), "jean paul");
  EXPECT_EQ(FoldForSearch(""), "");
  EXPECT_EQ(FoldForSearch(" \u0301 "), "");
}

TEST(FoldForSearchTest, InvalidBytesAreReplacedAndNeverFail) {
  EXPECT_EQ(FoldForSearch("A\xFF"), "a\uFFFD");
}

TEST(FoldForSearchTest, WhatIsFoldedStaysAsItIs) {
  for (char32_t c = 1; c < 0x30000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string once = FoldForSearch(Utf8(c));
    ASSERT_EQ(FoldForSearch(once), once) << std::hex << static_cast<uint32_t>(c);
  }
}

TEST(IsCountryTest, OnlyAssignedCodesInUpperCaseAreCountries) {
  for (std::string_view code : {"FR", "GB", "US", "RE", "ZW", "AD", "BQ", "SS"}) {
    EXPECT_TRUE(IsCountry(code)) << code;
  }
  for (std::string_view code :
       {"", "F", "fr", "Fr", "FRA", "UK", "EU", "XK", "AN", "SU", "ZZ", "France", "F\0", "250"}) {
    EXPECT_FALSE(IsCountry(code)) << code;
  }
}

TEST(NormalizeLanguageTest, TagsGetTheirCanonicalSpelling) {
  EXPECT_EQ(*NormalizeLanguage("FR"), "fr");
  EXPECT_EQ(*NormalizeLanguage("fr_ca"), "fr-CA");
  EXPECT_EQ(*NormalizeLanguage("zh-hant-tw"), "zh-Hant-TW");
  EXPECT_EQ(*NormalizeLanguage("es-419"), "es-419");
  EXPECT_EQ(*NormalizeLanguage("iw"), "he");
  EXPECT_EQ(*NormalizeLanguage("yue"), "yue");
}

TEST(NormalizeLanguageTest, WhatIsNoTagIsRefused) {
  for (std::string_view tag : {"", "f", "french", "fran\u00E7ais", "zz", "und", "fr-", "-fr",
                               "fr--CA", "fr-C", "fr CA", "fr;q=0.8", "fr,en", "*", "C", "12"}) {
    EXPECT_THAT(RuleOf(NormalizeLanguage(tag)), HasSubstr("BCP 47")) << tag;
  }
  EXPECT_THAT(RuleOf(NormalizeLanguage(std::string(2000, 'a'))), HasSubstr("at most 64 bytes"));
  EXPECT_THAT(RuleOf(NormalizeLanguage(std::string_view("fr\0", 3))), HasSubstr("control"));
}

TEST(IsTimeZoneTest, NamesOfTheDatabaseAreKnownAndNothingElse) {
  for (std::string_view name : {"Europe/Paris", "America/Argentina/Buenos_Aires", "UTC", "Etc/UTC",
                                "Asia/Kolkata", "Asia/Calcutta", "Pacific/Kiritimati", "GMT"}) {
    EXPECT_TRUE(IsTimeZone(name)) << name;
  }
  for (std::string_view name :
       {"", "europe/paris", "Europe/Pariss", "Paris", "GMT+5", "GMT+05:30", "UTC+1", "PST", "IST",
        "Etc/Unknown", "SystemV/EST5EDT", "Europe/Paris ", "\u00C9urope/Paris", "../etc/passwd"}) {
    EXPECT_FALSE(IsTimeZone(name)) << name;
  }
  EXPECT_FALSE(IsTimeZone(std::string(100'000, 'A')));
  EXPECT_FALSE(IsTimeZone(std::string_view("UTC\0", 4)));
}

TEST(NormalizeDomainTest, HostNamesBecomeLowerCaseAscii) {
  EXPECT_EQ(*NormalizeDomain(" WWW.Example.COM "), "www.example.com");
  EXPECT_EQ(*NormalizeDomain("example.com."), "example.com");
  EXPECT_EQ(*NormalizeDomain("stra\u00DFe.de"), "xn--strae-oqa.de");
  EXPECT_EQ(*NormalizeDomain("\u4F8B\u3048.\u30C6\u30B9\u30C8"), "xn--r8jz45g.xn--zckzah");
  EXPECT_EQ(*NormalizeDomain("r3---sn-abc.example.com"), "r3---sn-abc.example.com");
}

TEST(NormalizeDomainTest, WhatIsNoHostNameIsRefused) {
  EXPECT_THAT(RuleOf(NormalizeDomain("")), HasSubstr("a domain"));
  EXPECT_THAT(RuleOf(NormalizeDomain("localhost")), HasSubstr("with a dot"));
  EXPECT_THAT(RuleOf(NormalizeDomain("192.0.2.1")), HasSubstr("not an IP address"));
  EXPECT_THAT(RuleOf(NormalizeDomain("https://example.com")), HasSubstr("only letters"));
  EXPECT_THAT(RuleOf(NormalizeDomain("example.com:80")), HasSubstr("only letters"));
  EXPECT_THAT(RuleOf(NormalizeDomain("exam ple.com")), HasSubstr("only letters"));
  EXPECT_THAT(RuleOf(NormalizeDomain("a..com")), HasSubstr("empty label"));
  EXPECT_THAT(RuleOf(NormalizeDomain("\u00AD.com")), HasSubstr("empty label"));
  EXPECT_THAT(RuleOf(NormalizeDomain("\u00AD")), HasSubstr("must"));
  std::string label(63, 'a');
  EXPECT_TRUE(NormalizeDomain(label + "." + label + "." + label + ".com").ok());
  EXPECT_THAT(RuleOf(NormalizeDomain(label + "." + label + "." + label + "." + label)),
              HasSubstr("at most 253 bytes"));
}

TEST(NormalizeUrlTest, SchemeAndHostAreFoldedAndTheRestIsKept) {
  EXPECT_EQ(*NormalizeUrl("HTTPS://WWW.Example.com/Path?Utm=A#F"),
            "https://www.example.com/Path?Utm=A#F");
  EXPECT_EQ(*NormalizeUrl("http://b\u00FCcher.example"), "http://xn--bcher-kva.example");
  EXPECT_EQ(*NormalizeUrl("http://localhost:8080/x"), "http://localhost:8080/x");
  EXPECT_EQ(*NormalizeUrl("http://192.0.2.1/"), "http://192.0.2.1/");
  EXPECT_EQ(*NormalizeUrl("http://[2001:DB8::1]:8080/"), "http://[2001:db8::1]:8080/");
  EXPECT_EQ(*NormalizeUrl("https://example.com?next=http://a@b/"),
            "https://example.com?next=http://a@b/");
}

TEST(NormalizeUrlTest, EachRefusalNamesItsRule) {
  struct Case {
    std::string text;
    const char* rule;
  };
  const Case cases[] = {
      {"", "begin with http"},
      {"example.com", "begin with http"},
      {"//example.com", "begin with http"},
      {"ftp://example.com", "begin with http"},
      {"javascript:alert(1)//http://x", "begin with http"},
      {"data:text/html,http://x", "begin with http"},
      {"http:example.com", "begin with http"},
      {"http://", "a host"},
      {"http:///path", "a host"},
      {"http://user:password@example.com/", "user name or password"},
      {"http://example.com@evil.example/", "user name or password"},
      {"http://example.com:0/", "a port between"},
      {"http://example.com:65536/", "a port between"},
      {"http://example.com:99999999999999999999/", "a port between"},
      {"http://example.com:8o/", "a port between"},
      {"http://example.com:/", "a port between"},
      {"http://256.1.1.1/", "IPv4"},
      {"http://1.2.3/", "IPv4"},
      {"http://[::g]/", "IPv6"},
      {"http://[::1/", "IPv6"},
      {"http://[]/", "IPv6"},
      {"http://exa_mple.com/", "only letters"},
      {"http://example.com/a b", "white space"},
      {"http://example.com/<script>", "angle brackets"},
      {"http://example.com\\@evil.example", "backslashes"},
      {"http://example.com/\r\nSet-Cookie: a", "control characters"},
      {"http://example.com/\u202Egnp", "direction of text"},
      {"http://example.com/" + std::string(2000, 'a'), "at most 1024 bytes"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(RuleOf(NormalizeUrl(c.text)), HasSubstr(c.rule)) << c.text.substr(0, 60);
  }
}

TEST(IsPublicMailDomainTest, ProvidersForEverybodyAreNotCompanies) {
  for (std::string_view domain :
       {"gmail.com", "orange.fr", "free.fr", "outlook.com", "web.de", "126.com", "zohomail.com"}) {
    EXPECT_TRUE(IsPublicMailDomain(domain)) << domain;
  }
  for (std::string_view domain : {"", "example.com", "Gmail.com", "mail.gmail.com", "gmail.co",
                                  "notgmail.com", "free.fr.example.com"}) {
    EXPECT_FALSE(IsPublicMailDomain(domain)) << domain;
  }
}

TEST(CanonicalUuidTest, AnyUuidIsReadInEitherCase) {
  EXPECT_EQ(CanonicalUuid("0190A5B2-7C3D-7E4F-8A9B-0C1D2E3F4A5B"),
            "0190a5b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b");
  EXPECT_EQ(CanonicalUuid("ffffffff-ffff-ffff-ffff-ffffffffffff"),
            "ffffffff-ffff-ffff-ffff-ffffffffffff");
  EXPECT_TRUE(IsUuid("6ba7b810-9dad-11d1-80b4-00c04fd430c8"));
}

TEST(CanonicalUuidTest, NothingElseIsOne) {
  for (std::string_view text :
       {"", "0190a5b27c3d7e4f8a9b0c1d2e3f4a5b", "{0190a5b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b}",
        "0190a5b2-7c3d-7e4f-8a9b-0c1d2e3f4a5", "0190a5b2-7c3d-7e4f-8a9b-0c1d2e3f4a5b ",
        "0190a5b2-7c3d-7e4f-8a9b-0c1d2e3f4a5g", "0190a5b2_7c3d-7e4f-8a9b-0c1d2e3f4a5b",
        "0190a5b27-c3d-7e4f-8a9b-0c1d2e3f4a5b", "00000000-0000-0000-0000-000000000000",
        "urn:uuid:0190a5b2-7c3d-7e4f-8a9b-0c1d"}) {
    EXPECT_FALSE(IsUuid(text)) << text;
  }
}

TEST(NormalizeBirthDateTest, OnlyDaysThatExistAndHavePassedAreAccepted) {
  const int64_t today = 20'454;  // 2026-01-01
  EXPECT_EQ(*NormalizeBirthDate(" 1984-02-29 ", today), "1984-02-29");
  EXPECT_EQ(*NormalizeBirthDate("2000-02-29", today), "2000-02-29");
  EXPECT_EQ(*NormalizeBirthDate("1900-01-01", today), "1900-01-01");
  EXPECT_EQ(*NormalizeBirthDate("2026-01-01", today), "2026-01-01");
  EXPECT_THAT(RuleOf(NormalizeBirthDate("2026-01-02", today)), HasSubstr("in the future"));
  EXPECT_THAT(RuleOf(NormalizeBirthDate("1899-12-31", today)), HasSubstr("before 1900"));
  EXPECT_THAT(RuleOf(NormalizeBirthDate("0001-01-01", today)), HasSubstr("before 1900"));
  for (std::string_view date : {"1985-02-29", "1900-02-29", "1984-13-01", "1984-00-10",
                                "1984-04-31", "1984-01-00", "1984-01-32"}) {
    EXPECT_THAT(RuleOf(NormalizeBirthDate(date, today)), HasSubstr("a day that exists")) << date;
  }
  for (std::string_view date :
       {"", "1984", "84-02-29", "29/02/1984", "1984-2-29", "1984/02/29", "1984-02-29T00:00:00Z",
        "+984-02-28", "1984-0a-28", "1984-02--1", "1984-02- 9", "\u0661\u0669\u0668\u0664-01-01"}) {
    EXPECT_THAT(RuleOf(NormalizeBirthDate(date, today)), HasSubstr("YYYY-MM-DD")) << date;
  }
}

TEST(TextTest, RandomBytesAreAnsweredAndWhatIsAcceptedIsStable) {
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    std::string noise;
    for (uint32_t n = random() % 24; n > 0; --n) {
      // Half of it from what the grammars are made of, so that the noise gets past their doors.
      noise += random() % 2 == 0 ? static_cast<char>(random())
                                 : "@.:/-+[]()#%0129azAZ \xC3\xA9"[random() % 23];
    }
    absl::StatusOr<std::string> text = NormalizeText(noise);
    if (text.ok()) {
      EXPECT_EQ(*NormalizeText(*text), *text);
    }
    absl::StatusOr<std::string> domain = NormalizeDomain(noise + ".fr");
    if (domain.ok()) {
      EXPECT_EQ(RuleOf(NormalizeDomain(*domain)), "accepted") << *domain;
      EXPECT_EQ(*NormalizeDomain(*domain), *domain);
    }
    absl::StatusOr<std::string> url = NormalizeUrl("http://" + noise);
    if (url.ok()) {
      EXPECT_EQ(RuleOf(NormalizeUrl(*url)), "accepted") << *url;
      EXPECT_EQ(*NormalizeUrl(*url), *url);
    }
    absl::StatusOr<std::string> language = NormalizeLanguage(noise);
    if (language.ok()) {
      EXPECT_EQ(*NormalizeLanguage(*language), *language);
    }
    (void)NormalizeEmail(noise);
    (void)NormalizePhone(noise, "FR");
    (void)IsTimeZone(noise);
    (void)NormalizeBirthDate(noise, 20'000);
    (void)FoldForSearch(noise);
  }
}

TEST(TextTest, ManyThreadsGetTheSameAnswers) {
  std::vector<std::thread> threads;
  std::vector<int> wrong(8, 0);
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&wrong, t] {
      for (int i = 0; i < 200; ++i) {
        wrong[t] += KeyOf("Jos\u00E9@B\u00FCcher.example") != "jos\u00E9@xn--bcher-kva.example";
        wrong[t] += E164("06 12 34 56 78", "FR") != "+33612345678";
        wrong[t] += FoldForSearch("\u00C9t\u00E9") != "ete";
        wrong[t] += !IsTimeZone("Europe/Paris");
        wrong[t] += RuleOf(NormalizeLanguage("fr_ca")) != "accepted";
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ::testing::Each(0));
}

}  // namespace
}  // namespace relais::convert
