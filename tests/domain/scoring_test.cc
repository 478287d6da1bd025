#include "server/domain/scoring.h"

#include <cmath>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/domain/samples.h"

namespace relais::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr int64_t kDay = 20'000;  // 2024-10-04

Timestamp Noon(int64_t day) { return {day * kMicrosPerDay + kMicrosPerDay / 2}; }

ScoringRule OnTouchpoints(std::string id, ScoreDimension dimension, std::string filter,
                          int64_t points, int64_t cap, int64_t per_day, int64_t window,
                          int64_t half_life) {
  return {.id = std::move(id),
          .dimension = dimension,
          .touchpoint_filter = std::move(filter),
          .points = points,
          .cap_points = cap,
          .repeat_limit_per_day = per_day,
          .window_days = window,
          .half_life_days = half_life};
}

ScoringRule OnLead(std::string id, std::string filter, int64_t points) {
  return {.id = std::move(id),
          .dimension = ScoreDimension::kFit,
          .lead_filter = std::move(filter),
          .points = points};
}

ScoringModel Example() {
  return {.id = "example",
          .market = Market::kB2b,
          .revision = 3,
          .rules = {OnLead("company", "organization.display_name:*", 10),
                    OnTouchpoints("page", ScoreDimension::kEngagement, "kind = PAGE_VIEW", 3, 0, 2,
                                  10, 2),
                    OnTouchpoints("demo", ScoreDimension::kIntent, "kind = DEMO_REQUEST", 30, 40, 0,
                                  5, 0),
                    OnTouchpoints("left", ScoreDimension::kEngagement, "kind = EMAIL_UNSUBSCRIBED",
                                  -8, 0, 1, 20, 0)},
          .threshold_points = 40,
          .fit_bounds = {30, 20, 10},
          .engagement_bounds = {30, 20, 3}};
}

std::shared_ptr<const CompiledModel> Compiled(ScoringModel model) {
  auto compiled = CompiledModel::Compile(std::move(model));
  EXPECT_TRUE(compiled.ok()) << compiled.status();
  return *compiled;
}

Touchpoint On(int64_t day, TouchpointKind kind) {
  Touchpoint touchpoint;
  touchpoint.kind = kind;
  touchpoint.occur_time = Noon(day);
  return touchpoint;
}

// ---- decay ------------------------------------------------------------------------------------

TEST(DecayTest, WithoutHalfLifeEveryDayOfTheWindowIsWorthAll) {
  EXPECT_THAT(DecayTable(3, 0), ElementsAre(65536, 65536, 65536, 65536));
}

TEST(DecayTest, ValuesHalveExactlyAndRoundToTheNearestBetween) {
  // 65536 / sqrt(2) = 46340.95, / sqrt(2)^3 = 23170.47, / sqrt(2)^5 = 11585.24.
  EXPECT_THAT(DecayTable(6, 2), ElementsAre(65536, 46341, 32768, 23170, 16384, 11585, 8192));
}

TEST(DecayTest, EveryTableIsTheRoundedPowerOfTwoAndNeverGrows) {
  for (int64_t half_life = 1; half_life <= kMaxHalfLifeDays; half_life += half_life < 60 ? 1 : 97) {
    std::vector<int64_t> table = DecayTable(kMaxWindowDays, half_life);
    ASSERT_THAT(table, SizeIs(kMaxWindowDays + 1));
    for (size_t age = 0; age < table.size(); ++age) {
      long double exact = 65536.0L * std::exp2(-static_cast<long double>(age) /
                                               static_cast<long double>(half_life));
      EXPECT_EQ(table[age], std::llround(exact)) << half_life << " " << age;
      if (age > 0) {
        EXPECT_LE(table[age], table[age - 1]);
      }
      if (static_cast<int64_t>(age) % half_life == 0 &&
          static_cast<int64_t>(age) / half_life < 16) {
        EXPECT_EQ(table[age], 65536 >> (static_cast<int64_t>(age) / half_life));
      }
    }
  }
}

// ---- the worked example -----------------------------------------------------------------------

