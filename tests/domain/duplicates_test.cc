#include "server/domain/duplicates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace relais::domain {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;

DuplicateProfile Ana() {
  return {.given_name = "ana",
          .family_name = "featherstone",
          .organization = "harbour instruments",
          .domain = "harbour.example",
          .emails = {"ana.featherstone@harbour.example"},
          .phones = {"+33612345678"},
          .birth_date = "1980-04-17",
          .street = "12 rue des lilas",
          .locality = "nantes",
          .postal_code = "44000"};
}

// A finder of two records among a million, each of whose terms two of them hold.
class Pair {
 public:
  Pair(const DuplicateProfile& a, const DuplicateProfile& b) {
    finder_.SetPopulation(1'000'000);
    finder_.Add(a);
    finder_.Add(b);
  }
  void Common(DuplicateFinder::Term term, const std::string& value, int64_t records) {
    finder_.SetFrequency(term, value, records);
  }
  DuplicateComparison Compare() const { return finder_.Compare(0, 1); }
  std::vector<DuplicateReason> For() const {
    std::vector<DuplicateReason> reasons;
    for (const DuplicateEvidence& evidence : Compare().evidence) {
      if (evidence.weight > 0) reasons.push_back(evidence.reason);
    }
    return reasons;
  }

 private:
  DuplicateFinder finder_;
};

TEST(DuplicateScoreTest, IsTheProbabilityThatTheWeightStandsFor) {
  EXPECT_EQ(DuplicateScore(0), 500);
  EXPECT_EQ(DuplicateScore(100), 666);
  EXPECT_EQ(DuplicateScore(-100), 334);
  EXPECT_EQ(DuplicateScore(2000), 999);
  EXPECT_EQ(DuplicateScore(-5000), 1);
  for (int weight = -2500; weight < 2500; ++weight) {
    EXPECT_LE(DuplicateScore(weight), DuplicateScore(weight + 1)) << weight;
  }
}

TEST(DuplicatesTest, EveryFieldThatAgreesIsNamedTheWeightiestFirst) {
  const DuplicateComparison comparison = Pair(Ana(), Ana()).Compare();
  EXPECT_GE(comparison.score, 999);
  std::vector<DuplicateReason> reasons;
  for (const DuplicateEvidence& evidence : comparison.evidence) {
    EXPECT_EQ(evidence.likeness, Likeness::kExact);
    reasons.push_back(evidence.reason);
  }
  EXPECT_THAT(reasons,
              testing::UnorderedElementsAre(
                  DuplicateReason::kGivenName, DuplicateReason::kFamilyName,
                  DuplicateReason::kOrganization, DuplicateReason::kDomain, DuplicateReason::kEmail,
                  DuplicateReason::kPhone, DuplicateReason::kBirthDate, DuplicateReason::kStreet,
                  DuplicateReason::kLocality, DuplicateReason::kPostalCode));
  EXPECT_TRUE(std::is_sorted(comparison.evidence.begin(), comparison.evidence.end(),
                             [](auto& a, auto& b) { return a.weight > b.weight; }));
}

TEST(DuplicatesTest, ComparisonIsSymmetric) {
  DuplicateProfile other = Ana();
  other.given_name = "anna";
  other.phones = {"0612345679"};
  other.street = "rue de lilas 12";
  other.organization = "harbor instruments ltd";
  EXPECT_EQ(Pair(Ana(), other).Compare().weight, Pair(other, Ana()).Compare().weight);
}

