// A model tried on history.
#include "server/domain/simulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/domain/event.h"

namespace relais::domain {
namespace {

using ::testing::SizeIs;

constexpr int64_t kDay = 20'000;
const LeadId kLead("01940000-0001-7000-8000-000000000001");

std::shared_ptr<const CompiledModel> ModelOf(const std::string& id, const std::string& kind,
                                             int64_t points, int64_t threshold) {
  ScoringModel model{.id = id,
                     .display_name = id,
                     .market = Market::kB2c,
                     .rules = {{.id = "r",
                                .dimension = ScoreDimension::kIntent,
                                .description = "r",
                                .lead_filter = "",
                                .touchpoint_filter = "kind = " + kind,
                                .points = points,
                                .window_days = 100}},
                     .threshold_points = threshold,
                     .fit_bounds = {3, 2, 1},
                     .engagement_bounds = {3, 2, 1}};
  return CompiledModel::Compile(model).value();
}

// The log of one lead, recorded long after all of it.
class Log {
 public:
  Log& Made(int64_t day) {
    Event& event = Add(EventType::kLeadCreated, NameOf(kLead), day);
    event.changes = {{"person.given_name", Value(), Value("Ines"), true}};
    return *this;
  }
  Log& Touched(int64_t day, TouchpointKind kind) {
    Event& event = Add(EventType::kTouchpointRecorded, NameOf(kLead, TouchpointId("t")), day);
    event.changes = {{"kind", Value(), Value(static_cast<int64_t>(kind)), false},
                     {"occur_time", Value(), Value(event.occur_time), false}};
    return *this;
  }
  Log& Closed(int64_t day, OpportunityState state) {
    Event& event = Add(EventType::kOpportunityClosed, "opportunities/o", day);
    event.changes = {{"state", Value(), Value(static_cast<int64_t>(state)), false}};
    return *this;
  }
  const std::vector<Event>& events() const { return events_; }