// Day 0: three page views, of which two count. Day 2: one page view and a demo request. Seen from
// day 4: pages 3 x (2 x 16384 + 1 x 32768) / 65536 = 3 exactly; the demo is worth its whole 30; the
// company 10. Together 43: above the threshold of 40.
class WorkedExample : public ::testing::Test {
 protected:
  WorkedExample() {
    for (int i = 0; i < 3; ++i) AddTouchpoint(*model_, On(kDay, TouchpointKind::kPageView), state_);
    AddTouchpoint(*model_, On(kDay + 2, TouchpointKind::kPageView), state_);
    AddTouchpoint(*model_, On(kDay + 2, TouchpointKind::kDemoRequest), state_);
    lead_.organization.display_name = "Analytical Engines";
  }

  ScoreBreakdown On4() { return Evaluate(*model_, lead_, state_, Noon(kDay + 4)); }

  std::shared_ptr<const CompiledModel> model_ = Compiled(Example());
  Lead lead_;
  ScoreState state_;
};

TEST_F(WorkedExample, GivesTheSumsDoneByHand) {
  ScoreBreakdown score = On4();
  EXPECT_EQ(score.fit_score, 10);
  EXPECT_EQ(score.engagement_score, 3);
  EXPECT_EQ(score.intent_score, 30);
  EXPECT_EQ(score.score, 43);
  EXPECT_EQ(score.grade, "C1");  // fit 10 is C; engagement and intent 33 are 1
  EXPECT_TRUE(score.marketing_qualified);
  EXPECT_EQ(score.missing_points, 0);
}

TEST_F(WorkedExample, TellsEveryPartItsEvidenceAndWhatIsMissing) {
  ScoreBreakdown score = On4();
  ASSERT_THAT(score.parts, SizeIs(3));
  EXPECT_EQ(score.parts[0].rule->id, "demo");
  EXPECT_EQ(score.parts[1].rule->id, "company");
  EXPECT_THAT(score.parts[1].evidence, IsEmpty());
  EXPECT_EQ(score.parts[2].rule->id, "page");
  ASSERT_THAT(score.parts[2].evidence, SizeIs(2));
  EXPECT_EQ(score.parts[2].evidence[0].day, kDay + 2);
  EXPECT_EQ(score.parts[2].evidence[0].count, 1);
  EXPECT_EQ(score.parts[2].evidence[0].points, 1);  // 1.5 toward zero
  EXPECT_EQ(score.parts[2].evidence[1].day, kDay);
  EXPECT_EQ(score.parts[2].evidence[1].count, 2);
  ASSERT_THAT(score.missed, SizeIs(1));
  EXPECT_EQ(score.missed[0].rule->id, "left");
}

TEST_F(WorkedExample, NextDayThePagesAreWorthTwoAndThatIsForetold) {
  // 3 x (2 x 11585 + 23170) / 65536 = 2.12.
  EXPECT_EQ(On4().next_score_time, Timestamp{(kDay + 5) * kMicrosPerDay});
  EXPECT_EQ(Evaluate(*model_, lead_, state_, Noon(kDay + 5)).engagement_score, 2);
}

TEST_F(WorkedExample, TheDemoCountsUpToTheEndOfItsWindowAndNotADayLonger) {
  EXPECT_EQ(Evaluate(*model_, lead_, state_, Noon(kDay + 7)).intent_score, 30);
  EXPECT_EQ(Evaluate(*model_, lead_, state_, Noon(kDay + 8)).intent_score, 0);
  // By day 9 the pages are worth less than a point: 3 x (2 x 2896 + 5793) / 65536 = 0.53.
  ScoreBreakdown late = Evaluate(*model_, lead_, state_, Noon(kDay + 9));
  EXPECT_EQ(late.score, 10);
  EXPECT_FALSE(late.next_score_time.has_value());
}

TEST_F(WorkedExample, EvidenceOfATomorrowDoesNotCountYetButIsForetold) {
  ScoreState state;
  AddTouchpoint(*model_, On(kDay + 1, TouchpointKind::kDemoRequest), state);
  ScoreBreakdown today = Evaluate(*model_, lead_, state, Noon(kDay));
  EXPECT_EQ(today.score, 10);
  EXPECT_EQ(today.next_score_time, Timestamp{(kDay + 1) * kMicrosPerDay});
  EXPECT_EQ(Evaluate(*model_, lead_, state, Noon(kDay + 1)).score, 40);
}

