// Scores as they are kept: under the model in force, as days pass, and the same as the log tells.
// One suite, on SQLite and on PostgreSQL.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/domain/builtin.h"
#include "server/domain/concat.h"
#include "server/domain/replay.h"
#include "server/domain/revisions.h"
#include "server/workers/score_keeper.h"
#include "tests/storage/commands_fixture.h"
#include "tests/storage/store_fixture.h"

namespace relais::testing {
namespace {

using domain::EventType;
using domain::Lead;
using domain::LeadId;
using domain::Market;
using domain::OperationState;
using domain::ScoringModel;
using domain::TouchpointKind;
using ::testing::IsEmpty;

// Other rules than those that are shipped, with a group, and evidence that no shipped rule keeps.
ScoringModel OtherModel() {
  ScoringModel model = domain::BuiltInConfig().model(Market::kB2b).model();
  for (domain::ScoringRule& rule : model.rules) {
    if (rule.id == "page_view" || rule.id == "download") rule.group = "reading";
    if (rule.id == "demo_request") rule.half_life_days = 10;
  }
  model.groups = {{.id = "reading", .description = "Reads", .cap_points = 12}};
  model.rules.push_back({.id = "notes",
                         .dimension = domain::ScoreDimension::kIntent,
                         .description = "Somebody wrote a note",
                         .lead_filter = "",
                         .touchpoint_filter = "kind = NOTE OR kind = CUSTOM",
                         .points = 9,
                         .cap_points = 30,
                         .window_days = 40,
                         .half_life_days = 9});
  model.threshold_points = 45;
  return model;
}

class ScoresTest : public ::testing::TestWithParam<Engine> {
 protected:
  ScoresTest() : database_(GetParam()), store_(database_.url(), clock_, ids_) {}

  void Activate(const ScoringModel& model) {
    commands::SaveScoringModelCommand save;
    save.name.name = "b2b";
    save.values = model;
    save.paths = {"rules", "groups", "threshold_points", "grade_bounds", "band_bounds"};
    auto saved = store_.Run(save);
    ASSERT_TRUE(saved.ok()) << saved.status();
    commands::ActivateScoringModelCommand activate;
    activate.name.name = "b2b";
    auto activated = store_.Run(activate);
    ASSERT_TRUE(activated.ok()) << activated.status();
    EXPECT_EQ(activated->value.state, domain::RevisionState::kActive);
  }

  domain::Operation StartRescoring() {
    auto operation = store_.Run(commands::RescoreLeadsCommand());
    EXPECT_TRUE(operation.ok()) << operation.status();
    return operation->value;
  }
  domain::Operation OperationOf(const domain::OperationId& id) {
    domain::Operation operation;
    EXPECT_TRUE(store_
                    .Read([&](storage::ReadTxn& tx) -> absl::Status {
                      auto found = tx.GetOperation(id);
                      if (!found.ok()) return found.status();
                      operation = **found;
                      return absl::OkStatus();
                    })
                    .ok());
    return operation;
  }

  // Every lead's stored score against the one that the log gives, under the rules that it names, at
  // `now`. Answers how many leads differ.
  int Differences(domain::Timestamp now) {
    std::map<std::string, std::vector<domain::Event>> events;
    for (domain::Event& event : store_.AllEvents()) {
      if (!event.lead.empty()) events[event.lead.value].push_back(std::move(event));
    }
    int differences = 0;
    EXPECT_TRUE(store_
                    .Read([&](storage::ReadTxn& tx) -> absl::Status {
                      auto leads = tx.ListLeads({.limit = 1'000'000});
                      if (!leads.ok()) return leads.status();
                      for (const Lead& lead : *leads) {
                        const domain::CompiledModel* model =
                            tx.config().FindModel(lead.score_model);
                        EXPECT_NE(model, nullptr) << lead.score_model;
                        auto replayed = domain::ReplayLead(lead.id, events[lead.id.value]);
                        EXPECT_TRUE(replayed.ok()) << replayed.status();
                        domain::ScoreState then;
                        for (const domain::Event& event : events[lead.id.value]) {
                          if (event.type != EventType::kTouchpointRecorded) continue;
                          domain::Touchpoint touchpoint;
                          domain::Apply<domain::Touchpoint>(event.changes, touchpoint);
                          domain::AddTouchpoint(*model, touchpoint, then);
                        }
                        domain::Prune(*model, now, then);
                        const domain::ScoreBreakdown score =
                            domain::Evaluate(*model, *replayed, then, now);
                        const bool same = score.score == lead.score && score.grade == lead.grade &&
                                          score.band == lead.score_band &&
                                          score.fit_score == lead.fit_score &&
                                          score.engagement_score == lead.engagement_score &&
                                          score.intent_score == lead.intent_score &&
                                          score.next_score_time == lead.next_score_time;
                        EXPECT_TRUE(same) << lead.id.value << ": stored " << lead.score << " "
                                          << lead.grade << ", from the log " << score.score << " "
                                          << score.grade << " under " << lead.score_model;
                        if (!same) ++differences;
                      }
                      return absl::OkStatus();
                    })
                    .ok());
    return differences;
  }

