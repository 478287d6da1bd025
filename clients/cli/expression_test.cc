#include "clients/cli/expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::cli {
namespace {

using ::testing::HasSubstr;

class ExpressionTest : public ::testing::Test {
 protected:
  ExpressionTest() {
    names_.columns = {{"id", 0}, {"origin", 1}, {"amount", 2}, {"day", 3}};
    names_.tables.push_back({"account", {{"name", 0}, {"sector", 1}}});
    names_.constants = {{"const.source", "olist"}, {"file.name", "leads.csv"}};
    names_.maps["channel"] = {"channel", {{"organic", "SEO"}, {"", "UNKNOWN"}}, std::nullopt};
    names_.maps["loose"] = {"loose", {{"organic", "SEO"}}, "OTHER"};
  }

  std::string Evaluate(const std::string& text) {
    auto compiled = Template::Compile(text, names_);
    if (!compiled.ok()) return "compile: " + std::string(compiled.status().message());
    auto value = compiled->Evaluate(Scope{&fields_, &joined_, 7});
    return value.ok() ? *value : "refused: " + std::string(value.status().message());
  }
  std::string Holds(const std::string& text) {
    auto compiled = Condition::Compile(text, names_);
    if (!compiled.ok()) return "compile: " + std::string(compiled.status().message());
    auto value = compiled->Holds(Scope{&fields_, &joined_, 7});
    return !value.ok() ? "refused" : *value ? "yes" : "no";
  }