TEST_F(WorkedExample, CapsHoldInBothDirections) {
  ScoreState state;
  for (int i = 0; i < 3; ++i) AddTouchpoint(*model_, On(kDay, TouchpointKind::kDemoRequest), state);
  ScoreBreakdown score = Evaluate(*model_, lead_, state, Noon(kDay));
  EXPECT_EQ(score.parts[0].points, 40);
  EXPECT_EQ(score.parts[0].uncapped_points, 90);
  ScoringModel negative = Example();
  negative.rules[2].points = -30;
  auto model = Compiled(negative);
  EXPECT_EQ(Evaluate(*model, lead_, state, Noon(kDay)).intent_score, -40);
}

TEST_F(WorkedExample, NegativeHalvesRoundTowardZero) {
  ScoringModel spec = Example();
  spec.rules[1].points = -3;
  auto model = Compiled(spec);
  ScoreState state;
  AddTouchpoint(*model, On(kDay, TouchpointKind::kPageView), state);
  EXPECT_EQ(Evaluate(*model, lead_, state, Noon(kDay + 2)).engagement_score, -1);  // -1.5
  EXPECT_EQ(Evaluate(*model, lead_, state, Noon(kDay + 4)).engagement_score, 0);   // -0.75
}

TEST_F(WorkedExample, RescoreWritesTheLeadAndMarksTheFirstCrossing) {
  lead_.score_state = state_.Format();
  ASSERT_TRUE(Rescore(lead_, *model_, Noon(kDay + 4)).ok());
  EXPECT_EQ(lead_.score, 43);
  EXPECT_EQ(lead_.fit_score, 10);
  EXPECT_EQ(lead_.engagement_score, 3);
  EXPECT_EQ(lead_.intent_score, 30);
  EXPECT_EQ(lead_.grade, "C1");
  EXPECT_EQ(lead_.score_model, "scoringModels/example@3");
  EXPECT_EQ(lead_.next_score_time, Timestamp{(kDay + 5) * kMicrosPerDay});
  EXPECT_EQ(lead_.milestones.marketing_qualified_time, Noon(kDay + 4));

  ASSERT_TRUE(Rescore(lead_, *model_, Noon(kDay + 30)).ok());
  EXPECT_EQ(lead_.score, 10);
  EXPECT_EQ(lead_.score_state, "");
  EXPECT_FALSE(lead_.next_score_time.has_value());
  EXPECT_EQ(lead_.milestones.marketing_qualified_time, Noon(kDay + 4));

  ASSERT_TRUE(
      ApplyTouchpoint(lead_, On(kDay + 40, TouchpointKind::kDemoRequest), *model_, Noon(kDay + 40))
          .ok());
  ASSERT_TRUE(Rescore(lead_, *model_, Noon(kDay + 40)).ok());
  EXPECT_EQ(lead_.score, 40);
  EXPECT_EQ(lead_.milestones.marketing_qualified_time, Noon(kDay + 4));
}

TEST_F(WorkedExample, ADamagedStateIsAFaultAndChangesNothing) {
  lead_.score_state = "demo=1:x";
  Lead before = lead_;
  EXPECT_EQ(Rescore(lead_, *model_, Noon(kDay)).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ApplyTouchpoint(lead_, On(kDay, TouchpointKind::kCall), *model_, Noon(kDay)).code(),
            absl::StatusCode::kInternal);
  EXPECT_EQ(lead_, before);
}

TEST_F(WorkedExample, ABandChangesWithGradeOrThreshold) {
  Lead a, b;
  a.grade = b.grade = "C1";
  a.score = 41;
  b.score = 43;
  EXPECT_FALSE(BandChanged(a, b, *model_));
  b.score = 39;
  EXPECT_TRUE(BandChanged(a, b, *model_));
  b.score = 43;
  b.grade = "C2";
  EXPECT_TRUE(BandChanged(a, b, *model_));
}

