// The score that server/domain/docs/worked_example.md computes by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/domain/calendar.h"
#include "server/domain/explain.h"
#include "server/domain/faults.h"
#include "server/domain/scoring.h"

namespace relais::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kDayOfFirst = 20'543;  // 2026-03-31

ScoringRule OnLead(const std::string& id, int64_t points, const std::string& filter) {
  return {.id = id,
          .dimension = ScoreDimension::kFit,
          .description = id,
          .lead_filter = filter,
          .touchpoint_filter = "",
          .points = points};
}

ScoringRule OnTouchpoints(const std::string& id, ScoreDimension dimension, int64_t points,
                          const std::string& kind, int64_t window, int64_t half_life) {
  return {.id = id,
          .dimension = dimension,
          .description = id,
          .lead_filter = "",
          .touchpoint_filter = "kind = " + kind,
          .points = points,
          .window_days = window,
          .half_life_days = half_life};
}

ScoringModel TheModel() {
  constexpr auto kEngagement = ScoreDimension::kEngagement;
  ScoringRule paper = OnTouchpoints("paper", kEngagement, 10, "DOWNLOAD_WHITE_PAPER", 90, 30);
  paper.repeat_limit_per_day = 1;
  paper.group = "content";
  ScoringRule webinar = OnTouchpoints("webinar", kEngagement, 12, "WEBINAR_ATTENDED", 90, 0);
  webinar.cap_points = 24;
  webinar.group = "content";
  ScoringRule demo = OnTouchpoints("demo", ScoreDimension::kIntent, 30, "DEMO_REQUEST", 60, 15);
  demo.cap_points = 40;
  return {
      .id = "worked",
      .display_name = "Worked example",
      .market = Market::kB2b,
      .rules = {OnLead("company", 12, "organization.headcount >= 50"),
                OnLead("title", 8, R"(fold(person.job_title):fold("director"))"), paper, webinar,
                demo, OnTouchpoints("left", kEngagement, -15, "EMAIL_UNSUBSCRIBED", 400, 0)},
      .threshold_points = 40,
      .fit_bounds = {20, 10, 5},
      .engagement_bounds = {30, 15, 5},
      .groups = {{.id = "content", .description = "Reads and listens", .cap_points = 20}},
      .warm_points = 20,
      .ready_points = 40};
}

class WorkedExampleTest : public ::testing::Test {
 protected:
  WorkedExampleTest() : model_(CompiledModel::Compile(TheModel()).value()) {
    lead_.person.job_title = "Director of Sales";
    lead_.organization.headcount = 120;
    Happened(-75, TouchpointKind::kDemoRequest);
    Happened(-30, TouchpointKind::kDownloadWhitePaper);
    Happened(-30, TouchpointKind::kDownloadWhitePaper);
    Happened(-21, TouchpointKind::kWebinarAttended);
    Happened(-15, TouchpointKind::kDemoRequest);
    Happened(0, TouchpointKind::kDownloadWhitePaper);
  }

  void Happened(int64_t day, TouchpointKind kind) {
    Touchpoint touchpoint;
    touchpoint.kind = kind;
    touchpoint.occur_time = {(kDayOfFirst + day) * kMicrosPerDay + kMicrosPerDay / 3};
    touchpoints_.push_back(touchpoint);
  }
  static Timestamp At(int64_t day) {
    return {(kDayOfFirst + day) * kMicrosPerDay + kMicrosPerDay / 2};
  }
  ScoreState StateAt(int64_t day) const { return EvidenceOf(*model_, touchpoints_, At(day)); }
  ScoreBreakdown On(int64_t day) const { return Evaluate(*model_, lead_, StateAt(day), At(day)); }
  static int64_t PointsOf(const ScoreBreakdown& score, std::string_view rule) {
    for (const ScorePart& part : score.parts) {
      if (part.rule->id == rule) return part.points;
    }
    return 0;
  }