  FakeClock clock_;
  CountingIds ids_;
  TestDatabase database_;
  TestStore store_;
};

TEST_P(ScoresTest, AWriteJudgesByTheModelInForceWithAllEvidenceOfTheLead) {
  commands::CaptureCommand capture = CaptureOf("a@example.com");
  capture.lead.market = Market::kB2b;
  capture.touchpoint.kind = TouchpointKind::kNote;
  const LeadId lead = store_.Run(capture)->value.lead.id;
  EXPECT_EQ(store_.GetLead(lead)->intent_score, 0);
  Activate(OtherModel());
  EXPECT_EQ(store_.GetLead(lead)->score_model, "scoringModels/b2b@1") << "nothing happened to it";
  commands::RecordTouchpointCommand record;
  record.lead = lead;
  record.touchpoint.kind = TouchpointKind::kCustom;
  ASSERT_TRUE(store_.Run(record).ok());
  EXPECT_EQ(store_.GetLead(lead)->score_model, "scoringModels/b2b@2");
  EXPECT_EQ(store_.GetLead(lead)->intent_score, 18) << "the note of before counts as well";
}

TEST_P(ScoresTest, ALeadThatChangesItsMarketIsJudgedAnewByAllThatItDid) {
  ScoringModel model = OtherModel();
  Activate(model);
  commands::CaptureCommand capture = CaptureOf("a@example.com");
  capture.lead.market = Market::kB2c;
  capture.touchpoint.kind = TouchpointKind::kNote;
  const LeadId lead = store_.Run(capture)->value.lead.id;
  EXPECT_EQ(store_.GetLead(lead)->intent_score, 0);
  commands::UpdateLeadCommand update;
  update.lead = lead;
  update.values.market = Market::kB2b;
  update.paths = {"market"};
  ASSERT_TRUE(store_.Run(update).ok());
  EXPECT_EQ(store_.GetLead(lead)->intent_score, 9);
  EXPECT_EQ(Differences(clock_.Now()), 0);
}

TEST_P(ScoresTest, AScoreThatIsDueIsRefreshedAndOnlyANewBandIsAnEvent) {
  commands::CaptureCommand capture = CaptureOf("a@example.com");
  capture.touchpoint.kind = TouchpointKind::kPageView;
  const LeadId lead = store_.Run(capture)->value.lead.id;
  const Lead first = *store_.GetLead(lead);
  ASSERT_TRUE(first.next_score_time.has_value());
  const size_t events = store_.AllEvents().size();
  workers::ScoreKeeper keeper(*store_, domain::TenantId("default"), std::chrono::hours(1));

  ASSERT_TRUE(keeper.DrainForTest().ok());
  EXPECT_EQ(*store_.GetLead(lead), first) << "it is not due yet";

  clock_.Advance(first.next_score_time->micros - clock_.Now().micros);
  ASSERT_TRUE(keeper.DrainForTest().ok());
  const Lead second = *store_.GetLead(lead);
  EXPECT_LT(second.score, first.score);
  EXPECT_EQ(second.revision, first.revision);
  EXPECT_EQ(second.update_time, first.update_time);
  EXPECT_EQ(store_.AllEvents().size(), events) << "grade and band are what they were";

  // A demonstration makes it READY; as that fades, the band goes, and this is told.
  commands::RecordTouchpointCommand record;
  record.lead = lead;
  record.touchpoint.kind = TouchpointKind::kDemoRequest;
  ASSERT_TRUE(store_.Run(record).ok());
  const Lead warm = *store_.GetLead(lead);
  ASSERT_EQ(warm.score_band, domain::ScoreBand::kWarm);
  for (int day = 0; day < 60; ++day) {
    clock_.AdvanceDays(1);
    ASSERT_TRUE(keeper.DrainForTest().ok());
    ASSERT_EQ(Differences(clock_.Now()), 0) << "day " << day;
  }
  EXPECT_EQ(store_.GetLead(lead)->score_band, domain::ScoreBand::kCurious);
  const std::vector<domain::Event> all = store_.AllEvents();
  EXPECT_EQ(all.back().type, EventType::kLeadRescored);
  EXPECT_EQ(all.back().trigger, "RefreshScores");
  EXPECT_EQ(all.back().rule_version, "scoringModels/b2b@1");
  EXPECT_LT(all.size(), events + 2 + 8) << "a change of the score alone is no event";
}

TEST_P(ScoresTest, EveryStoredScoreIsTheOneThatTheLogGives) {
  for (uint64_t seed : {1, 2, 3}) {
    RandomHistory history(store_, clock_, seed, 40);
    history.Run(150);
    Activate(seed == 2 ? OtherModel() : domain::BuiltInConfig().model(Market::kB2b).model());
    history.Run(100);
    EXPECT_THAT(history.Violations(), IsEmpty());
  }
  workers::ScoreKeeper keeper(*store_, domain::TenantId("default"), std::chrono::hours(1));
  ASSERT_TRUE(keeper.DrainForTest().ok());
  EXPECT_EQ(Differences(clock_.Now()), 0);
  StartRescoring();
  ASSERT_TRUE(keeper.DrainForTest().ok());
  EXPECT_EQ(Differences(clock_.Now()), 0);
  for (const Lead& lead : store_.AllLeads()) {
    EXPECT_TRUE(lead.score_model == "scoringModels/b2b@4" ||
                lead.score_model == "scoringModels/b2c@1")
        << lead.score_model;
  }
}

// What each event of a lead says of the score is what the log gives for that very moment.
TEST_P(ScoresTest, EveryPastScoreIsTheOneThatTheLogGives) {
  RandomHistory history(store_, clock_, 11, 25);
  history.Run(150);
  Activate(OtherModel());
  history.Run(150);
  std::map<std::string, std::vector<domain::Event>> events;
  for (domain::Event& event : store_.AllEvents()) {
    if (!event.lead.empty()) events[event.lead.value].push_back(std::move(event));
  }
  int compared = 0;
  ASSERT_TRUE(store_
                  .Read([&](storage::ReadTxn& tx) -> absl::Status {
                    for (const auto& [id, log] : events) {
                      for (size_t i = 0; i < log.size(); ++i) {
                        if (!domain::ChangesLead(log[i].type)) continue;
                        // The touchpoint of a step follows its lead's event.
                        size_t end = i + 1;
                        while (end < log.size() &&
                               log[end].record_time.micros - log[i].record_time.micros < 1000) {
                          ++end;
                        }
                        absl::Span<const domain::Event> known(log.data(), end);
                        auto then = domain::ReplayLead(LeadId(id), known);
                        if (!then.ok()) return then.status();
                        const domain::CompiledModel* model =
                            tx.config().FindModel(then->score_model);
                        const domain::ScoreState state = domain::ReplayScoreState(
                            *model, LeadId(id), known, log[end - 1].record_time);
                        const domain::ScoreBreakdown score =
                            domain::Evaluate(*model, *then, state, log[i].record_time);
                        EXPECT_EQ(score.score, then->score) << id << " at " << log[i].number;
                        EXPECT_EQ(score.grade, then->grade);
                        EXPECT_EQ(score.band, then->score_band);
                        ++compared;
                      }
                    }
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_GT(compared, 100);
}

TEST_P(ScoresTest, ARescoringTellsItsProgressAndEndsWithEveryLeadJudgedAnew) {
  for (int i = 0; i < 130; ++i) {
    commands::CaptureCommand capture = CaptureOf(Concat("p", i, "@example.com"));
    capture.lead.market = Market::kB2b;
    capture.touchpoint.kind = TouchpointKind::kNote;
    ASSERT_TRUE(store_.Run(capture).ok());
  }
  Activate(OtherModel());
  const domain::Operation operation = StartRescoring();
  EXPECT_EQ(operation.kind, "rescore");
  EXPECT_EQ(operation.state, OperationState::kRunning);
  workers::ScoreKeeper keeper(*store_, domain::TenantId("default"), std::chrono::hours(1));
  ASSERT_TRUE(keeper.DrainForTest().ok());
  const domain::Operation done = OperationOf(operation.id);
  EXPECT_EQ(done.state, OperationState::kSucceeded);
  EXPECT_EQ(done.rows_total, 130);
  EXPECT_EQ(done.rows_read, 130);
  EXPECT_EQ(done.rows_done, 130);
  EXPECT_TRUE(done.end_time.has_value());
  for (const Lead& lead : store_.AllLeads()) {
    EXPECT_EQ(lead.score_model, "scoringModels/b2b@2");
    EXPECT_EQ(lead.intent_score, 9);
  }
  EXPECT_EQ(Differences(clock_.Now()), 0);
  // A second one finds nothing to do.
  const domain::Operation again = StartRescoring();
  ASSERT_TRUE(keeper.DrainForTest().ok());
  EXPECT_EQ(OperationOf(again.id).rows_done, 0);
}

TEST_P(ScoresTest, ARescoringGoesOnWhereItStood) {
  std::vector<LeadId> leads;
  for (int i = 0; i < 20; ++i) {
    commands::CaptureCommand capture = CaptureOf(Concat("p", i, "@example.com"));
    capture.lead.market = Market::kB2b;
    leads.push_back(store_.Run(capture)->value.lead.id);
  }
  std::sort(leads.begin(), leads.end());
  Activate(OtherModel());
  const domain::Operation operation = StartRescoring();
  commands::RescoreSliceCommand slice;
  slice.operation = operation.id;
  slice.leads.assign(leads.begin(), leads.begin() + 7);
  slice.total = 20;
  ASSERT_TRUE(store_.Run(slice).ok());
  // The same slice again, as a second server would send it.
  EXPECT_EQ(domain::FaultOf(store_.Run(slice).status())->reason, "OPERATION_MOVED");
  EXPECT_EQ(OperationOf(operation.id).rows_read, 7);
  workers::ScoreKeeper keeper(*store_, domain::TenantId("default"), std::chrono::hours(1));
  ASSERT_TRUE(keeper.DrainForTest().ok());
  EXPECT_EQ(OperationOf(operation.id).rows_read, 20);
  EXPECT_EQ(OperationOf(operation.id).state, OperationState::kSucceeded);
}

TEST_P(ScoresTest, ARescoringThatWasCancelledTouchesNoLeadMore) {
  commands::CaptureCommand capture = CaptureOf("a@example.com");
  capture.lead.market = Market::kB2b;
  const LeadId lead = store_.Run(capture)->value.lead.id;
  Activate(OtherModel());
  const domain::Operation operation = StartRescoring();
  ASSERT_TRUE(store_.Run(commands::CancelOperationCommand{.operation = operation.id}).ok());
  workers::ScoreKeeper keeper(*store_, domain::TenantId("default"), std::chrono::hours(1));
  ASSERT_TRUE(keeper.DrainForTest().ok());
  EXPECT_EQ(OperationOf(operation.id).state, OperationState::kCancelled);
  EXPECT_EQ(store_.GetLead(lead)->score_model, "scoringModels/b2b@1");
}

TEST_P(ScoresTest, TwoServersRescoreTogetherAndJudgeEachLeadOnce) {
  for (int i = 0; i < 200; ++i) {
    commands::CaptureCommand capture = CaptureOf(Concat("p", i, "@example.com"));
    capture.lead.market = Market::kB2b;
    ASSERT_TRUE(store_.Run(capture).ok());
  }
  Activate(OtherModel());
  const domain::Operation operation = StartRescoring();
  CountingIds other_ids(2);
  TestStore other(database_.url(), clock_, other_ids);
  workers::ScoreKeeper here(*store_, domain::TenantId("default"), std::chrono::hours(1));
  workers::ScoreKeeper there(*other, domain::TenantId("default"), std::chrono::hours(1));
  while (OperationOf(operation.id).state == OperationState::kRunning) {
    std::thread second([&] { EXPECT_TRUE(there.DrainForTest().ok()); });
    EXPECT_TRUE(here.DrainForTest().ok());
    second.join();
  }
  EXPECT_EQ(OperationOf(operation.id).rows_done, 200);
  EXPECT_EQ(Differences(clock_.Now()), 0);
}

INSTANTIATE_TEST_SUITE_P(Engines, ScoresTest, ::testing::Values(Engine::kSqlite, Engine::kPostgres),
                         EngineName);

}  // namespace
}  // namespace relais::testing
