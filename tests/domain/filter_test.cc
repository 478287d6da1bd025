#include "server/domain/filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "server/domain/filter_eval.h"
#include "server/domain/filter_schema.h"
#include "server/domain/filter_text.h"
#include "tests/domain/filter_generator.h"
#include "tests/domain/filter_specimen.h"

namespace relais::domain {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr Timestamp kNow = FilterGenerator::Now();
constexpr int64_t kHour = 3600 * kMicrosPerSecond;

const FilterSchema& Schema() {
  static const auto* const kSchema = new FilterSchema(SpecimenSchema());
  return *kSchema;
}

Filter Parsed(std::string_view text) {
  FilterResult result = ParseFilter(text, Schema());
  EXPECT_TRUE(result.ok()) << text << "\n" << result.error().ToString();
  return result.ok() ? result.filter() : Filter();
}

std::string Canonical(std::string_view text) { return Parsed(text).Canonical(); }

// "line:column message" of a filter that must be refused.
std::string Refusal(std::string_view text, const FilterLimits& limits = {}) {
  FilterResult result = ParseFilter(text, Schema(), limits);
  if (result.ok()) return "accepted: " + result.filter().Canonical();
  return std::to_string(result.error().line) + ":" + std::to_string(result.error().column) + " " +
         result.error().message;
}

Specimen Full() {
  Specimen s;
  s.active = true;
  s.checked = false;
  s.score = 40;
  s.headcount = 250;
  s.stage = Phase::kProspect;
  s.name = "Zo\u00eb M\u00fcller";
  s.note = "Asked for \"the\" price";
  s.emails = {{"Zoe@Example.org", "work"}, {"z@home.example", ""}};
  s.create_time = kNow;
  s.close_time = Timestamp{kNow.micros - 7 * kMicrosPerDay};
  s.estimated_value = Money{"EUR", 5000, 0};
  s.needs = {"storage", "Transport"};
  s.labels = {{"plan", "gold"}, {"odd key", "x"}, {"empty", ""}};
  return s;
}

bool Match(std::string_view text, const Specimen& specimen, const std::vector<Sign>& signs = {}) {
  std::vector<EntitySubject<Sign>> subjects(signs.begin(), signs.end());
  std::vector<const FilterSubject*> children;
  for (const auto& subject : subjects) children.push_back(&subject);
  return Matches(Parsed(text), EntitySubject<Specimen>(specimen, "touchpoints", children), kNow);
}

bool MatchFull(std::string_view text) { return Match(text, Full()); }
bool MatchEmpty(std::string_view text) { return Match(text, Specimen()); }

// ---- grammar ------------------------------------------------------------------------------------

TEST(FilterGrammar, EmptyFilterMatchesEverything) {
  for (std::string_view text : {"", "   ", "\n\t\r\n"}) {
    EXPECT_EQ(Canonical(text), "");
    EXPECT_TRUE(MatchEmpty(text));
    EXPECT_EQ(Parsed(text), Filter());
  }
}

TEST(FilterGrammar, OrBindsTighterThanAnd) {
  Filter filter = Parsed("score = 1 AND score = 2 OR score = 3 AND score = 4");
  EXPECT_EQ(filter, Parsed("score = 1 AND (score = 2 OR score = 3) AND score = 4"));
  EXPECT_NE(filter, Parsed("(score = 1 AND score = 2) OR (score = 3 AND score = 4)"));
}

TEST(FilterGrammar, ConditionsSideBySideAreAnded) {
  EXPECT_EQ(Canonical("stage = LEAD score >= 40 OR active = true"),
            "stage = LEAD AND score >= 40 OR active = true");
  EXPECT_EQ(Parsed("score=1 -score=2 (score=3)"),
            Parsed("score = 1 AND NOT score = 2 AND score = 3"));
  EXPECT_EQ(Canonical("stage = LEAD (score = 1) active = true(score = 2)"),
            "stage = LEAD AND score = 1 AND active = true AND score = 2");
  EXPECT_EQ(Canonical("create_time > now() -score = 1"), "create_time > now() AND NOT score = 1");
}

TEST(FilterGrammar, NotAndMinusAreTheSame) {
  EXPECT_EQ(Parsed("NOT score = 1"), Parsed("-score = 1"));
  EXPECT_EQ(Canonical("-(score = 1 OR score = 2)"), "NOT (score = 1 OR score = 2)");
  EXPECT_EQ(Canonical("NOT (NOT (score = 1))"), "NOT (NOT score = 1)");
}

TEST(FilterGrammar, GroupsOfOneKindAreOneGroup) {
  EXPECT_EQ(Parsed("score = 1 AND (score = 2 AND (score = 3 score = 4))"),
            Parsed("((score = 1 AND score = 2) AND score = 3) AND score = 4"));
  EXPECT_EQ(Parsed("score = 1 OR (score = 2 OR score = 3)"),
            Parsed("score = 1 OR score = 2 OR score = 3"));
}

TEST(FilterGrammar, SpellingsOfOneFilterHaveOneCanonicalText) {
  const std::vector<std::array<std::string_view, 2>> cases = {
      {"stage=\"PROSPECT\"", "stage = PROSPECT"},
      {"stage = 'PROSPECT'", "stage = PROSPECT"},
      {"note = 'it\"s'", "note = \"it\\\"s\""},
      {"note = \"\\u0041\\uD83D\\uDE00\\n\\t\\\\\"", "note = \"A\U0001f600\\n\\t\\\\\""},
      {"labels:plan", "labels.plan:*"},
      {"labels:\"odd key\"", "labels.\"odd key\":*"},
      {"labels.\"plan\" = 'x'", "labels.plan = \"x\""},
      {"create_time > \"2026-01-31\"", "create_time > \"2026-01-31T00:00:00Z\""},
      {"create_time > \"2026-01-31T01:00:00.500+01:00\"",
       "create_time > \"2026-01-31T00:00:00.5Z\""},
      {"create_time > now()-168h", "create_time > now() - 7d"},
      {"create_time > now() + 90s", "create_time > now() + 90s"},
      {"create_time > now() - 1.50s", "create_time > now() - 1.5s"},
      {"create_time > now() - 0d", "create_time > now()"},
      {"estimated_value >= 'EUR 5000.00'", "estimated_value >= \"5000 EUR\""},
      {"fold(note) = fold(\"ABC\u00c9\")", "fold(note) = fold(\"abc\u00c9\")"},
      {"count(touchpoints,24h)>=03", "count(touchpoints, 1d) >= 3"},
      {"last( touchpoints , kind=CALL ) : *", "last(touchpoints, kind = CALL):*"},
      {"score>=-5", "score >= -5"},
  };
  for (const auto& [text, canonical] : cases) EXPECT_EQ(Canonical(text), canonical) << text;
}

TEST(FilterGrammar, WordsByThemselvesAreRefused) {
  EXPECT_THAT(Refusal("hello"), HasSubstr("1:1 found 'hello' by itself, expected a comparison"));
  EXPECT_THAT(Refusal("score = 1 hello"), HasSubstr("1:11 found 'hello' by itself"));
  EXPECT_THAT(Refusal("score = 1 AND active"), HasSubstr("1:15 found 'active' by itself"));
  EXPECT_THAT(Refusal("\"Jane Doe\""), HasSubstr("1:1 found a text in quotes"));
  EXPECT_THAT(Refusal("42"), HasSubstr("1:1 found a number"));
  EXPECT_THAT(Refusal("score = 1 42"), HasSubstr("1:11 found a number"));
  EXPECT_THAT(Refusal("score = 1 and active = true"),
              HasSubstr("1:11 found 'and', expected AND in capitals"));
}

TEST(FilterGrammar, BrokenSyntaxIsRefusedWhereItBreaks) {
  const std::vector<std::array<std::string_view, 2>> cases = {
      {"(score = 1", "1:11 found the end, expected AND, OR or ')'"},
      {"score = 1)", "1:10 found ')', expected AND, OR or the end"},
      {"()", "1:2 found ')', expected a comparison"},
      {"score =", "1:8 found the end, expected a value"},
      {"score = 1 AND", "1:14 found the end, expected a comparison"},
      {"AND score = 1", "1:1 found 'AND', expected a comparison"},
      {"score = 1 OR OR score = 2", "1:14 found 'OR', expected a comparison"},
      {"NOT NOT score = 1", "1:5 found 'NOT', expected a comparison"},
      {"score == 1", "1:8 found '=', expected a value"},
      {"score = 1 = 2", "1:11 found '=', expected AND, OR or the end"},
      {"score ! 1", "1:7 found '!', expected '!='"},
      {"score = 1 && score = 2", "1:11 found '&', expected AND or OR"},
      {"score = AND", "1:9 found 'AND', expected a value"},
      {"score = organization.headcount", "1:9 found a path on the right"},
      {"score = (1 OR 2)", "1:9 found '(', expected one value"},
      {"score = 12x", "1:9 found a number with letters after it"},
      {"score # 1", "1:7 found the character U+0023"},
      {"\u00e9t\u00e9 = 1", "1:1 found the character U+00E9"},
      {"note = \"open", "1:8 found a text without its closing quote"},
      {"note = \"\\q\"", "1:9 found an unknown escape"},
      {"note = \"\\u12\"", "1:9 found an unfinished \\u"},
      {"note = \"\\u0000\"", "1:9 found NUL"},
      {"note = \"\\uD800\"", "1:9 found NUL or half a surrogate pair"},
      {"note = \"\\uDC00\\uD800\"", "1:9 found NUL or half a surrogate pair"},
      {"labels.odd-key = \"x\"", "1:11 found '-', expected an operator"},
      {"labels.2024 = \"x\"", "1:8 found a number, expected a name after the dot"},
      {"labels. = \"x\"", "1:9 found '=', expected a name after the dot"},
      {"close(note) = \"x\"", "1:1 found the function 'close', expected count(), last() or fold()"},
      {"now() > close_time", "1:1 found now() on the left"},
      {"close_time > now(1)", "1:18 found a number, expected ')'"},
      {"close_time > now() - 7", "1:22 found a number, expected a duration"},
      {"close_time > now() + x", "1:22 found 'x', expected a duration"},
      {"close_time > now() - 1.5d", "1:22 found decimals in a duration"},
      {"close_time > now() - 40000d", "1:22 found a duration of more than 36500d"},
      {"close_time > now() - 99999999999999999999999999d", "1:22 found a duration of more than"},
      {"score > 99999999999999999999", "1:9 found a number beyond 64 bits"},
      {"score > later(1)", "1:9 found the function 'later' on the right"},
  };
  for (const auto& [text, refusal] : cases) {
    EXPECT_THAT(Refusal(text), ::testing::StartsWith(std::string(refusal))) << text;
  }
}

TEST(FilterGrammar, PositionsCountLinesAndCodePoints) {
  EXPECT_THAT(Refusal("score = 1\n  AND x"), HasSubstr("2:7 found 'x'"));
  EXPECT_THAT(Refusal("score = 1\r\nAND x"), HasSubstr("2:5 found 'x'"));
  EXPECT_THAT(Refusal("note = \"\u00e9\u00e9\U0001f600\" x"), HasSubstr("1:14 found 'x'"));
  EXPECT_EQ(ParseFilter("score = 1\n x", Schema()).error().ToString().substr(0, 16),
            "line 2, column 2");
  EXPECT_EQ(ParseFilter("x", Schema()).status_or().status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(FilterGrammar, BytesThatAreNoTextAreRefused) {
  EXPECT_THAT(Refusal("note = \"a\xff\""), HasSubstr("1:10 found bytes that are not UTF-8"));
  EXPECT_THAT(Refusal("note = \"\xc0\xaf\""), HasSubstr("1:9 found bytes that are not UTF-8"));
  EXPECT_THAT(Refusal("note = \"\xed\xa0\x80\""), HasSubstr("1:9 found bytes that are not UTF-8"));
  EXPECT_THAT(Refusal("note = \"\xe2\x82"), HasSubstr("1:9 found bytes that are not UTF-8"));
  EXPECT_THAT(Refusal(std::string("note = \"a\0b\"", 12)), HasSubstr("1:10 found the control"));
  EXPECT_THAT(Refusal(std::string("score\0= 1", 9)), HasSubstr("1:6 found"));
  EXPECT_THAT(Refusal("note = \"a\nb\""), HasSubstr("U+000A"));
  EXPECT_THAT(Refusal("note = \"\u202e\""), HasSubstr("U+202E"));
  EXPECT_EQ(Canonical("note = \"\\u202E\\u0007\\u0085\\u061c\u2013\""),
            "note = \"\\u202E\\u0007\\u0085\\u061C\u2013\"");
}

// ---- types
// ----------------------------------------------------------------------------------------

TEST(FilterTypes, EveryTypeTakesItsOperatorsAndNoOther) {
  struct Case {
    std::string path;
    std::string value;
    std::string allowed;  // of "= != < <= > >= :", separated by blanks
  };
  const std::vector<Case> cases = {
      {"active", "true", " = != "},
      {"score", "40", " = != < <= > >= "},
      {"note", "\"x\"", " = != < <= > >= : "},
      {"create_time", "now()", " = != < <= > >= "},
      {"stage", "LEAD", " = != "},
      {"estimated_value", "\"1 EUR\"", " = != < <= > >= "},
      {"estimated_value.currency_code", "\"EUR\"", " = != < <= > >= : "},
      {"needs", "\"x\"", " : "},
      {"person.emails.address", "\"x\"", " : "},
      {"labels", "plan", " : "},
      {"labels.plan", "\"x\"", " = != < <= > >= : "},
      {"count(touchpoints)", "3", " = != < <= > >= "},
      {"last(touchpoints)", "now()", " = != < <= > >= "},
  };
  for (const Case& c : cases) {
    for (std::string_view op : {"=", "!=", "<", "<=", ">", ">=", ":"}) {
      std::string text = c.path + " " + std::string(op) + " " + c.value;
      bool allowed = c.allowed.find(" " + std::string(op) + " ") != std::string::npos;
      EXPECT_EQ(ParseFilter(text, Schema()).ok(), allowed) << text;
    }
  }
}

TEST(FilterTypes, EveryPathHasAPresence) {
  for (const auto& [path, field] : Schema().fields()) {
    EXPECT_EQ(Canonical(path + ":*"), path + ":*");
    EXPECT_THAT(Refusal(path + " = *"), HasSubstr("presence is written " + path + ":*"));
  }
  EXPECT_EQ(Canonical("person.emails.label:*"), "person.emails.label:*");
  EXPECT_EQ(Canonical("labels.\"a.b\":*"), "labels.\"a.b\":*");
}

TEST(FilterTypes, WrongValuesAreRefusedWithWhatIsExpected) {
  const std::vector<std::array<std::string_view, 2>> cases = {
      {"active = 1", "1:10 found a number for active, expected true or false"},
      {"active = \"true\"", "1:10 found a text in quotes for active, expected true or false"},
      {"score = \"40\"", "1:9 found a text in quotes for score, expected a whole number"},
      {"score = 40.5", "1:9 found a number with decimals for score, expected a whole number"},
      {"score = true", "1:9 found 'true' for score, expected a whole number"},
      {"score = 30d", "1:9 found a duration for score, expected a whole number"},
      {"score = now()", "1:9 found a time for score, expected a whole number"},
      {"note = Jane", "1:8 found a word without quotes for note, expected a text in quotes"},
      {"note = 5", "1:8 found a number for note, expected a text in quotes"},
      {"create_time > 2026", "1:15 found a number for create_time, expected a time such as"},
      {"create_time > 30d", "1:15 found a duration for create_time, expected a time such as"},
      {"create_time > \"yesterday\"", "1:15 found no time for create_time: a time is written"},
      {"create_time > \"2026-02-30\"", "1:15 found no time for create_time: there is no such date"},
      {"create_time > \"2026-02-28T24:00:00Z\"", "1:15 found no time for create_time: there is no"},
      {"create_time > \"2026-02-28T10:00:00\"", "1:15 found no time for create_time: a time is"},
      {"create_time > \"2026-02-28T10:00:00.1234567Z\"",
       "1:15 found no time for create_time: times are kept to the microsecond"},
      {"create_time > \"0000-01-01\"", "1:15 found no time for create_time: there is no such date"},
      {"create_time > \"0001-01-01T00:00:00+01:00\"", "1:15 found no time for create_time: years"},
      {"create_time > \"9999-12-31T23:59:59-01:00\"", "1:15 found no time for create_time: years"},
      {"stage = WON",
       "1:9 found 'WON' for stage, which is no Phase, expected one of LEAD, PROSPECT,"},
      {"stage = \"Jane\"", "1:9 found a text for stage, which is no Phase, expected one of LEAD,"},
      {"stage = UNSPECIFIED", "1:9 found UNSPECIFIED for stage, expected NOT stage:*"},
      {"stage = 2", "1:9 found a number for stage, expected one of LEAD, PROSPECT, CUSTOMER"},
      {"stage < PROSPECT", "1:7 found < after stage, expected = or !="},
      {"estimated_value > 5000",
       "1:19 found a number for estimated_value, expected an amount with "
       "its currency in quotes, such as \"5000 EUR\""},
      {"estimated_value > 49.99",
       "1:19 found a number with decimals for estimated_value, expected"},
      {"estimated_value > \"5000\"",
       "1:19 found no amount for estimated_value, expected an amount"},
      {"estimated_value > \"5000 EURO\"", "1:19 found no amount for estimated_value"},
      {"estimated_value.units > 5",
       "1:17 found a name below estimated_value, expected currency_code"},
      {"needs = \"x\"", "1:7 found = after needs, expected ':', as for every list"},
      {"person.emails.address = \"x\"", "1:23 found = after person.emails.address, expected ':'"},
      {"person.emails:\"x\"", "1:14 found a value after person.emails, expected person.emails:*"},
      {"person.emails.domain:\"x\"",
       "1:15 found 'domain' below person.emails, expected address or"},
      {"labels = \"x\"", "1:8 found = after labels, expected ':' with a key"},
      {"labels.a.b = \"x\"", "1:10 found a second name below labels"},
      {"labels.\"\" = \"x\"", "1:8 found an empty key"},
      {"labels:\"\"", "1:8 found an empty key"},
      {"labels:5", "1:8 found a number for labels, expected a key"},
      {"fold(score) = fold(\"x\")", "1:6 found fold() of score, expected a path that holds text"},
      {"fold(note) = \"x\"", "1:14 found a text in quotes for note, expected fold(\"text\")"},
      {"note = fold(\"x\")",
       "1:8 found fold() of a text for note, expected the path in fold() too"},
      {"score = fold(\"x\")", "1:9 found fold() of a text for score, expected a whole number"},
      {"fold(note):*", "1:12 found '*' after fold()"},
      {"fold(note) = fold(x)", "1:19 found 'x', expected a text in quotes"},
      {"count(touchpoints) >= -1", "1:23 found a negative number for count()"},
      {"count(touchpoints) >= 1.5", "1:23 found a number with decimals for count()"},
      {"count(touchpoints) : 1", "1:20 found ':' after count()"},
      {"count(visits) > 1", "1:7 found 'visits', expected touchpoints"},
      {"count(touchpoints, 0d) > 1", "1:20 found an empty window"},
      {"count(touchpoints, kind = CALL, 30) > 1", "1:33 found a number, expected a duration"},
      {"count(touchpoints, score = 1) > 1", "1:20 found the unknown path 'score'"},
      {"count(touchpoints, count(touchpoints) > 1) > 1",
       "1:20 found count(), but there is nothing"},
      {"last(touchpoints, 30d) > now()", "1:19 found a duration, expected a filter"},
      {"last(touchpoints) > 5", "1:21 found a number for last(), expected a time such as"},
      {"last(touchpoints) : 5", "1:21 found a number after last(...):"},
  };
  for (const auto& [text, refusal] : cases) {
    EXPECT_THAT(Refusal(text), ::testing::StartsWith(std::string(refusal))) << text;
  }
}

TEST(FilterTypes, UnknownPathsNameTheirNeighbours) {
  EXPECT_THAT(Refusal("scroe = 1"), HasSubstr("did you mean score?"));
  EXPECT_THAT(Refusal("person.nam = \"x\""), HasSubstr("did you mean person.name?"));
  EXPECT_THAT(Refusal("headcount > 1"), HasSubstr("did you mean organization.headcount?"));
  EXPECT_THAT(Refusal("person = 1"), HasSubstr("person.emails"));
  EXPECT_THAT(Refusal("score.total = 1"), HasSubstr("1:1 found the unknown path 'score.total'"));
  EXPECT_THAT(Refusal("zzzzzz = 1"), Not(HasSubstr("did you mean")));
  EXPECT_THAT(Refusal("secret = \"x\""), HasSubstr("found the unknown path 'secret'"));
}

TEST(FilterTypes, NoRefusalRepeatsALiteral) {
  // "jane" stands for something personal in every place where a literal can be.
  for (std::string_view text : {"\"jane\"",
                                "note = \"jane",
                                "note = jane",
                                "score = \"jane\"",
                                "stage = \"jane\"",
                                "create_time > \"jane\"",
                                "estimated_value > \"jane\"",
                                "estimated_value > \"5 jane\"",
                                "active = \"jane\"",
                                "active = jane",
                                "labels.\"jane\".x = \"y\"",
                                "\"jane\" = 1",
                                "fold(note) = \"jane\"",
                                "note = fold(\"jane\"",
                                "needs = \"jane\"",
                                "person.emails.\"jane\":\"x\"",
                                "count(\"jane\") > 1",
                                "labels.\"jane\" = 5",
                                "zz.\"jane\" = 5",
                                "note = \"\\qjane\"",
                                "last(touchpoints):\"jane\"",
                                "score = jane.x"}) {
    EXPECT_THAT(Refusal(text), AllOf(Not(HasSubstr("jane")), Not(HasSubstr("accepted")))) << text;
  }
}

TEST(FilterTypes, PersonalFieldsAreKnownAndCanBeTakenAway) {
  EXPECT_TRUE(Parsed("score = 1 AND NOT person.name = \"x\"").names_personal());
  EXPECT_TRUE(Parsed("person.emails.address:\"x\"").names_personal());
  EXPECT_FALSE(Parsed("score = 1 AND count(touchpoints, kind = CALL) > 1").names_personal());
  FilterSchema open = Schema().WithoutPersonal();
  EXPECT_FALSE(ParseFilter("person.name = \"x\"", open).ok());
  EXPECT_TRUE(ParseFilter("score = 1 AND count(touchpoints, kind = CALL) > 1", open).ok());
}

TEST(FilterTypes, DependenceOnTheClockIsKnown) {
  for (std::string_view text : {"create_time > now()", "score = 1 OR NOT create_time > now() - 1d",
                                "count(touchpoints, 30d) > 1", "last(touchpoints) > now() - 1d",
                                "count(touchpoints, occur_time > now()) > 1"}) {
    EXPECT_TRUE(Parsed(text).depends_on_now()) << text;
  }
  for (std::string_view text : {"", "score = 1", "create_time > \"2026-01-01\"",
                                "last(touchpoints):*", "count(touchpoints) > 1"}) {
    EXPECT_FALSE(Parsed(text).depends_on_now()) << text;
  }
}

TEST(FilterTypes, ASchemaRefusesWhatCouldNotBeAColumn) {
  FilterSchema schema;
  EXPECT_TRUE(schema.Add({.path = "a.b"}).ok());
  EXPECT_EQ(schema.Find("a.b")->column, "a_b");
  EXPECT_EQ(schema.Add({.path = "a.b"}).code(), absl::StatusCode::kAlreadyExists);
  for (std::string path : {"", "a.", "A", "a b", "a;b", "1a", "a\"b"}) {
    EXPECT_EQ(schema.Add({.path = path}).code(), absl::StatusCode::kInvalidArgument) << path;
  }
  EXPECT_EQ(schema.Add({.path = "c", .column = "c)--"}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(schema.Add({.path = "c", .type = FieldType::kBlob}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(schema.Add({.path = "c", .type = FieldType::kEnum}).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(schema.AddCollection("x", SchemaOf<Sign>(), "topic").code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(schema.AddCollection("x", SpecimenSchema(), "create_time").code(),
            absl::StatusCode::kInvalidArgument);
}

// ---- meaning
// -------------------------------------------------------------------------------------

TEST(FilterMeaning, EveryOperatorOfEveryType) {
  for (std::string_view text : {"active = true",
                                "active != false",
                                "checked = false",
                                "checked != true",
                                "score = 40",
                                "score != 41",
                                "score < 41",
                                "score <= 40",
                                "score > -1",
                                "score >= 40",
                                "organization.headcount > 249",
                                "stage = PROSPECT",
                                "stage != LEAD",
                                "person.name = \"Zo\u00eb M\u00fcller\"",
                                "person.name != \"Zoe\"",
                                "person.name > \"Zo\"",
                                "person.name < \"Zo\uff5a\"",
                                "person.name:\"M\u00fcll\"",
                                "person.name:\"\"",
                                "note:'\"the\"'",
                                "fold(note):fold(\"ASKED\")",
                                "fold(note) >= fold(\"ASKED\")",
                                "create_time = now()",
                                "create_time <= now()",
                                "create_time > now() - 0.000001s",
                                "create_time < now() + 0.000001s",
                                "close_time = now() - 7d",
                                "close_time < now()",
                                "close_time >= now() - 168h",
                                "close_time != now()",
                                "estimated_value = \"5000 EUR\"",
                                "estimated_value >= \"4999.999999999 EUR\"",
                                "estimated_value < \"5000.000000001 EUR\"",
                                "estimated_value != \"1 EUR\"",
                                "estimated_value.currency_code = \"EUR\"",
                                "needs:\"storage\"",
                                "fold(needs):fold(\"TRANSPORT\")",
                                "needs:*",
                                "person.emails.address:\"z@home.example\"",
                                "fold(person.emails.address):fold(\"zoe@example.ORG\")",
                                "person.emails.label:\"work\"",
                                "person.emails.label:*",
                                "labels:plan",
                                "labels:\"odd key\"",
                                "labels:empty",
                                "labels.plan = \"gold\"",
                                "labels.plan:\"ol\"",
                                "labels.plan > \"g\"",
                                "labels.\"odd key\" = \"x\"",
                                "labels.empty = \"\"",
                                "labels.empty:*",
                                "labels:*"}) {
    EXPECT_TRUE(MatchFull(text)) << text;
    EXPECT_FALSE(MatchFull("NOT " + std::string(text))) << text;
  }
  for (std::string_view text : {"active = false",
                                "active != true",
                                "checked = true",
                                "score = 41",
                                "score != 40",
                                "score < 40",
                                "score <= 39",
                                "score > 40",
                                "score >= 41",
                                "stage = LEAD",
                                "stage != PROSPECT",
                                "person.name = \"zo\u00eb m\u00fcller\"",
                                "person.name:\"m\u00fcll\"",
                                "fold(person.name) = fold(\"ZO\u00cb M\u00dcLLER\")",
                                "person.name > \"Zo\uff5a\"",
                                "create_time < now()",
                                "create_time > now()",
                                "close_time > now() - 7d",
                                "estimated_value > \"5000 EUR\"",
                                "estimated_value = \"5000.000000001 EUR\"",
                                "estimated_value.currency_code = \"USD\"",
                                "needs:\"stor\"",
                                "needs:\"transport\"",
                                "person.emails.address:\"example\"",
                                "person.emails.label:\"home\"",
                                "labels:Plan",
                                "labels:gold",
                                "labels.plan = \"Gold\"",
                                "labels.none != \"x\"",
                                "labels.empty:\"x\""}) {
    EXPECT_FALSE(MatchFull(text)) << text;
    EXPECT_TRUE(MatchFull("NOT " + std::string(text))) << text;
  }
}

TEST(FilterMeaning, AbsentComparesFalseAndItsNegationTrue) {
  for (std::string_view path_and_value :
       {"checked? true", "organization.headcount? 0", "stage? LEAD", "note? \"\"",
        "close_time? now()", "estimated_value? \"0 EUR\"", "labels.plan? \"\""}) {
    size_t mark = path_and_value.find('?');
    std::string path(path_and_value.substr(0, mark));
    std::string value(path_and_value.substr(mark + 1));
    for (std::string_view op : {"=", "!=", "<", "<=", ">", ">=", ":"}) {
      std::string text = path + std::string(op) + value;
      if (!ParseFilter(text, Schema()).ok()) continue;
      EXPECT_FALSE(MatchEmpty(text)) << text;
      EXPECT_TRUE(MatchEmpty("NOT " + text)) << text;
      EXPECT_TRUE(MatchEmpty("NOT (" + text + " AND score = 0)")) << text;
    }
    EXPECT_FALSE(MatchEmpty(path + ":*"));
    EXPECT_TRUE(MatchEmpty("-" + path + ":*"));
  }
  for (std::string_view text : {"needs:\"x\"", "needs:\"\"", "person.emails.address:\"x\"",
                                "labels:x", "person.emails:*", "labels:*", "last(touchpoints):*",
                                "last(touchpoints) < now()", "last(touchpoints) != now()"}) {
    EXPECT_FALSE(MatchEmpty(text)) << text;
    EXPECT_TRUE(MatchEmpty("NOT " + std::string(text))) << text;
  }
  EXPECT_TRUE(MatchEmpty("active = false"));
  EXPECT_TRUE(MatchEmpty("score = 0"));
}

TEST(FilterMeaning, MoneyOfAnotherCurrencyComparesFalse) {
  for (std::string_view op : {"=", "!=", "<", "<=", ">", ">="}) {
    std::string text = "estimated_value " + std::string(op) + " \"5000 USD\"";
    EXPECT_FALSE(MatchFull(text)) << text;
    EXPECT_TRUE(MatchFull("NOT " + text)) << text;
  }
}

TEST(FilterMeaning, NegativeAmountsKeepTheirOrder) {
  Specimen s;
  s.estimated_value = Money{"EUR", -1, -500'000'000};
  EXPECT_TRUE(Match("estimated_value < \"-1 EUR\" AND estimated_value > \"-2 EUR\"", s));
  s.estimated_value = Money{"EUR", 0, -50'000'000};
  EXPECT_TRUE(Match("estimated_value < \"0 EUR\" AND estimated_value = \"-0.05 EUR\"", s));
}

TEST(FilterMeaning, TextComparesByCodePoint) {
  Specimen s;
  s.note = "\U0001d11e";  // in UTF-16 order it would come before U+FF5A
  EXPECT_TRUE(Match("note > \"\uff5a\"", s));
  s.note = "a";
  EXPECT_TRUE(Match("note > \"B\"", s));
}

TEST(FilterMeaning, FoldKnowsTheLettersOfAsciiOnly) {
  Specimen s;
  s.note = "STRASSE \u0130\u00c9";
  EXPECT_TRUE(Match("fold(note) = fold(\"strasse \u0130\u00c9\")", s));
  EXPECT_FALSE(Match("fold(note) = fold(\"strasse \u0130\u00e9\")", s));
  EXPECT_FALSE(Match("fold(note):fold(\"stra\u00dfe\")", s));
}

TEST(FilterMeaning, CountLooksAtMatchingChildrenInTheWindow) {
  auto sign = [](SignKind kind, int64_t ago, std::string topic = "") {
    return Sign{
        .kind = kind, .occur_time = Timestamp{kNow.micros - ago}, .topic = std::move(topic)};
  };
  std::vector<Sign> signs = {sign(SignKind::kWebinar, 0, "price"),
                             sign(SignKind::kWebinar, 30 * kMicrosPerDay - 1),
                             sign(SignKind::kWebinar, 30 * kMicrosPerDay),
                             sign(SignKind::kCall, kHour), sign(SignKind::kCall, -1)};
  auto match = [&](std::string_view text) { return Match(text, Specimen(), signs); };
  EXPECT_TRUE(match("count(touchpoints) = 5"));
  EXPECT_TRUE(match("count(touchpoints, kind = WEBINAR) = 3"));
  // (now - 30d, now]: the one exactly 30 days old is out, the one of this moment is in.
  EXPECT_TRUE(match("count(touchpoints, kind = WEBINAR, 30d) = 2"));
  EXPECT_TRUE(match("count(touchpoints, 30d) = 3"));
  EXPECT_TRUE(match("count(touchpoints, 0.000001s) = 1"));
  EXPECT_TRUE(match("count(touchpoints, kind = WEBINAR AND topic = \"price\") >= 1"));
  EXPECT_TRUE(match("count(touchpoints, kind = PAGE_VIEW) = 0"));
  EXPECT_TRUE(match("count(touchpoints, kind = PAGE_VIEW) < 1"));
  EXPECT_TRUE(match("count(touchpoints, kind = WEBINAR OR kind = CALL, 1d) != 3"));
  EXPECT_FALSE(match("count(touchpoints, kind = CALL) > 2"));
}

TEST(FilterMeaning, LastIsTheTimeOfTheLatestMatchingChild) {
  std::vector<Sign> signs = {
      {.kind = SignKind::kCall, .occur_time = Timestamp{kNow.micros - 2 * kMicrosPerDay}},
      {.kind = SignKind::kWebinar, .occur_time = Timestamp{kNow.micros - 1 * kMicrosPerDay}},
      {.kind = SignKind::kCall, .occur_time = Timestamp{kNow.micros - 9 * kMicrosPerDay}}};
  auto match = [&](std::string_view text) { return Match(text, Specimen(), signs); };
  EXPECT_TRUE(match("last(touchpoints) = now() - 1d"));
  EXPECT_TRUE(match("last(touchpoints, kind = CALL) = now() - 2d"));
  EXPECT_TRUE(match("last(touchpoints, kind = CALL) > now() - 7d"));
  EXPECT_TRUE(match("last(touchpoints, kind = CALL):*"));
  EXPECT_FALSE(match("last(touchpoints, kind = PAGE_VIEW):*"));
  EXPECT_FALSE(match("last(touchpoints, kind = PAGE_VIEW) <= now()"));
  EXPECT_TRUE(match("NOT last(touchpoints, kind = PAGE_VIEW) > now() - 7d"));
}

TEST(FilterMeaning, MomentsSaturateAtTheEndsOfTime) {
  EXPECT_EQ((FilterMoment{true, 1}).At(Timestamp{INT64_MAX}).micros, INT64_MAX);
  EXPECT_EQ((FilterMoment{true, -1}).At(Timestamp{INT64_MIN}).micros, INT64_MIN);
}

// ---- limits
// --------------------------------------------------------------------------------------

TEST(FilterLimitsTest, LengthIsBounded) {
  std::string text = "score = 1";
  text.append(kMaxFilterBytes - text.size(), ' ');
  EXPECT_EQ(Canonical(text), "score = 1");
  text += ' ';
  EXPECT_EQ(Refusal(text), "1:1 found a filter of 4097 bytes, expected at most 4096");
  EXPECT_THAT(Refusal(std::string(1 << 20, '(')), HasSubstr("1:1 found a filter of 1048576 bytes"));
}

TEST(FilterLimitsTest, DepthIsBoundedAlsoWithoutTheLengthLimit) {
  auto nested = [](int depth) {
    return std::string(static_cast<size_t>(depth), '(') + "score = 1" +
           std::string(static_cast<size_t>(depth), ')');
  };
  EXPECT_EQ(Canonical(nested(kMaxFilterDepth)), "score = 1");
  EXPECT_THAT(Refusal(nested(kMaxFilterDepth + 1)),
              HasSubstr("1:33 found parentheses nested more than 32 deep"));
  const FilterLimits long_texts = {.bytes = 10 << 20};
  EXPECT_THAT(Refusal(nested(10'000), long_texts), HasSubstr("1:33 found parentheses"));
  EXPECT_THAT(Refusal(std::string(1 << 20, '('), long_texts), HasSubstr("1:33 found parentheses"));
  std::string negated;
  for (int i = 0; i < 10'000; ++i) negated += "NOT (";
  EXPECT_THAT(Refusal(negated, long_texts), HasSubstr("found parentheses"));
  EXPECT_THAT(Refusal(std::string(1 << 20, '-'), long_texts), HasSubstr("1:2 found '-'"));
}

TEST(FilterLimitsTest, NodesAreBounded) {
  auto conditions = [](int count) {
    std::string text = "score=0";
    for (int i = 1; i < count; ++i) text += " OR score=" + std::to_string(i);
    return text;
  };
  EXPECT_TRUE(ParseFilter(conditions(kMaxFilterNodes - 1), Schema()).ok());
  EXPECT_THAT(Refusal(conditions(kMaxFilterNodes)),
              HasSubstr("found more than 100 conditions and groups"));
  EXPECT_THAT(Refusal(conditions(kMaxFilterNodes + 1)), HasSubstr("1:"));
}

TEST(FilterLimitsTest, AggregatesAreBounded) {
  std::string text = "count(touchpoints) > 0 AND last(touchpoints):* AND count(touchpoints) > 1";
  EXPECT_TRUE(ParseFilter(text + " AND last(touchpoints):*", Schema()).ok());
  EXPECT_THAT(Refusal(text + " AND last(touchpoints):* AND count(touchpoints) > 2"),
              HasSubstr("1:103 found more than 4 count() and last()"));
}

// ---- properties
// ----------------------------------------------------------------------------------

TEST(FilterProperty, CanonicalTextParsesToTheSameFilterWithTheSameMeaning) {
  FilterGenerator generator(Schema(), 20'261'124);
  int matched = 0;
  constexpr int kRounds = 20'000;
  for (int i = 0; i < kRounds; ++i) {
    std::string text = generator.Text();
    FilterResult first = ParseFilter(text, Schema());
    ASSERT_TRUE(first.ok()) << text << "\n" << first.error().ToString();
    std::string canonical = first.filter().Canonical();
    FilterResult second = ParseFilter(canonical, Schema(), kCanonicalFilterLimits);
    ASSERT_TRUE(second.ok()) << canonical << "\n" << second.error().ToString();
    ASSERT_EQ(second.filter(), first.filter()) << text << "\n" << canonical;
    ASSERT_EQ(second.filter().Canonical(), canonical);

    Specimen specimen = generator.Entity<Specimen>();
    std::vector<Sign> signs;
    for (size_t n = generator.Below(5); n > 0; --n) signs.push_back(generator.Entity<Sign>());
    std::vector<EntitySubject<Sign>> subjects(signs.begin(), signs.end());
    std::vector<const FilterSubject*> children;
    for (const auto& subject : subjects) children.push_back(&subject);
    EntitySubject<Specimen> subject(specimen, "touchpoints", children);
    bool match = Matches(first.filter(), subject, kNow);
    ASSERT_EQ(Matches(second.filter(), subject, kNow), match) << canonical;
    FilterResult negated = ParseFilter("NOT (" + canonical + ")", Schema(), kCanonicalFilterLimits);
    ASSERT_TRUE(negated.ok()) << negated.error().ToString();
    ASSERT_NE(Matches(negated.filter(), subject, kNow), match) << canonical;
    matched += match ? 1 : 0;
  }
  // A generator whose filters nearly always say the same would prove little.
  EXPECT_GT(matched, kRounds / 5);
  EXPECT_LT(matched, kRounds * 4 / 5);
}

TEST(FilterProperty, DamagedTextsAreParsedOrRefusedCleanly) {
  FilterGenerator generator(Schema(), 7);
  const std::string noise =
      "()\"'\\,.:*-=<>! \n\x01\x80\xc3"
      "ANDORNOT019dhms";
  for (int i = 0; i < 20'000; ++i) {
    std::string text = generator.Text();
    for (size_t n = 1 + generator.Below(3); n > 0; --n) {
      size_t at = generator.Below(text.size());
      switch (generator.Below(3)) {
        case 0:
          text.erase(at, 1 + generator.Below(4));
          break;
        case 1:
          text.insert(at, 1, noise[generator.Below(noise.size())]);
          break;
        default:
          text[at] = noise[generator.Below(noise.size())];
      }
      if (text.empty()) text = "x";
    }
    FilterResult result = ParseFilter(text, Schema());
    if (result.ok()) {
      std::string canonical = result.filter().Canonical();
      FilterResult again = ParseFilter(canonical, Schema(), kCanonicalFilterLimits);
      ASSERT_TRUE(again.ok()) << canonical << "\n" << again.error().ToString();
      ASSERT_EQ(again.filter(), result.filter()) << canonical;
    } else {
      ASSERT_GE(result.error().line, 1);
      ASSERT_GE(result.error().column, 1);
      ASSERT_THAT(result.error().message, HasSubstr("found"));
    }
  }
}

TEST(FilterTextTest, TimesRoundTrip) {
  for (int64_t micros : {int64_t{0}, int64_t{-1}, kNow.micros, int64_t{-62'135'596'800'000'000},
                         int64_t{253'402'300'799'999'999}}) {
    std::string text = FormatFilterTime(micros);
    int64_t back = 0;
    std::string problem;
    ASSERT_TRUE(ParseFilterTime(text, back, problem)) << text << " " << problem;
    EXPECT_EQ(back, micros) << text;
  }
  EXPECT_EQ(FormatFilterTime(-1), "1969-12-31T23:59:59.999999Z");
}

}  // namespace
}  // namespace relais::domain