TEST(ApplyTouchpointTest, CountsAndMarksTheLatestTouchAndTheFirstContact) {
  auto model = Compiled(Example());
  Lead lead;
  for (auto [day, kind] :
       {std::pair{kDay + 3, TouchpointKind::kCall}, std::pair{kDay + 1, TouchpointKind::kEmailSent},
        std::pair{kDay + 5, TouchpointKind::kPageView},
        std::pair{kDay, TouchpointKind::kPageView}}) {
    ASSERT_TRUE(ApplyTouchpoint(lead, On(day, kind), *model, Noon(kDay + 5)).ok());
  }
  EXPECT_EQ(lead.counters.touchpoints, 4);
  EXPECT_EQ(lead.milestones.last_touch_time, Noon(kDay + 5));
  EXPECT_EQ(lead.milestones.first_contacted_time, Noon(kDay + 1));
  EXPECT_EQ(lead.score_state, Concat("page=", kDay, ":1,", kDay + 5, ":1"));
}

// ---- state ------------------------------------------------------------------------------------

TEST(ScoreStateTest, TheTextIsCanonicalWhateverTheOrderOfArrival) {
  auto model = Compiled(Example());
  std::vector<Touchpoint> touchpoints;
  for (int64_t day : {kDay, kDay + 3, kDay + 1, kDay, kDay + 3}) {
    touchpoints.push_back(On(day, TouchpointKind::kPageView));
    touchpoints.push_back(On(day, TouchpointKind::kDemoRequest));
  }
  std::mt19937 random(7);
  std::string text;
  for (int i = 0; i < 20; ++i) {
    ScoreState state;
    for (const Touchpoint& touchpoint : touchpoints) AddTouchpoint(*model, touchpoint, state);
    if (i == 0) text = state.Format();
    EXPECT_EQ(state.Format(), text);
    std::shuffle(touchpoints.begin(), touchpoints.end(), random);
  }
  EXPECT_EQ(text, "demo=20000:2,20001:1,20003:2;page=20000:2,20001:1,20003:2");
}

TEST(ScoreStateTest, EveryStateComesBackFromItsText) {
  std::mt19937 random(11);
  for (int i = 0; i < 300; ++i) {
    ScoreState state;
    for (unsigned n = random() % 20; n > 0; --n) {
      state.counts[Concat("rule_", random() % 4)][static_cast<int64_t>(random() % 1000) - 300] =
          1 + static_cast<int64_t>(random() % 50);
    }
    absl::StatusOr<ScoreState> back = ScoreState::Parse(state.Format());
    ASSERT_TRUE(back.ok()) << state.Format();
    EXPECT_EQ(*back, state);
  }
}

TEST(ScoreStateTest, TextsThatFormatDoesNotMakeAreRefused) {
  for (const char* text : {"x", "x=", "=1:1", "x=1", "x=1:", "x=:1", "x=1:0", "x=1:-1", "x=1:1;",
                           ";x=1:1", "x=1:1,", "x=2:1,1:1", "b=1:1;a=1:1", "x=1:1;x=2:1", "x= 1:1",
                           "x=01:1", "X=1:1", "x=1:9999999999", "x=99999999999999999999:1"}) {
    EXPECT_EQ(ScoreState::Parse(text).status().code(), absl::StatusCode::kInternal) << text;
  }
  EXPECT_TRUE(ScoreState::Parse("").ok());
}

TEST(ScoreStateTest, PruningKeepsExactlyWhatCanStillCount) {
  auto model = Compiled(Example());
  ScoreState state;
  state.counts["demo"] = {{kDay - 6, 1}, {kDay - 5, 1}, {kDay, 1}};
  state.counts["left"] = {{kDay - 21, 1}};
  state.counts["of_another_model"] = {{kDay - 401, 1}, {kDay - 400, 2}};
  Prune(*model, Noon(kDay), state);
  EXPECT_EQ(state.Format(),
            Concat("demo=", kDay - 5, ":1,", kDay, ":1;of_another_model=", kDay - 400, ":2"));
}

