#include "server/domain/routing.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "server/domain/concat.h"
#include "server/domain/filter_schema.h"
#include "tests/domain/samples.h"

namespace relais::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Timestamp kNow = At(2026, 1, 5);
constexpr char kTeam[] = "teams/01900000-0000-7000-8000-00000000aaaa";

Filter FilterOf(std::string_view text) {
  static const auto* const kSchema = new FilterSchema(SchemaOf<Lead>());
  FilterResult result = ParseFilter(text, *kSchema);
  EXPECT_TRUE(result.ok()) << text;
  return result.filter();
}

RoutingRule RuleOf(std::string id, int64_t position, std::string_view filter,
                   RoutingStrategy strategy = RoutingStrategy::kRoundRobin) {
  RoutingRule rule;
  rule.id = std::move(id);
  rule.position = position;
  rule.filter = FilterOf(filter);
  rule.team = kTeam;
  rule.strategy = strategy;
  return rule;
}

class People {
 public:
  User& Add(std::vector<std::string> teams = {kTeam}) {
    User user;
    user.id = UserId(Uuid(100 + static_cast<int>(users_.size())));
    user.teams = std::move(teams);
    users_.push_back(std::make_unique<User>(std::move(user)));
    return *users_.back();
  }
  std::vector<Colleague> Colleagues() const {
    std::vector<Colleague> colleagues;
    for (const auto& user : users_) {
      auto it = leads.find(NameOf(user->id));
      colleagues.push_back({user.get(), it == leads.end() ? 0 : it->second});
    }
    return colleagues;
  }

  std::map<std::string, int64_t> leads;  // open, by user

 private:
  std::vector<std::unique_ptr<User>> users_;
};

// Routes `count` leads one after the other and counts who got how many.
std::map<std::string, int64_t> Deal(const RoutingRule& rule, People& people, int count,
                                    Rotation& rotation) {
  std::map<std::string, int64_t> got;
  for (int i = 0; i < count; ++i) {
    auto decision =
        Route({rule}, LeadIn(Stage::kLead, i + 1), people.Colleagues(), {}, kNow, rotation);
    EXPECT_TRUE(decision.ok()) << decision.status();
    ++got[decision->owner];
    ++people.leads[decision->owner];
  }
  return got;
}