TEST(DuplicatesTest, ARareNameWeighsMoreThanACommonOne) {
  const DuplicateProfile smith = {.given_name = "john", .family_name = "smith"};
  Pair common(smith, smith);
  common.Common(DuplicateFinder::Term::kName, "smith", 9'000);
  common.Common(DuplicateFinder::Term::kName, "john", 12'000);
  const DuplicateProfile rare = {.given_name = "ottoline", .family_name = "featherstonehaugh"};
  EXPECT_LT(common.Compare().score, kDuplicateScore);
  EXPECT_GT(Pair(rare, rare).Compare().score, common.Compare().score);
}

TEST(DuplicatesTest, MisspeltSwappedAndShortenedNamesAreStillAlike) {
  const DuplicateProfile base = {
      .given_name = "robert", .family_name = "mackenzie", .birth_date = "1971-03-09"};
  auto with = [&](const char* given, const char* family) {
    DuplicateProfile other = base;
    other.given_name = given;
    other.family_name = family;
    return Pair(base, other).Compare();
  };
  EXPECT_GE(with("bob", "mackenzie").score, 900);
  EXPECT_GE(with("robert", "mackenize").score, 900);
  EXPECT_GE(with("mackenzie", "robert").score, 900);
  EXPECT_GE(with("r", "mackenzie").score, 900);
  EXPECT_LT(with("dorothy", "okonkwo").score, 100);
  EXPECT_EQ(with("bob", "mackenzie").evidence.back().likeness, Likeness::kNickname);
}

TEST(DuplicatesTest, ParentAndChildOfOneNameAndHouseAreTwo) {
  DuplicateProfile parent = {.given_name = "james",
                             .family_name = "mackenzie",
                             .birth_date = "1951-03-09",
                             .street = "12 rue des lilas",
                             .locality = "nantes"};
  DuplicateProfile child = parent;
  child.given_name = "fiona";
  child.birth_date = "1984-11-23";
  Pair pair(parent, child);
  pair.Common(DuplicateFinder::Term::kName, "mackenzie", 900);
  pair.Common(DuplicateFinder::Term::kPlace, "nantes", 5'000);
  EXPECT_LT(pair.Compare().score, kDuplicateScore);
}

TEST(DuplicatesTest, ColleaguesAreNotDuplicates) {
  DuplicateProfile one = {.given_name = "ana",
                          .family_name = "lopez",
                          .organization = "harbour instruments",
                          .domain = "harbour.example",
                          .phones = {"+33240000000"},
                          .street = "1 quai de la fosse"};
  DuplicateProfile two = one;
  two.given_name = "bruno";
  two.family_name = "kowalski";
  EXPECT_LT(Pair(one, two).Compare().score, kDuplicateScore);
}

TEST(DuplicatesTest, AMailboxOfManyIsNobodys) {
  DuplicateProfile one = {.given_name = "ana", .emails = {"info@harbour.example"}};
  DuplicateProfile two = {.given_name = "bruno", .emails = {"info@harbour.example"}};
  Pair few(one, two), many(one, two);
  many.Common(DuplicateFinder::Term::kEmail, "info@harbour.example", 400);
  EXPECT_GE(few.Compare().weight - many.Compare().weight, 600);
  EXPECT_LT(many.Compare().score, kDuplicateScore);
}

TEST(DuplicatesTest, CompaniesAreComparedByNameAddressAndPhone) {
  DuplicateProfile one = {.organization = "boys & girls clubs of chicago - r.e. woods",
                          .phones = {"+13128475172"},
                          .street = "2950 w 25th st"};
  DuplicateProfile two = {.organization = "boys & girls clubs general r. e. wood",
                          .phones = {"8475172"},
                          .street = "2950 west 25th street"};
  Pair pair(one, two);
  EXPECT_GE(pair.Compare().score, 950);
  EXPECT_THAT(pair.For(),
              testing::UnorderedElementsAre(DuplicateReason::kOrganization, DuplicateReason::kPhone,
                                            DuplicateReason::kStreet));
}

TEST(DuplicatesTest, WhatIsUnknownSaysNothing) {
  const DuplicateComparison comparison = Pair({}, Ana()).Compare();
  EXPECT_THAT(comparison.evidence, IsEmpty());
  EXPECT_LT(comparison.score, 10);
}

TEST(DuplicatesTest, BytesThatAreNoTextAreHarmless) {
  std::mt19937 random(7);
  DuplicateFinder finder;
  for (int i = 0; i < 300; ++i) {
    auto text = [&] {
      std::string bytes(random() % 90, ' ');
      for (char& c : bytes)
        c = static_cast<char>(random() % 3 == 0 ? random() : '0' + random() % 60);
      return bytes;
    };
    finder.Add({text(),
                text(),
                text(),
                text(),
                {text(), text()},
                {text()},
                text(),
                text(),
                text(),
                text(),
                text()});
  }
  for (const DuplicatePair& pair : finder.Sweep()) EXPECT_LT(pair.first, pair.second);
}

// Copies of people with slips in them, among people who are all different.
struct People {
  explicit People(int count) {
    std::mt19937 random(11);
    auto word = [&](size_t length) {
      std::string text;
      for (size_t i = 0; i < length; ++i) {
        text += i % 2 == 0 ? "bcdfglmnprst"[random() % 12] : "aeiou"[random() % 5];
      }
      return text;
    };
    for (int i = 0; i < count; ++i) {
      DuplicateProfile person = {.given_name = word(4 + random() % 3),
                                 .family_name = word(6 + random() % 4),
                                 .emails = {word(8) + "@mail.example"},
                                 .birth_date = std::to_string(1940 + random() % 60) + "-0" +
                                               std::to_string(1 + random() % 9) + "-1" +
                                               std::to_string(random() % 10)};
      profiles.push_back(person);
      if (i % 5 != 0) continue;
      std::swap(person.family_name[1], person.family_name[2]);
      if (i % 2 == 0) person.emails.clear();
      profiles.push_back(person);
      pairs.push_back({profiles.size() - 2, profiles.size() - 1});
    }
  }
  std::vector<DuplicateProfile> profiles;
  std::vector<std::pair<size_t, size_t>> pairs;
};

TEST(DuplicateSweepTest, FindsTheCopiesAndHardlyAnythingElse) {
  const People people(2'000);
  DuplicateFinder finder;
  for (const DuplicateProfile& profile : people.profiles) finder.Add(profile);
  std::vector<int> told;
  const std::vector<DuplicatePair> found = finder.Sweep([&](int done) {
    told.push_back(done);
    return true;
  });
  std::set<std::pair<size_t, size_t>> pairs;
  for (const DuplicatePair& pair : found) {
    pairs.emplace(pair.first, pair.second);
    EXPECT_GE(pair.comparison.score, kDuplicateScore);
  }
  for (const auto& copy : people.pairs) EXPECT_TRUE(pairs.contains(copy)) << copy.first;
  // Among random people a few are alike by accident.
  EXPECT_LE(pairs.size(), people.pairs.size() * 101 / 100);
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_THAT(told, Each(testing::AllOf(testing::Ge(0), testing::Le(1000))));
}

TEST(DuplicateSweepTest, EndsWhenItIsTold) {
  const People people(200);
  DuplicateFinder finder;
  for (const DuplicateProfile& profile : people.profiles) finder.Add(profile);
  EXPECT_THAT(finder.Sweep([](int) { return false; }), IsEmpty());
}

TEST(DuplicateSweepTest, WhoIsLikeAThirdIsReportedWithIt) {
  // The first and the last have nothing in common but the one in the middle.
  DuplicateProfile first = {.given_name = "zsofia", .emails = {"zsofia.v@example.com"}};
  DuplicateProfile middle = {.given_name = "zsofia",
                             .family_name = "vandermeer",
                             .emails = {"zsofia.v@example.com"},
                             .birth_date = "1990-02-03"};
  DuplicateProfile last = {.family_name = "vandermeer", .birth_date = "1990-02-03"};
  DuplicateFinder finder;
  for (const DuplicateProfile& profile : {first, middle, last}) finder.Add(profile);
  for (const DuplicateProfile& profile : People(60).profiles) finder.Add(profile);
  std::vector<std::pair<size_t, size_t>> pairs;
  for (const DuplicatePair& pair : finder.Sweep()) {
    if (pair.second > 2) continue;
    pairs.emplace_back(pair.first, pair.second);
    if (pair.first == 0 && pair.second == 2) {
      EXPECT_EQ(pair.comparison.evidence.front().reason, DuplicateReason::kCommonMatch);
      EXPECT_EQ(pair.comparison.score, kDuplicateScore);
    }
  }
  EXPECT_THAT(pairs, ElementsAre(std::pair(0u, 1u), std::pair(0u, 2u), std::pair(1u, 2u)));
}

TEST(DuplicateSweepTest, AKeyThatAllShareCostsNoQuadraticTime) {
  // Three thousand of one name, town and birth date: all pairs would be 4.5 million.
  DuplicateFinder finder;
  for (int i = 0; i < 3'000; ++i) {
    finder.Add({.given_name = "maria",
                .family_name = "garcia",
                .emails = {"m" + std::to_string(i * 7919) + "@example.com"},
                .birth_date = "1980-01-01",
                .locality = "madrid"});
  }
  EXPECT_LT(finder.Sweep().size(), 100'000u);
}

TEST(TextLikenessTest, CountsEdits) {
  EXPECT_EQ(Edits("martha", "marhta", 3), 1);
  EXPECT_EQ(Edits("kitten", "sitting", 3), 3);
  EXPECT_EQ(Edits("kitten", "sitting", 2), 3);
  EXPECT_EQ(Edits("", "ab", 2), 2);
  EXPECT_EQ(Edits("same", "same", 0), 0);
}

TEST(TextLikenessTest, JaroWinklerIsThatOfThePapers) {
  // W. Winkler's published examples: 0.961, 0.840, 0.813.
  EXPECT_NEAR(JaroWinkler("martha", "marhta"), 961, 2);
  EXPECT_NEAR(JaroWinkler("dwayne", "duane"), 840, 2);
  EXPECT_NEAR(JaroWinkler("dixon", "dicksonx"), 813, 2);
  EXPECT_EQ(JaroWinkler("", "x"), 0);
}

}  // namespace
}  // namespace relais::domain