TEST(ScoreStateTest, ADayCountsUpToItsLimit) {
  auto model = Compiled(Example());
  ScoreState state;
  for (int i = 0; i < 9; ++i) AddTouchpoint(*model, On(kDay, TouchpointKind::kPageView), state);
  EXPECT_EQ(state.counts["page"][kDay], 2);
  state.counts["demo"][kDay] = kMaxCountPerDay;
  AddTouchpoint(*model, On(kDay, TouchpointKind::kDemoRequest), state);
  EXPECT_EQ(state.counts["demo"][kDay], kMaxCountPerDay);
}

// ---- models -----------------------------------------------------------------------------------

TEST(CompileTest, EveryMistakeOfAModelIsSaidAtOnce) {
  ScoringModel bad = Example();
  bad.fit_bounds = {10, 20, 30};
  bad.rules[0].lead_filter = "organization.name:*";
  bad.rules[1].touchpoint_filter = "occur_time > now() - 3d";
  bad.rules[2].id = "Demo";
  bad.rules[2].window_days = 401;
  bad.rules[3].lead_filter = "stage = LEAD";
  bad.rules[3].points = 0;
  bad.rules.push_back(bad.rules[0]);
  bad.rules[4].dimension = ScoreDimension::kUnspecified;
  bad.rules[4].half_life_days = 3;
  bad.rules[4].lead_filter = "score > 3";
  absl::Status status = CompiledModel::Compile(bad).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      FieldsIn(status),
      UnorderedElementsAre("grade_bounds.fit", "rules[0].lead_filter", "rules[1].touchpoint_filter",
                           "rules[2].rule", "rules[2].window_days", "rules[3].points",
                           "rules[3].touchpoint_filter", "rules[4].rule", "rules[4].dimension",
                           "rules[4].lead_filter", "rules[4].window_days"));
}

TEST(CompileTest, RulesMayNotLookAtWhatScoringOrKeepingWrites) {
  for (const char* path : {"score", "fit_score", "engagement_score", "intent_score", "grade",
                           "score_model", "next_score_time", "create_time", "update_time",
                           "milestones.marketing_qualified_time", "score_state"}) {
    EXPECT_EQ(LeadRuleSchema().Find(path), nullptr) << path;
  }
  EXPECT_NE(LeadRuleSchema().Find("person.job_title"), nullptr);
  EXPECT_EQ(TouchpointRuleSchema().Find("create_time"), nullptr);
  EXPECT_NE(TouchpointRuleSchema().Find("topic"), nullptr);
}

TEST(CompileTest, AModelWithoutRulesIsRefused) {
  ScoringModel empty = Example();
  empty.rules.clear();
  EXPECT_THAT(FieldsIn(CompiledModel::Compile(empty).status()), ElementsAre("rules"));
}

// ---- the passing of time ----------------------------------------------------------------------

bool SameSums(const ScoreBreakdown& a, const ScoreBreakdown& b) {
  return a.score == b.score && a.fit_score == b.fit_score &&
         a.engagement_score == b.engagement_score && a.intent_score == b.intent_score &&
         a.grade == b.grade;
}