TEST(RoutingTest, TurnsGoRoundAndNobodyIsEverMoreThanOneAhead) {
  People people;
  for (int i = 0; i < 7; ++i) people.Add();
  Rotation rotation;
  std::map<std::string, int64_t> got;
  for (int i = 0; i < 500; ++i) {
    for (const auto& [user, count] : Deal(RuleOf("r", 1, ""), people, 1, rotation)) {
      got[user] += count;
    }
    if (got.size() < 7) continue;
    auto [least, most] = std::minmax_element(
        got.begin(), got.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    EXPECT_LE(most->second - least->second, 1);
  }
}

TEST(RoutingTest, WeightsAreShares) {
  People people;
  const std::string a = NameOf((people.Add().weight = 5, people.Colleagues()[0].user->id));
  people.Add().weight = 3;
  people.Add();
  Rotation rotation;
  auto got = Deal(RuleOf("r", 1, "", RoutingStrategy::kWeighted), people, 900, rotation);
  std::vector<int64_t> counts;
  for (const auto& [user, count] : got) counts.push_back(count);
  EXPECT_THAT(counts, ElementsAre(500, 300, 100));
  // Within a round, too: never more than one from what is due.
  int64_t first = 0;
  for (int i = 1; i <= 90; ++i) {
    auto one = Deal(RuleOf("r", 1, "", RoutingStrategy::kWeighted), people, 1, rotation);
    first += one.begin()->first == a;
    EXPECT_LE(std::abs(first * 9 - i * 5), 9) << i;
  }
}

TEST(RoutingTest, TheLeastLoadedGetsItAndEqualsTakeTurns) {
  People people;
  std::vector<std::string> names;
  for (int i = 0; i < 4; ++i) names.push_back(NameOf(people.Add().id));
  people.leads[names[0]] = 10;
  people.leads[names[1]] = 4;
  Rotation rotation;
  RoutingRule rule = RuleOf("r", 1, "", RoutingStrategy::kLeastLoaded);
  auto got = Deal(rule, people, 8, rotation);
  EXPECT_EQ(got[names[2]], 4);
  EXPECT_EQ(got[names[3]], 4);
  Deal(rule, people, 300, rotation);
  for (const std::string& name : names) EXPECT_NEAR(people.leads[name], 322 / 4, 1);
}

TEST(RoutingTest, WhoIsAwayOrFullOrElsewhereIsPassedOver) {
  People people;
  User& away = people.Add();
  away.absences = {{Concat(kNow.micros), Concat(kNow.micros + 1)}};
  User& full = people.Add();
  full.capacity = 2;
  people.leads[NameOf(full.id)] = 2;
  User& elsewhere = people.Add();
  elsewhere.territories = {"DE", "FR-Bretagne"};
  User& here = people.Add();
  here.territories = {"FR-Occitanie"};
  User& archived = people.Add();
  archived.archived = true;
  people.Add({});  // of another team

  RoutingRule rule = RuleOf("r", 1, "");
  rule.match_territory = true;
  Lead lead = LeadIn(Stage::kLead);
  lead.person.postal_address.country = "FR";
  lead.person.postal_address.region = "Occitanie";
  Rotation rotation;
  auto decision = Route({rule}, lead, people.Colleagues(), {}, kNow, rotation);
  ASSERT_TRUE(decision.ok()) << decision.status();
  EXPECT_EQ(decision->owner, NameOf(here.id));
  std::vector<std::string> skipped;
  for (const Candidate& candidate : decision->candidates) skipped.push_back(candidate.skipped);
  EXPECT_THAT(skipped, ElementsAre("ABSENT", "AT_CAPACITY", "OTHER_TERRITORY", ""));

  auto nobody = Route({rule}, lead, people.Colleagues(), {NameOf(here.id)}, kNow, rotation);
  EXPECT_EQ(ReasonOf(nobody.status()), "NO_ROUTE");
  ASSERT_EQ(PreconditionsIn(nobody.status()).size(), 1u);
  EXPECT_EQ(PreconditionsIn(nobody.status())[0].subject, "routingRules/r");
  EXPECT_THAT(PreconditionsIn(nobody.status())[0].description, HasSubstr("1 EXCLUDED"));
}

TEST(RoutingTest, TheFirstRuleThatMatchesAndHasSomebodyDecides) {
  People people;
  const std::string one = NameOf(people.Add().id);
  const std::string other = NameOf(people.Add({}).id);
  RoutingRule consumers = RuleOf("consumers", 1, "market = B2C");
  RoutingRule big = RuleOf("big", 2, "organization.headcount >= 1000");
  big.users = {other};
  big.team.clear();
  RoutingRule rest = RuleOf("rest", 3, "");
  Lead lead = LeadIn(Stage::kLead);
  Rotation rotation;
  EXPECT_EQ(Route({rest, big, consumers}, lead, people.Colleagues(), {}, kNow, rotation)->rule,
            "routingRules/rest@1");
  lead.organization.headcount = 5000;
  auto decision = Route({rest, big, consumers}, lead, people.Colleagues(), {}, kNow, rotation);
  EXPECT_EQ(decision->owner, other);
  // Nobody is free there: the next one is asked.
  decision = Route({rest, big, consumers}, lead, people.Colleagues(), {other}, kNow, rotation);
  EXPECT_EQ(decision->owner, one);
  auto none = Route({consumers}, lead, people.Colleagues(), {}, kNow, rotation);
  EXPECT_EQ(ReasonOf(none.status()), "NO_ROUTE");
  EXPECT_EQ(PreconditionsIn(none.status())[0].description, "no rule matches the lead");
}

TEST(RoutingTest, ADecisionThatWasWrittenDownNamesTheSameOwnerAgain) {
  People people;
  for (int i = 0; i < 5; ++i) people.Add().weight = i + 1;
  Rotation rotation;
  uint64_t random = 3;
  for (int i = 0; i < 300; ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    const auto strategy = static_cast<RoutingStrategy>(1 + (random >> 40) % 3);
    auto decision = Route({RuleOf("r", 1, "", strategy)}, LeadIn(Stage::kLead), people.Colleagues(),
                          {}, kNow, rotation);
    ASSERT_TRUE(decision.ok());
    ++people.leads[decision->owner];
    std::vector<FieldChange> changes = FactsOf(*decision);
    changes.push_back({"owner", Value(), Value(decision->owner), false});
    std::optional<RoutingDecision> read = DecisionIn(changes);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->candidates, decision->candidates);
    std::optional<size_t> chosen = Choose(read->strategy, read->candidates);
    ASSERT_TRUE(chosen.has_value());
    EXPECT_EQ(read->candidates[*chosen].user, decision->owner);
  }
  EXPECT_FALSE(DecisionIn({}).has_value());
}

TEST(RoutingTest, WithinATeamTheLeastLoadedMemberGetsIt) {
  People people;
  const std::string busy = NameOf(people.Add().id);
  const std::string idle = NameOf(people.Add().id);
  people.Add({});
  people.leads[busy] = 1;
  Rotation rotation;
  auto decision = RouteWithin(kTeam, LeadIn(Stage::kLead), people.Colleagues(), {}, kNow, rotation);
  ASSERT_TRUE(decision.ok());
  EXPECT_EQ(decision->owner, idle);
  EXPECT_EQ(decision->candidates.size(), 2u);
  auto nobody =
      RouteWithin(kTeam, LeadIn(Stage::kLead), people.Colleagues(), {busy, idle}, kNow, rotation);
  EXPECT_EQ(PreconditionsIn(nobody.status())[0].type, "TEAM");
}

TEST(RoutingTest, ARotationSurvivesItsText) {
  Rotation rotation;
  rotation.credits = {{"routingRules/a", {{"users/1", -3}, {"users/2", 3}}},
                      {"teams/b", {{"users/1", 0}}}};
  Rotation back;
  ASSERT_TRUE(ParseRotation(FormatRotation(rotation), back).ok());
  EXPECT_EQ(back, rotation);
  EXPECT_FALSE(ParseRotation("routingRules/a users/1", back).ok());
  EXPECT_FALSE(ParseRotation("routingRules/a users/1 many", back).ok());
}

}  // namespace
}  // namespace relais::domain