 private:
  Event& Add(EventType type, std::string subject, int64_t day) {
    Event& event = events_.emplace_back();
    event.number = static_cast<int64_t>(events_.size());
    event.type = type;
    event.subject = std::move(subject);
    event.lead = kLead;
    event.occur_time = {(kDay + day) * kMicrosPerDay + 1};
    event.record_time = {(kDay + 900) * kMicrosPerDay};
    return event;
  }
  std::vector<Event> events_;
};

constexpr Timestamp kEnd = {(kDay + 1000) * kMicrosPerDay};
Timestamp On(int64_t day) { return {(kDay + day) * kMicrosPerDay + 1}; }

class SimulationTest : public ::testing::Test {
 protected:
  SimulatedLead Run(const Log& log) { return Simulate(*demo_, *call_, kLead, log.events(), kEnd); }
  std::shared_ptr<const CompiledModel> demo_ = ModelOf("demo", "DEMO_REQUEST", 10, 20);
  std::shared_ptr<const CompiledModel> call_ = ModelOf("call", "CALL", 10, 20);
};

TEST_F(SimulationTest, ALeadCrossesWhenItsEvidenceHappenedAndNotWhenItWasRecorded) {
  const SimulatedLead lead = Run(Log()
                                     .Made(0)
                                     .Touched(3, TouchpointKind::kDemoRequest)
                                     .Touched(9, TouchpointKind::kDemoRequest)
                                     .Touched(5, TouchpointKind::kDemoRequest));
  EXPECT_TRUE(lead.exists);
  EXPECT_EQ(lead.candidate.cross_time, On(5)) << "two of three, in the order they happened";
  EXPECT_EQ(lead.candidate.peak, 30);
  EXPECT_FALSE(lead.active.cross_time.has_value());
}

TEST_F(SimulationTest, WhatComesAfterTheFirstWinForetellsNothing) {
  const SimulatedLead lead = Run(Log()
                                     .Made(0)
                                     .Touched(1, TouchpointKind::kDemoRequest)
                                     .Closed(2, OpportunityState::kWon)
                                     .Touched(3, TouchpointKind::kDemoRequest));
  EXPECT_EQ(lead.won_time, On(2));
  EXPECT_FALSE(lead.candidate.cross_time.has_value());
  EXPECT_EQ(lead.candidate.peak, 10);
}

TEST_F(SimulationTest, WhatWasLostWasNotWon) {
  EXPECT_FALSE(Run(Log().Made(0).Closed(2, OpportunityState::kLost)).won_time.has_value());
}

TEST_F(SimulationTest, AScoreMayRiseBecauseWhatCostsPointsFades) {
  ScoringModel model = demo_->model();
  model.rules.push_back({.id = "bounced",
                         .dimension = ScoreDimension::kEngagement,
                         .description = "b",
                         .lead_filter = "",
                         .touchpoint_filter = "kind = EMAIL_BOUNCED",
                         .points = -10,
                         .window_days = 7});
  auto candidate = CompiledModel::Compile(model).value();
  const Log log = Log()
                      .Made(0)
                      .Touched(0, TouchpointKind::kEmailBounced)
                      .Touched(1, TouchpointKind::kDemoRequest)
                      .Touched(2, TouchpointKind::kDemoRequest);
  const SimulatedLead lead = Simulate(*candidate, *call_, kLead, log.events(), kEnd);
  EXPECT_EQ(lead.candidate.cross_time, (Timestamp{(kDay + 8) * kMicrosPerDay}));
}

TEST_F(SimulationTest, ALeadOfAnotherMarketOrOfLaterDoesNotCount) {
  Simulation simulation(demo_->model(), call_->model());
  SimulatedLead other;
  other.exists = true;
  other.market = Market::kB2b;
  EXPECT_FALSE(simulation.Add(other));
  EXPECT_FALSE(simulation.Add(SimulatedLead()));
  other.market = Market::kUnspecified;
  EXPECT_TRUE(simulation.Add(other));
  EXPECT_EQ(simulation.Result().leads, 1);
}

// 20 leads of peak 0 to 19 times 2; those from 30 on cross, every second of these is won.
TEST_F(SimulationTest, FiguresAreCountedAsTheyAreDefined) {
  Simulation simulation(demo_->model(), call_->model());
  for (int64_t i = 0; i < 20; ++i) {
    SimulatedLead lead;
    lead.exists = true;
    lead.candidate.peak = 2 * i;
    if (i >= 15) lead.candidate.cross_time = On(i);
    if (i >= 15 && i % 2 == 1) lead.won_time = On(i + 10);
    if (i == 0) lead.won_time = On(50);
    simulation.Add(lead);
  }
  const SimulationResult result = simulation.Result();
  EXPECT_EQ(result.leads, 20);
  EXPECT_EQ(result.won, 4);
  const SimulatedFigures& figures = result.candidate;
  EXPECT_EQ(figures.crossed, 5);
  EXPECT_EQ(figures.crossed_and_won, 3);
  EXPECT_EQ(figures.precision_bp, 6000);
  EXPECT_EQ(figures.recall_bp, 7500);
  EXPECT_EQ(figures.median_days, 10);
  ASSERT_THAT(figures.deciles, SizeIs(10));
  EXPECT_EQ(figures.deciles[0].min_points, 36);
  EXPECT_EQ(figures.deciles[0].max_points, 38);
  EXPECT_EQ(figures.deciles[0].leads, 2);
  EXPECT_EQ(figures.deciles[0].won, 1);
  EXPECT_EQ(figures.deciles[0].lift_bp, 25'000) << "1 of 2 against 4 of 20";
  int64_t leads = 0, won = 0;
  for (const SimulatedGroup& group : figures.deciles) {
    leads += group.leads;
    won += group.won;
  }
  EXPECT_EQ(leads, 20);
  EXPECT_EQ(won, 4);
  EXPECT_EQ(figures.bands[0].band, ScoreBand::kReady);
  EXPECT_EQ(figures.bands[0].leads, 10) << "20 points and more";
  EXPECT_EQ(figures.bands[0].won, 3);
  // The other model tells nobody apart: it crosses nobody, and its tenths are all alike.
  EXPECT_EQ(result.active.crossed, 0);
  EXPECT_FALSE(result.active.precision_bp.has_value());
  EXPECT_EQ(result.active.recall_bp, 0);
}

TEST_F(SimulationTest, WinsAmongEqualsAreSpreadEvenly) {
  Simulation simulation(demo_->model(), call_->model());
  for (int i = 0; i < 100; ++i) {
    SimulatedLead lead;
    lead.exists = true;
    if (i < 30) lead.won_time = On(1);
    simulation.Add(lead);
  }
  for (const SimulatedGroup& group : simulation.Result().candidate.deciles) {
    EXPECT_EQ(group.won, 3);
    EXPECT_EQ(group.lift_bp, 10'000);
  }
}

}  // namespace
}  // namespace relais::domain