// Random models (rules of one dimension with opposite signs included, which can cancel each other
// out) and random evidence, some of it of days to come: next_score_time is the first day on which a
// search through every day finds a difference.
TEST(NextScoreTimeTest, AgreesWithASearchThroughEveryDay) {
  std::mt19937 random(20260302);
  auto pick = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
  };
  int found = 0;
  int never = 0;
  for (int round = 0; round < 400; ++round) {
    ScoringModel spec = Example();
    spec.rules = {OnLead("company", "organization.display_name:*", 10)};
    for (int i = 0; i < 4; ++i) {
      int64_t points = pick(1, 12) * (pick(0, 2) == 0 ? -1 : 1);
      spec.rules.push_back(OnTouchpoints(
          Concat("rule_", i), pick(0, 1) ? ScoreDimension::kEngagement : ScoreDimension::kIntent,
          "kind = PAGE_VIEW", points, pick(0, 1) * pick(3, 20), 0, pick(1, 60),
          pick(0, 1) * pick(1, 30)));
    }
    // A pair that cancels out for as long as both last.
    if (round % 4 == 0) {
      spec.rules[2] = spec.rules[1];
      spec.rules[2].id = "rule_1";
      spec.rules[2].points = -spec.rules[1].points;
      spec.rules[2].window_days = std::max<int64_t>(1, spec.rules[1].window_days - pick(0, 9));
    }
    auto model = Compiled(spec);
    ScoreState state;
    for (int64_t n = pick(0, 8); n > 0; --n) {
      int64_t day = kDay + pick(-70, 3);
      for (int i = 0; i < 4; ++i) {
        if (pick(0, 1) == 0 || round % 4 == 0) state.counts[Concat("rule_", i)][day] += pick(1, 3);
      }
    }
    Lead lead;
    ScoreBreakdown today = Evaluate(*model, lead, state, Noon(kDay));
    std::optional<Timestamp> expected;
    for (int64_t day = kDay + 1; day < kDay + 80 && !expected.has_value(); ++day) {
      if (!SameSums(today, Evaluate(*model, lead, state, Noon(day)))) {
        expected = Timestamp{day * kMicrosPerDay};
      }
    }
    EXPECT_EQ(today.next_score_time, expected) << round << " " << state.Format();
    ++(expected.has_value() ? found : never);
  }
  EXPECT_GT(found, 100);
  EXPECT_GT(never, 20);
}

TEST(NextScoreTimeTest, ALeadWithALifeOfEvidenceIsScoredWithoutWalkingEveryDay) {
  ScoringModel spec = Example();
  spec.rules.clear();
  for (int i = 0; i < 20; ++i) {
    spec.rules.push_back(OnTouchpoints(Concat("rule_", i), ScoreDimension::kEngagement,
                                       "kind = PAGE_VIEW", 1, 5, 0, 400, 4000));
  }
  auto model = Compiled(spec);
  ScoreState state;
  for (int i = 0; i < 20; ++i) {
    for (int64_t day = kDay - 399; day <= kDay; ++day) state.counts[Concat("rule_", i)][day] = 9;
  }
  // Capped for more than a year: the first change is far off, and found.
  ScoreBreakdown score = Evaluate(*model, Lead{}, state, Noon(kDay));
  EXPECT_EQ(score.score, 100);
  ASSERT_TRUE(score.next_score_time.has_value());
  EXPECT_GT(DayOf(*score.next_score_time), kDay + 390);
}

TEST(ScoringPropertyTest, TheScoreIsTheSumOfItsPartsAndDependsOnTheDayOnly) {
  auto model = Compiled(Example());
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    ScoreState state;
    for (unsigned n = random() % 12; n > 0; --n) {
      Touchpoint touchpoint = On(kDay - static_cast<int64_t>(random() % 25),
                                 static_cast<TouchpointKind>(1 + random() % 25));
      AddTouchpoint(*model, touchpoint, state);
    }
    Lead lead;
    if (random() % 2) lead.organization.display_name = "x";
    ScoreBreakdown score = Evaluate(*model, lead, state, Noon(kDay));
    int64_t sum = 0;
    for (const ScorePart& part : score.parts) {
      EXPECT_NE(part.points, 0);
      sum += part.points;
    }
    EXPECT_EQ(score.score, sum);
    EXPECT_EQ(score.score, score.fit_score + score.engagement_score + score.intent_score);
    EXPECT_EQ(score.parts.size() + score.missed.size(), model->rules().size());
    EXPECT_EQ(score.missing_points, std::max<int64_t>(0, 40 - score.score));
    EXPECT_TRUE(SameSums(score, Evaluate(*model, lead, state, {kDay * kMicrosPerDay})));
    EXPECT_TRUE(SameSums(score, Evaluate(*model, lead, state, {(kDay + 1) * kMicrosPerDay - 1})));
    // Pruning is invisible.
    ScoreState pruned = state;
    Prune(*model, Noon(kDay), pruned);
    EXPECT_TRUE(SameSums(score, Evaluate(*model, lead, pruned, Noon(kDay))));
  }
}

}  // namespace
}  // namespace relais::domain