  Names names_;
  std::vector<std::string> row_ = {"Acme", "retail"};
  std::vector<std::string> fields_ = {"42", "organic", "10.50", "2018-02-26"};
  std::vector<const std::vector<std::string>*> joined_ = {&row_};
};

TEST_F(ExpressionTest, ColumnsTablesConstantsAndTheLineAreInReach) {
  EXPECT_EQ(Evaluate("${id}:${account.sector}/${const.source}@${file.name}#${file.line}"),
            "42:retail/olist@leads.csv#7");
  EXPECT_EQ(Evaluate("plain $ {text} $${id}"), "plain $ {text} ${id}");
  joined_[0] = nullptr;
  EXPECT_EQ(Evaluate("[${account.sector}]"), "[]");
}

TEST_F(ExpressionTest, UnknownNamesFiltersAndMapsAreRefusedWhenCompiled) {
  EXPECT_THAT(Evaluate("${nothing}"), HasSubstr("\"nothing\"; the columns are amount, day, id"));
  EXPECT_THAT(Evaluate("${account.nothing}"), HasSubstr("compile: no column"));
  EXPECT_THAT(Evaluate("${id|shout}"), HasSubstr("unknown filter \"shout\""));
  EXPECT_THAT(Evaluate("${id|map:nothing}"), HasSubstr("no map \"nothing\""));
  EXPECT_THAT(Evaluate("${id|map}"), HasSubstr("needs an argument"));
  EXPECT_THAT(Evaluate("${id|trim:x}"), HasSubstr("takes no argument"));
  EXPECT_THAT(Evaluate("${id"), HasSubstr("never closed"));
}

TEST_F(ExpressionTest, FiltersApplyInTurn) {
  EXPECT_EQ(Evaluate("${origin|upper}"), "ORGANIC");
  fields_[1] = "  Organic ";
  EXPECT_EQ(Evaluate("${origin|trim|lower|map:channel}"), "SEO");
  fields_[1] = "";
  EXPECT_EQ(Evaluate("${origin|default:none}"), "none");
  EXPECT_EQ(Evaluate("${origin|map:channel}"), "UNKNOWN");
  EXPECT_EQ(Evaluate("${origin|map:loose}"), "");
  EXPECT_THAT(Evaluate("${origin|required}"), HasSubstr("refused: column origin is empty"));
  fields_[1] = "paid";
  EXPECT_THAT(Evaluate("${origin|map:channel}"), HasSubstr("refused: column origin value is not"));
  EXPECT_EQ(Evaluate("${origin|map:loose}"), "OTHER");
  EXPECT_EQ(Evaluate("${origin|blank_if:paid}"), "");
}

TEST_F(ExpressionTest, NumbersAreExact) {
  fields_[2] = "1100.04";
  EXPECT_EQ(Evaluate("${amount|times:1000000}"), "1100040000");
  EXPECT_THAT(Evaluate("${amount|integer}"), HasSubstr("not a whole number"));
  fields_[2] = "12.0";
  EXPECT_EQ(Evaluate("${amount|integer}"), "12");
  fields_[2] = "999999999999999999";
  EXPECT_THAT(Evaluate("${amount|times:10}"), HasSubstr("too large"));
  fields_[2] = "-0.5";
  EXPECT_EQ(Evaluate("${amount|times:3}"), "-1.5");
  for (const char* wrong : {"1e5", "1,5", "0x10", ".", "1.", ".5", "--1", "1.0000000001",
                            "1000000000000000000", "NaN", " "}) {
    EXPECT_FALSE(ParseDecimal(wrong).has_value()) << wrong;
  }
  EXPECT_EQ(FormatDecimal(*ParseDecimal("50000000.0")), "50000000");
  EXPECT_EQ(FormatDecimal(*ParseDecimal("-0.000000001")), "-0.000000001");
  EXPECT_EQ(FormatDecimal(*ParseDecimal("1.50000000000000")), "1.5");
}

TEST_F(ExpressionTest, DatesAreReadInTheirFormatsAndCheckedAgainstTheCalendar) {
  EXPECT_EQ(ParseMoment("2018-02-26", ""), "2018-02-26T00:00:00Z");
  EXPECT_EQ(ParseMoment("2018-02-26 19:58:54", ""), "2018-02-26T19:58:54Z");
  EXPECT_EQ(ParseMoment("20180226", ""), "2018-02-26T00:00:00Z");
  EXPECT_EQ(ParseMoment("2018-02-26T19:58:54.25+02:00", ""), "2018-02-26T19:58:54.25+02:00");
  EXPECT_EQ(ParseMoment("26/02/2018 07.05", "DD/MM/YYYY HH.MM"), "2018-02-26T07:05:00Z");
  for (const char* wrong :
       {"2018-02-29", "2018-13-01", "2018-00-10", "2018-02-26 24:00:00", "2018-2-6", "26.02.2018",
        "2018-02-26T19:58:54", "2018-02-26 19:58:60", "2018-02-26 ", "0000-01-01", ""}) {
    EXPECT_FALSE(ParseMoment(wrong, "").has_value()) << wrong;
  }
  EXPECT_EQ(ParseMoment("2016-02-29", ""), "2016-02-29T00:00:00Z");
  EXPECT_FALSE(ParseMoment("2018-02-26", "YYYYMMDD").has_value());
  EXPECT_EQ(Evaluate("${day|date}"), "2018-02-26T00:00:00Z");
  EXPECT_EQ(Evaluate("${day|day:YYYY-MM-DD}"), "2018-02-26");
  EXPECT_THAT(Evaluate("${id|date}"), HasSubstr("column id is not a date"));
}

TEST_F(ExpressionTest, ConditionsCompareTextsNumbersAndDates) {
  EXPECT_EQ(Holds("origin == organic"), "yes");
  EXPECT_EQ(Holds("origin != 'organic'"), "no");
  EXPECT_EQ(Holds("origin in [paid, organic]"), "yes");
  EXPECT_EQ(Holds("origin not in [paid, \"organic\"]"), "no");
  EXPECT_EQ(Holds("origin is empty"), "no");
  EXPECT_EQ(Holds("origin is not empty"), "yes");
  EXPECT_EQ(Holds("amount > 9"), "yes");
  EXPECT_EQ(Holds("amount <= 10.5"), "yes");
  EXPECT_EQ(Holds("day < 2018-02-27"), "yes");
  EXPECT_EQ(Holds("${day|day} >= ${day}"), "yes");
  EXPECT_EQ(Holds("${account.name} == Acme"), "yes");
  fields_[2] = "";
  EXPECT_EQ(Holds("amount < 9"), "no");
  EXPECT_EQ(Holds("amount >= 9"), "no");
}

TEST_F(ExpressionTest, BrokenConditionsAreRefused) {
  for (const char* wrong :
       {"", "origin", "origin ==", "origin is", "origin is full", "origin in organic",
        "origin in [a, b", "origin not organic", "nothing == x", "origin ~ x", "origin == \"x"}) {
    EXPECT_THAT(Holds(wrong), HasSubstr("compile: ")) << wrong;
  }
}

}  // namespace
}  // namespace relais::cli