  std::shared_ptr<const CompiledModel> model_;
  Lead lead_;
  std::vector<Touchpoint> touchpoints_;
};

TEST_F(WorkedExampleTest, TheDaysAreThoseOfThePage) {
  EXPECT_EQ(DayText(kDayOfFirst), "2026-03-31");
  EXPECT_EQ(DayText(kDayOfFirst - 75), "2026-01-15");
  EXPECT_EQ(DayText(kDayOfFirst - 30), "2026-03-01");
  EXPECT_EQ(DayText(kDayOfFirst - 21), "2026-03-10");
  EXPECT_EQ(DayText(kDayOfFirst - 15), "2026-03-16");
  EXPECT_EQ(DayText(kDayOfFirst + 30), "2026-04-30");
  EXPECT_EQ(DayText(kDayOfFirst + 45), "2026-05-15");
}

TEST_F(WorkedExampleTest, OnTheFirstDayTheGroupIsHeldAtItsCap) {
  const ScoreBreakdown score = On(0);
  EXPECT_EQ(PointsOf(score, "company"), 12);
  EXPECT_EQ(PointsOf(score, "title"), 8);
  EXPECT_EQ(PointsOf(score, "paper"), 15);
  EXPECT_EQ(PointsOf(score, "webinar"), 12);
  EXPECT_EQ(PointsOf(score, "demo"), 15);
  ASSERT_THAT(score.cuts, SizeIs(1));
  EXPECT_EQ(score.cuts[0].group->id, "content");
  EXPECT_EQ(score.cuts[0].uncapped_points, 27);
  EXPECT_EQ(score.cuts[0].points, -7);
  EXPECT_EQ(score.fit_score, 20);
  EXPECT_EQ(score.engagement_score, 20);
  EXPECT_EQ(score.intent_score, 15);
  EXPECT_EQ(score.score, 55);
  EXPECT_EQ(score.band, ScoreBand::kReady);
  EXPECT_EQ(score.grade, "A1");
  EXPECT_TRUE(score.marketing_qualified);
}

TEST_F(WorkedExampleTest, AMonthLaterItHasFaded) {
  const ScoreBreakdown score = On(30);
  EXPECT_EQ(PointsOf(score, "paper"), 7);
  EXPECT_EQ(PointsOf(score, "webinar"), 12);
  EXPECT_EQ(PointsOf(score, "demo"), 3);
  EXPECT_THAT(score.cuts, IsEmpty());
  EXPECT_EQ(score.score, 42);
  EXPECT_EQ(score.band, ScoreBand::kReady);
  EXPECT_EQ(score.grade, "A2");
}

