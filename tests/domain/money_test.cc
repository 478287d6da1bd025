#include "server/domain/money.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <random>
#include <string>

namespace relais::domain {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

TEST(CurrencyTest, CodesInUseAreKnownAndWithdrawnOnesAreNot) {
  for (const char* code : {"EUR", "USD", "CHF", "JPY", "XAF", "XCG", "ZWG", "AED"}) {
    EXPECT_TRUE(IsCurrency(code)) << code;
  }
  for (const char* code : {"FRF", "DEM", "HRK", "ANG", "ZWL", "BGN", "SLL", "CUC"}) {
    EXPECT_FALSE(IsCurrency(code)) << code;
  }
}

TEST(CurrencyTest, NothingButThreeUpperCaseLettersIsACurrency) {
  for (std::string_view code :
       {"", "E", "EU", "eur", "Eur", "EURO", "EUR ", " EUR", "978", "XXX", "XTS", "\xE2\x82\xAC"}) {
    EXPECT_FALSE(IsCurrency(code)) << code;
  }
  EXPECT_FALSE(IsCurrency(std::string_view("EUR\0", 4)));
}

TEST(MoneyTest, NanosAndUnitsShareTheSignOfTheAmount) {
  EXPECT_EQ(*MoneyFromNanos("EUR", 1'500'000'000), (Money{"EUR", 1, 500'000'000}));
  EXPECT_EQ(*MoneyFromNanos("EUR", -1'500'000'000), (Money{"EUR", -1, -500'000'000}));
  EXPECT_EQ(*MoneyFromNanos("EUR", -1), (Money{"EUR", 0, -1}));
  EXPECT_EQ(*MoneyFromNanos("EUR", 0), (Money{"EUR", 0, 0}));
}

TEST(MoneyTest, TheWholeRangeOfUnitsIsReachedAndOneNanoMoreIsRefused) {
  absl::int128 highest = absl::int128(kMax) * kNanosPerUnit + (kNanosPerUnit - 1);
  absl::int128 lowest = absl::int128(kMin) * kNanosPerUnit - (kNanosPerUnit - 1);
  EXPECT_EQ(*MoneyFromNanos("EUR", highest), (Money{"EUR", kMax, 999'999'999}));
  EXPECT_EQ(*MoneyFromNanos("EUR", lowest), (Money{"EUR", kMin, -999'999'999}));
  EXPECT_EQ(MoneyFromNanos("EUR", highest + 1).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(MoneyFromNanos("EUR", lowest - 1).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(MoneyFromNanos("EUR", absl::Int128Max()).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(MoneyFromNanos("EUR", absl::Int128Min()).status().code(),
            absl::StatusCode::kOutOfRange);
}

TEST(MoneyTest, SumsAreExactAcrossTheSign) {
  EXPECT_EQ(*Add({"EUR", 0, 100'000'000}, {"EUR", 0, 200'000'000}), (Money{"EUR", 0, 300'000'000}));
  EXPECT_EQ(*Add({"EUR", 1, 0}, {"EUR", -2, -500'000'000}), (Money{"EUR", -1, -500'000'000}));
  EXPECT_EQ(*Add({"EUR", 0, 999'999'999}, {"EUR", 0, 1}), (Money{"EUR", 1, 0}));
}

TEST(MoneyTest, DifferentCurrenciesAreNeverAdded) {
  EXPECT_EQ(Add({"EUR", 1, 0}, {"USD", 1, 0}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Add({"EUR", 0, 0}, {"", 0, 0}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(MoneyTest, ASumBeyondTheRangeIsRefusedInsteadOfWrapping) {
  EXPECT_EQ(Add({"EUR", kMax, 0}, {"EUR", 1, 0}).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Add({"EUR", kMin, 0}, {"EUR", kMin, 0}).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(MoneyTest, TextDropsOnlyTheZerosThatSayNothing) {
  EXPECT_EQ(FormatMoney({"EUR", 1234, 500'000'000}), "1234.5 EUR");
  EXPECT_EQ(FormatMoney({"EUR", 1200, 0}), "1200 EUR");
  EXPECT_EQ(FormatMoney({"EUR", 0, -50'000'000}), "-0.05 EUR");
  EXPECT_EQ(FormatMoney({"EUR", 0, 1}), "0.000000001 EUR");
  EXPECT_EQ(FormatMoney({"EUR", kMin, -999'999'999}), "-9223372036854775808.999999999 EUR");
  EXPECT_EQ(FormatMoney({"EUR", 0, 0}), "0 EUR");
}

TEST(MoneyTest, EitherOrderOfAmountAndCurrencyIsRead) {
  EXPECT_EQ(*ParseMoney("1234.5 EUR"), (Money{"EUR", 1234, 500'000'000}));
  EXPECT_EQ(*ParseMoney("EUR 1234.50"), (Money{"EUR", 1234, 500'000'000}));
  EXPECT_EQ(*ParseMoney("  -0.05   USD "), (Money{"USD", 0, -50'000'000}));
  EXPECT_EQ(*ParseMoney("-0 EUR"), (Money{"EUR", 0, 0}));
  EXPECT_EQ(*ParseMoney("9223372036854775807.999999999 EUR"), (Money{"EUR", kMax, 999'999'999}));
  EXPECT_EQ(*ParseMoney("-9223372036854775808.999999999 EUR"), (Money{"EUR", kMin, -999'999'999}));
}

TEST(MoneyTest, ARefusalSaysWhichPartIsWrongAndNeverRepeatsIt) {
  struct Case {
    std::string text;
    const char* rule;
  };
  const Case cases[] = {
      {"", "separated by a space"},
      {"1234", "separated by a space"},
      {"EUR", "separated by a space"},
      {"1234 euro", "currency must be"},
      {"1234 eur", "currency must be"},
      {"EUR USD", "amount must be decimal digits"},
      {"1 2", "currency must be"},
      {"1,5 EUR", "decimal digits"},
      {"1. EUR", "decimal digits"},
      {".5 EUR", "decimal digits"},
      {"+1 EUR", "decimal digits"},
      {"1e9 EUR", "decimal digits"},
      {"0x10 EUR", "decimal digits"},
      {"- EUR", "decimal digits"},
      {"--1 EUR", "decimal digits"},
      {"1.5.5 EUR", "decimal digits"},
      {"NaN EUR", "currency must be"},
      {"\xD9\xA1\xD9\xA2 EUR", "decimal digits"},
      {"0.0000000001 EUR", "nine decimals"},
      {"-9223372036854775809 EUR", "64-bit units"},
      {"9223372036854775808 EUR", "64-bit units"},
      {std::string(1'000'000, '9') + " EUR", "64-bit units"},
      {"1 EUR EUR", "currency must be"},
      {std::string("1\0 EUR", 6), "decimal digits"},
  };
  for (const Case& c : cases) {
    absl::StatusOr<Money> got = ParseMoney(c.text);
    EXPECT_EQ(got.status().code(), absl::StatusCode::kInvalidArgument) << c.text.substr(0, 40);
    EXPECT_THAT(std::string(got.status().message()), HasSubstr(c.rule)) << c.text.substr(0, 40);
    EXPECT_LT(got.status().message().size(), 120u);
  }
  EXPECT_THAT(std::string(ParseMoney("5678 DOLLARS").status().message()),
              Not(::testing::AnyOf(HasSubstr("5678"), HasSubstr("DOLLARS"))));
}

TEST(MoneyTest, WhatIsWrittenIsReadBackTheSame) {
  std::mt19937_64 random(20260115);
  for (int i = 0; i < 20'000; ++i) {
    absl::int128 nanos = absl::int128(static_cast<int64_t>(random())) *
                         static_cast<int64_t>(random() % kNanosPerUnit + 1);
    absl::StatusOr<Money> money = MoneyFromNanos("CHF", nanos);
    ASSERT_TRUE(money.ok());
    EXPECT_EQ(money->total_nanos(), nanos);
    EXPECT_LT(std::abs(money->nanos), kNanosPerUnit);
    absl::StatusOr<Money> back = ParseMoney(FormatMoney(*money));
    ASSERT_TRUE(back.ok()) << FormatMoney(*money);
    EXPECT_EQ(*back, *money);
  }
}

}  // namespace
}  // namespace relais::domain