TEST_F(WorkedExampleTest, SixWeeksLaterTheThresholdIsLostAndTwoThingsWouldBringItBack) {
  EXPECT_EQ(DecayTable(90, 30)[45], 23'170);
  EXPECT_EQ(DecayTable(90, 30)[75], 11'585);
  const ScoreBreakdown score = On(45);
  EXPECT_EQ(PointsOf(score, "paper"), 5);
  EXPECT_EQ(PointsOf(score, "webinar"), 12);
  EXPECT_EQ(PointsOf(score, "demo"), 1);
  EXPECT_EQ(score.score, 38);
  EXPECT_EQ(score.band, ScoreBand::kWarm);
  EXPECT_EQ(score.grade, "A2");
  EXPECT_FALSE(score.marketing_qualified);
  EXPECT_EQ(score.missing_points, 2);

  const ScoreOutlook outlook = OutlookOf(*model_, lead_, StateAt(45), touchpoints_, At(45));
  ASSERT_THAT(outlook.lifts, SizeIs(3));
  EXPECT_EQ(outlook.lifts[0].rule->id, "demo");
  EXPECT_EQ(outlook.lifts[0].points, 30);
  EXPECT_TRUE(outlook.lifts[0].reaches_threshold);
  EXPECT_EQ(outlook.lifts[1].rule->id, "paper");
  EXPECT_EQ(outlook.lifts[1].points, 3);
  EXPECT_TRUE(outlook.lifts[1].reaches_threshold);
  EXPECT_EQ(outlook.lifts[2].rule->id, "webinar");
  EXPECT_EQ(outlook.lifts[2].points, 3);
  ASSERT_THAT(outlook.path, SizeIs(1));
  EXPECT_EQ(outlook.path[0]->id, "demo");
}

TEST_F(WorkedExampleTest, TheOrderInWhichTouchpointsAreRecordedDoesNotMatter) {
  std::vector<Touchpoint> reversed(touchpoints_.rbegin(), touchpoints_.rend());
  EXPECT_EQ(EvidenceOf(*model_, reversed, At(0)), StateAt(0));
}

// The score changes by time exactly on the days that next_score_time names.
TEST_F(WorkedExampleTest, EveryChangeByTimeIsForetold) {
  std::optional<Timestamp> next = On(0).next_score_time;
  for (int64_t day = 1; day < 450; ++day) {
    const ScoreBreakdown before = On(day - 1);
    const ScoreBreakdown now = On(day);
    const bool changes = before.fit_score != now.fit_score ||
                         before.engagement_score != now.engagement_score ||
                         before.intent_score != now.intent_score;
    const Timestamp midnight = {(kDayOfFirst + day) * kMicrosPerDay};
    ASSERT_EQ(changes, next == midnight) << DayText(kDayOfFirst + day);
    if (changes) next = now.next_score_time;
  }
  EXPECT_FALSE(next.has_value());
}

TEST(ModelCheckTest, EveryMistakeInGroupsAndBandsIsNamedAtOnce) {
  ScoringModel model = TheModel();
  model.groups.push_back({.id = "content", .cap_points = 0});
  model.groups.push_back({.id = "nobody", .cap_points = 5});
  model.rules[2].group = "unknown";
  model.rules[4].group = "content";
  model.warm_points = 50;
  std::vector<std::string> fields;
  const Fault fault = *FaultOf(CompiledModel::Compile(model).status());
  for (const FieldViolation& violation : fault.fields) {
    fields.push_back(violation.field);
  }
  EXPECT_THAT(fields, ElementsAre("band_bounds.warm", "groups[1].group", "groups[1].cap_points",
                                  "rules[2].group", "rules[4].dimension", "groups[2].group"));
}

TEST(OutlookTest, ARuleNearlyCountsWhenOneConditionIsMissingOrItsEvidenceIsOld) {
  ScoringModel model = TheModel();
  model.rules[0].lead_filter = "organization.headcount >= 50 AND person.country = \"FR\"";
  auto compiled = CompiledModel::Compile(model).value();
  Lead lead;
  lead.organization.headcount = 60;
  Touchpoint old;
  old.kind = TouchpointKind::kWebinarAttended;
  old.occur_time = {(kDayOfFirst - 100) * kMicrosPerDay};
  const Timestamp now = {kDayOfFirst * kMicrosPerDay};
  const ScoreOutlook outlook =
      OutlookOf(*compiled, lead, EvidenceOf(*compiled, {old}, now), {old}, now);
  ASSERT_THAT(outlook.near, SizeIs(2));
  EXPECT_EQ(outlook.near.at("company").unmet_condition, "person.country = \"FR\"");
  EXPECT_EQ(outlook.near.at("webinar").last_day, kDayOfFirst - 100);
  EXPECT_EQ(outlook.near.at("webinar").reason,
            "its latest evidence is 100 days old; it looks back 90");
}

TEST(OutlookTest, WhatTheRulesCannotReachHasNoPath) {
  ScoringModel model = TheModel();
  model.threshold_points = 10'000;
  auto compiled = CompiledModel::Compile(model).value();
  EXPECT_THAT(OutlookOf(*compiled, Lead(), ScoreState(), {}, {}).path, IsEmpty());
}

}  // namespace
}  // namespace relais::domain
