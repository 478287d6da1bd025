// Reactions and the clock of hand-offs over a store on each engine, step by step: what they do,
// that they do it once, and that two servers share the work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/commands/commands.h"
#include "server/domain/concat.h"
#include "server/domain/handoff.h"
#include "server/domain/routing.h"
#include "server/runtime/metrics.h"
#include "server/workers/handoffs.h"
#include "server/workers/reactor.h"
#include "server/workers/segments.h"
#include "storage/open.h"
#include "tests/fixtures/fakes.h"
#include "tests/storage/commands_fixture.h"
#include "tests/storage/store_fixture.h"

namespace relais::testing {
namespace {

using domain::Handoff;
using domain::HandoffState;
using domain::HandoffTrigger;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kHour = 3600 * domain::kMicrosPerSecond;

domain::Config ConfigWith(HandoffTrigger trigger, std::vector<domain::RoutingRule> rules) {
  domain::Config config = domain::BuiltInConfig();
  for (domain::HandoffPolicy& policy : config.handoff_policies) {
    policy.trigger = trigger;
    policy.response_minutes = 60;
    policy.max_escalations = 2;
  }
  config.routing_rules = std::move(rules);
  return config;
}

class ReactionsTest : public ::testing::TestWithParam<Engine> {
 protected:
  ReactionsTest() : database_(GetParam()) {
    Use(HandoffTrigger::kQualified);
    team_ = AddTeam("Field");
  }

  // Another configuration, and a store that was opened with it.
  void Use(HandoffTrigger trigger) {
    domain::RoutingRule rule;
    rule.id = "field";
    rule.team = team_.empty() ? "teams/none" : team_;
    store_.reset();
    config_ = ConfigWith(trigger, {rule});
    store_ = Open();
  }
  std::unique_ptr<TestStore> Open() {
    auto store = storage::OpenStore({database_.url(), std::string(32, 'k'), StrictOptions()},
                                    clock_, ids_, config_);
    EXPECT_TRUE(store.ok()) << store.status();
    return std::make_unique<TestStore>(*std::move(store));
  }
  std::string AddTeam(const std::string& name) {
    commands::SaveTeamCommand command;
    command.values.display_name = name;
    const std::string team = NameOf(store_->Run(command)->value.id);
    if (team_.empty()) {
      team_ = team;
      Use(HandoffTrigger::kQualified);
    }
    return team;
  }
  std::string AddUser(const std::string& name) {
    commands::SaveUserCommand command;
    command.values.display_name = name;
    command.values.teams = {team_};
    auto made = store_->Run(command);
    EXPECT_TRUE(made.ok()) << made.status();
    return NameOf(made->value.id);
  }
  std::unique_ptr<workers::Reactor> MakeReactor(TestStore& store, const std::string& owner,
                                                std::function<absl::Status()> before_keep = {}) {
    workers::ReactorOptions options;
    options.owner = owner;
    options.before_keep = std::move(before_keep);
    return std::make_unique<workers::Reactor>(
        *store, clock_, metrics_, std::make_unique<workers::HandoffReaction>(), options);
  }
  std::vector<Handoff> Handoffs() {
    std::vector<Handoff> handoffs;
    absl::Status status = store_->Read([&](storage::ReadTxn& tx) -> absl::Status {
      auto found = tx.ListHandoffs({.limit = 1000});
      if (!found.ok()) return found.status();
      handoffs = *std::move(found);
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return handoffs;
  }
  int CountEvents(domain::EventType type) {
    int count = 0;
    for (const domain::Event& event : store_->AllEvents()) count += event.type == type;
    return count;
  }

  TestDatabase database_;
  FakeClock clock_;
  CountingIds ids_;
  runtime::Metrics metrics_;
  domain::Config config_;
  std::string team_;
  std::unique_ptr<TestStore> store_;
};
INSTANTIATE_TEST_SUITE_P(Engines, ReactionsTest,
                         ::testing::Values(Engine::kSqlite, Engine::kPostgres), EngineName);

TEST(RequestIdTest, AnEventsNumberIsAUuid) {
  EXPECT_TRUE(domain::IsCanonicalUuid(workers::RequestIdOf(1)));
  EXPECT_TRUE(domain::IsCanonicalUuid(workers::RequestIdOf(281'474'976'710'655)));
  EXPECT_NE(workers::RequestIdOf(1), workers::RequestIdOf(2));
}

TEST_P(ReactionsTest, AQualifiedLeadIsHandedOverOnce) {
  const std::string ana = AddUser("Ana");
  const domain::LeadId lead = QualifiedLead(*store_, "q@example.com");
  auto reactor = MakeReactor(*store_, "one");
  clock_.Advance(2'500'000);
  ASSERT_TRUE(reactor->Drain().ok());
  ASSERT_TRUE(reactor->Drain().ok());

  std::vector<Handoff> handoffs = Handoffs();
  ASSERT_THAT(handoffs, SizeIs(1));
  EXPECT_EQ(handoffs[0].state, HandoffState::kPending);
  EXPECT_EQ(handoffs[0].trigger, HandoffTrigger::kQualified);
  EXPECT_EQ(handoffs[0].owner, ana);
  EXPECT_EQ(handoffs[0].team, team_);
  EXPECT_EQ(handoffs[0].routing_rule, "routingRules/field@1");
  EXPECT_EQ(handoffs[0].system_seconds, 2);
  EXPECT_EQ(handoffs[0].due_time.micros, clock_.Now().micros + kHour);
  EXPECT_EQ(store_->GetLead(lead)->owner, ana);
  EXPECT_EQ(store_->GetLead(lead)->milestones.handed_off_time, clock_.Now());

  // The log tells who could have got it, and the choice can be made again from that.
  bool told = false;
  for (const domain::Event& event : store_->AllEvents(lead)) {
    if (event.type != domain::EventType::kLeadAssigned) continue;
    told = true;
    EXPECT_EQ(event.actor, "reactions/handoffs");
    EXPECT_EQ(event.trigger, "HandOver");
    EXPECT_EQ(event.basis, NameOf(handoffs[0].id));
    EXPECT_EQ(event.rule_version, "routingRules/field@1");
    auto decision = domain::DecisionIn(event.changes);
    ASSERT_TRUE(decision.has_value());
    ASSERT_THAT(decision->candidates, SizeIs(1));
    EXPECT_EQ(decision->candidates[*domain::Choose(decision->strategy, decision->candidates)].user,
              ana);
  }
  EXPECT_TRUE(told);
}

TEST_P(ReactionsTest, ByHandNothingIsHandedOver) {
  Use(HandoffTrigger::kManual);
  AddUser("Ana");
  QualifiedLead(*store_, "q@example.com");
  ASSERT_TRUE(MakeReactor(*store_, "one")->Drain().ok());
  EXPECT_THAT(Handoffs(), IsEmpty());
}

TEST_P(ReactionsTest, ACrashBetweenEffectAndPositionRepeatsNothing) {
  AddUser("Ana");
  for (int i = 0; i < 5; ++i) QualifiedLead(*store_, Concat("q", i, "@example.com"));
  {
    auto crashing = MakeReactor(*store_, "one", [] { return absl::UnavailableError("killed"); });
    EXPECT_EQ(crashing->Drain().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(CountEvents(domain::EventType::kHandoffCreated), 5);
    // Its lease still runs: nobody else begins.
    auto early = MakeReactor(*store_, "two");
    EXPECT_EQ(early->Drain().code(), absl::StatusCode::kFailedPrecondition);
    clock_.Advance(11 * domain::kMicrosPerSecond);
    const size_t before = store_->AllEvents().size();
    ASSERT_TRUE(early->Drain().ok());
    EXPECT_EQ(store_->AllEvents().size(), before) << "an effect was repeated";
    // Whoever was thought dead finds out that it is no longer the one.
    EXPECT_EQ(crashing->Drain().code(), absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_THAT(Handoffs(), SizeIs(5));
}

TEST_P(ReactionsTest, AnEndedWorkerGivesItsLeaseBack) {
  AddUser("Ana");
  QualifiedLead(*store_, "a@example.com");
  auto one = MakeReactor(*store_, "one");
  ASSERT_TRUE(one->Drain().ok());
  one->Stop();
  QualifiedLead(*store_, "b@example.com");
  EXPECT_TRUE(MakeReactor(*store_, "two")->Drain().ok());
  EXPECT_THAT(Handoffs(), SizeIs(2));
}

TEST_P(ReactionsTest, TwoServersDoEverythingOnceAndFairly) {
  constexpr int kLeads = 48;
  std::vector<std::string> users;
  for (int i = 0; i < 5; ++i) users.push_back(AddUser(Concat("User ", i)));
  auto second = Open();
  std::mutex mutex;
  std::condition_variable committed;
  auto wake = [&] {
    std::lock_guard<std::mutex> changed(mutex);
    committed.notify_all();
  };
  auto first_commits = (*store_)->OnCommit(wake), second_commits = (*second)->OnCommit(wake);
  auto first_reactor = MakeReactor(*store_, "one");
  auto second_reactor = MakeReactor(*second, "two");
  first_reactor->Start();
  second_reactor->Start();
  std::set<domain::LeadId> leads;
  for (int i = 0; i < kLeads; ++i) {
    leads.insert(QualifiedLead(i % 2 == 0 ? *store_ : *second, Concat("q", i, "@example.com")));
  }
  // Whichever has the lease, the others' events are dealt with as well.
  std::unique_lock<std::mutex> lock(mutex);
  committed.wait_for(lock, std::chrono::seconds(60), [&] { return Handoffs().size() == kLeads; });
  lock.unlock();
  first_reactor->Stop();
  second_reactor->Stop();
  ASSERT_TRUE(MakeReactor(*store_, "three")->Drain().ok());
  std::map<std::string, int> got;
  for (const Handoff& handoff : Handoffs()) {
    EXPECT_EQ(leads.erase(handoff.lead), 1u) << "handed over twice";
    ++got[handoff.owner];
  }
  EXPECT_THAT(leads, IsEmpty());
  EXPECT_EQ(CountEvents(domain::EventType::kHandoffCreated), kLeads);
  for (const std::string& user : users) EXPECT_NEAR(got[user], kLeads / 5.0, 1) << user;
}

TEST_P(ReactionsTest, WhatCannotBeRoutedIsCountedAndLeft) {
  QualifiedLead(*store_, "nobody@example.com");  // the team is empty
  auto reactor = MakeReactor(*store_, "one");
  ASSERT_TRUE(reactor->Drain().ok());
  EXPECT_THAT(Handoffs(), IsEmpty());
  EXPECT_EQ(metrics_.ReactionRefusals("handoffs", "NO_ROUTE").Value(), 1);
  AddUser("Ana");
  QualifiedLead(*store_, "somebody@example.com");
  ASSERT_TRUE(reactor->Drain().ok());
  EXPECT_THAT(Handoffs(), SizeIs(1));
}

TEST_P(ReactionsTest, ADisqualifiedLeadLosesItsPendingHandoff) {
  AddUser("Ana");
  const domain::LeadId lead = QualifiedLead(*store_, "q@example.com");
  auto reactor = MakeReactor(*store_, "one");
  ASSERT_TRUE(reactor->Drain().ok());
  ASSERT_TRUE(store_
                  ->Run(commands::LeadStepCommand{
                      .step = commands::LeadStep::kDisqualify, .lead = lead, .reason = "went away"})
                  .ok());
  ASSERT_TRUE(reactor->Drain().ok());
  ASSERT_THAT(Handoffs(), SizeIs(1));
  EXPECT_EQ(Handoffs()[0].state, HandoffState::kCancelled);
  EXPECT_EQ(CountEvents(domain::EventType::kHandoffClosed), 1);
}

TEST_P(ReactionsTest, AtTheThresholdALeadIsHandedOverBeforeItQualifies) {
  Use(HandoffTrigger::kThreshold);
  AddUser("Ana");
  commands::CaptureCommand capture = CaptureOf("hot@example.com");
  capture.touchpoint.kind = domain::TouchpointKind::kDemoRequest;
  capture.lead.person.job_title = "CEO";
  capture.lead.maturity = domain::Maturity::kDecision;
  capture.lead.needs = {"crm"};
  domain::Lead lead = store_->Run(capture)->value.lead;
  for (int i = 0; i < 10 && !lead.milestones.marketing_qualified_time.has_value(); ++i) {
    commands::RecordTouchpointCommand record;
    record.lead = lead.id;
    record.touchpoint.kind =
        i % 2 == 0 ? domain::TouchpointKind::kMeeting : domain::TouchpointKind::kPricingView;
    ASSERT_TRUE(store_->Run(record).ok());
    lead = *store_->GetLead(lead.id);
  }
  ASSERT_TRUE(lead.milestones.marketing_qualified_time.has_value()) << "score " << lead.score;
  auto reactor = MakeReactor(*store_, "one");
  ASSERT_TRUE(reactor->Drain().ok());
  ASSERT_THAT(Handoffs(), SizeIs(1));
  EXPECT_EQ(Handoffs()[0].trigger, HandoffTrigger::kThreshold);
  EXPECT_EQ(Handoffs()[0].score, lead.score);

  // Sales took it: it is not handed over again when it qualifies.
  commands::HandoffActionCommand accept;
  accept.handoff = Handoffs()[0].id;
  ASSERT_TRUE(store_->Run(accept).ok());
  ASSERT_TRUE(store_->Run(AssessmentOf(lead.id)).ok());
  ASSERT_TRUE(
      store_->Run(commands::LeadStepCommand{.step = commands::LeadStep::kQualify, .lead = lead.id})
          .ok());
  ASSERT_TRUE(reactor->Drain().ok());
  EXPECT_THAT(Handoffs(), SizeIs(1));
}

TEST_P(ReactionsTest, WhatNobodyAnswersGoesFromOwnerToOwnerAndExpires) {
  std::set<std::string> users = {AddUser("Ana"), AddUser("Ben"), AddUser("Cem")};
  const domain::LeadId lead = QualifiedLead(*store_, "q@example.com");
  auto reactor = MakeReactor(*store_, "one");
  ASSERT_TRUE(reactor->Drain().ok());
  workers::HandoffClock clock(**store_, clock_, domain::TenantId("default"));
  EXPECT_EQ(clock.Step().value(), 0);
  std::set<std::string> owners = {Handoffs()[0].owner};
  for (int escalation = 1; escalation <= 2; ++escalation) {
    clock_.Advance(kHour);
    EXPECT_EQ(clock.Step().value(), 1);
    EXPECT_EQ(clock.Step().value(), 0);
    Handoff handoff = Handoffs()[0];
    EXPECT_EQ(handoff.escalation_count, escalation);
    EXPECT_EQ(handoff.state, HandoffState::kPending);
    EXPECT_EQ(handoff.due_time.micros, clock_.Now().micros + kHour);
    EXPECT_EQ(store_->GetLead(lead)->owner, handoff.owner);
    owners.insert(handoff.owner);
  }
  EXPECT_EQ(owners, users);
  clock_.Advance(kHour);
  EXPECT_EQ(clock.Step().value(), 1);
  EXPECT_EQ(Handoffs()[0].state, HandoffState::kExpired);
  EXPECT_EQ(clock.Step().value(), 0);
}

TEST_P(ReactionsTest, WithNobodyLeftToAskItExpires) {
  AddUser("Ana");
  QualifiedLead(*store_, "q@example.com");
  ASSERT_TRUE(MakeReactor(*store_, "one")->Drain().ok());
  workers::HandoffClock clock(**store_, clock_, domain::TenantId("default"));
  clock_.Advance(kHour);
  EXPECT_EQ(clock.Step().value(), 1);
  EXPECT_EQ(Handoffs()[0].state, HandoffState::kExpired);
  EXPECT_EQ(Handoffs()[0].escalation_count, 0);
}

// ---- routing ----------------------------------------------------------------------------------

class RoutingTest : public ReactionsTest {
 protected:
  RoutingTest() { Use(HandoffTrigger::kManual); }

  static commands::AssignLeadCommand ByRules(const domain::LeadId& lead) {
    commands::AssignLeadCommand command;
    command.lead = lead;
    command.by_rules = true;
    return command;
  }
  domain::LeadId Captured(int number) {
    return store_->Run(CaptureOf(Concat("r", number, "@example.com")))->value.lead.id;
  }
  // Every assignment that the log tells of, made again from what it says.
  void ExpectReplayable() {
    for (const domain::Event& event : store_->AllEvents()) {
      if (event.type != domain::EventType::kLeadAssigned) continue;
      auto decision = domain::DecisionIn(event.changes);
      ASSERT_TRUE(decision.has_value());
      auto chosen = domain::Choose(decision->strategy, decision->candidates);
      ASSERT_TRUE(chosen.has_value());
      EXPECT_EQ(decision->candidates[*chosen].user, decision->owner);
      EXPECT_EQ(decision->rule, event.rule_version);
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, RoutingTest,
                         ::testing::Values(Engine::kSqlite, Engine::kPostgres), EngineName);

TEST_P(RoutingTest, SixtyFourConcurrentAssignersOnTwoServersAreFairWithinOne) {
  constexpr int kAssigners = 64, kRounds = 5, kUsers = 7;
  std::vector<std::string> users;
  for (int i = 0; i < kUsers; ++i) users.push_back(AddUser(Concat("User ", i)));
  std::vector<domain::LeadId> leads;
  for (int i = 0; i < kAssigners * kRounds; ++i) leads.push_back(Captured(i));
  // SQLite serves one server.
  std::unique_ptr<TestStore> second = GetParam() == Engine::kPostgres ? Open() : nullptr;
  std::vector<std::thread> assigners;
  for (int a = 0; a < kAssigners; ++a) {
    assigners.emplace_back([&, a] {
      TestStore& store = a % 2 == 1 && second != nullptr ? *second : *store_;
      for (int r = 0; r < kRounds; ++r) {
        auto assigned = store.Run(ByRules(leads[static_cast<size_t>(a * kRounds + r)]));
        EXPECT_TRUE(assigned.ok()) << assigned.status();
      }
    });
  }
  for (std::thread& assigner : assigners) assigner.join();
  std::map<std::string, int> got;
  for (const domain::LeadId& lead : leads) ++got[store_->GetLead(lead)->owner];
  ASSERT_THAT(got, SizeIs(kUsers));
  const double share = static_cast<double>(leads.size()) / kUsers;
  for (const auto& [user, count] : got) EXPECT_LT(std::abs(count - share), 1.0) << user;
  ExpectReplayable();
}

TEST_P(RoutingTest, ABatchIsDealtLikeSingleAssignments) {
  std::vector<std::string> users;
  for (int i = 0; i < 3; ++i) users.push_back(AddUser(Concat("User ", i)));
  commands::BatchAssignCommand batch;
  for (int i = 0; i < 30; ++i) batch.items.push_back(ByRules(Captured(i)));
  batch.items.push_back(ByRules(domain::LeadId("01900000-0000-7000-8000-0000000000ff")));
  auto results = store_->Run(batch);
  ASSERT_THAT(results, SizeIs(31));
  EXPECT_EQ(results[30].status().code(), absl::StatusCode::kNotFound);
  std::map<std::string, int> got;
  for (int i = 0; i < 30; ++i) ++got[results[static_cast<size_t>(i)]->value.owner];
  for (const std::string& user : users) EXPECT_EQ(got[user], 10);
  ExpectReplayable();
}

TEST_P(RoutingTest, OpenLeadsAreCountedThroughAllTheyGoThrough) {
  config_.routing_rules[0].strategy = domain::RoutingStrategy::kLeastLoaded;
  store_.reset();
  store_ = Open();
  const std::string ana = AddUser("Ana"), ben = AddUser("Ben");
  std::map<std::string, int> open;
  auto assign = [&](const domain::LeadId& lead) {
    const std::string owner = store_->Run(ByRules(lead))->value.owner;
    ++open[owner];
    return owner;
  };
  std::vector<domain::LeadId> leads;
  for (int i = 0; i < 4; ++i) {
    leads.push_back(Captured(i));
    assign(leads.back());
  }
  EXPECT_EQ(open[ana], 2);
  EXPECT_EQ(open[ben], 2);
  // Ana's leave the way: the next two are hers.
  for (const domain::LeadId& lead : leads) {
    if (store_->GetLead(lead)->owner != ana) continue;
    ASSERT_TRUE(
        store_
            ->Run(commands::LeadStepCommand{
                .step = commands::LeadStep::kDisqualify, .lead = lead, .reason = "no budget"})
            .ok());
  }
  EXPECT_EQ(assign(Captured(10)), ana);
  EXPECT_EQ(assign(Captured(11)), ana);
  // One of Ben's goes to Ana by hand, in the same way.
  commands::AssignLeadCommand by_hand;
  by_hand.owner = domain::ParseName<domain::UserTag>(ana);
  for (const domain::LeadId& lead : leads) {
    if (store_->GetLead(lead)->owner == ben) by_hand.lead = lead;
  }
  ASSERT_TRUE(store_->Run(by_hand).ok());
  EXPECT_EQ(assign(Captured(12)), ben);
}

TEST_P(RoutingTest, WhoIsFullGetsNothingMore) {
  const std::string ana = AddUser("Ana");
  commands::SaveUserCommand full;
  full.user = domain::ParseName<domain::UserTag>(ana);
  full.values.capacity = 1;
  full.paths = {"capacity"};
  ASSERT_TRUE(store_->Run(full).ok());
  EXPECT_EQ(store_->Run(ByRules(Captured(1)))->value.owner, ana);
  auto refused = store_->Run(ByRules(Captured(2)));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(domain::FaultOf(refused.status())->reason, "NO_ROUTE");
}

// ---- segments ---------------------------------------------------------------------------------

class SegmentsTest : public ReactionsTest {
 protected:
  std::unique_ptr<workers::Reactor> MakeKeeper(TestStore& store, const std::string& owner) {
    workers::ReactorOptions options;
    options.owner = owner;
    return std::make_unique<workers::Reactor>(
        *store, clock_, metrics_,
        std::make_unique<workers::SegmentReaction>(*store, clock_, domain::TenantId("default")),
        options);
  }
  domain::SegmentId Save(const std::string& filter, bool time_dependent = false) {
    commands::SaveSegmentCommand command;
    command.values.display_name = "Segment";
    command.values.filter = filter;
    command.values.time_dependent = time_dependent;
    return store_->Run(command)->value.id;
  }
  domain::LeadId CaptureWith(const std::string& email, const std::string& title) {
    commands::CaptureCommand command = CaptureOf(email);
    command.lead.person.job_title = title;
    return store_->Run(command)->value.lead.id;
  }
  void SetTitle(const domain::LeadId& lead, const std::string& title) {
    commands::UpdateLeadCommand update;
    update.lead = lead;
    update.values.person.job_title = title;
    update.paths = {"person.job_title"};
    ASSERT_TRUE(store_->Run(update).ok());
  }
  std::set<domain::LeadId> Members(const domain::SegmentId& segment) {
    std::set<domain::LeadId> members;
    absl::Status status = store_->Read([&](storage::ReadTxn& tx) -> absl::Status {
      auto leads = tx.ListLeads({.segment = segment, .limit = 10'000});
      if (!leads.ok()) return leads.status();
      for (const domain::Lead& lead : *leads) members.insert(lead.id);
      auto counts = tx.CountSegmentMembers({segment});
      if (!counts.ok()) return counts.status();
      EXPECT_EQ((*counts)[0], static_cast<int64_t>(members.size()));
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return members;
  }
  domain::Segment Get(const domain::SegmentId& id) {
    domain::Segment segment;
    absl::Status status = store_->Read([&](storage::ReadTxn& tx) -> absl::Status {
      auto found = tx.GetSegment(id);
      if (!found.ok()) return found.status();
      segment = found->value();
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return segment;
  }
};
INSTANTIATE_TEST_SUITE_P(Engines, SegmentsTest,
                         ::testing::Values(Engine::kSqlite, Engine::kPostgres), EngineName);

TEST_P(SegmentsTest, IsBuiltThenFollowsEveryChangeWithEvents) {
  const domain::LeadId ceo = CaptureWith("a@example.com", "CEO");
  const domain::LeadId cto = CaptureWith("b@example.com", "CTO");
  const domain::SegmentId segment = Save("person.job_title = \"CEO\"");
  EXPECT_EQ(Get(segment).state, domain::SegmentState::kBuilding);
  auto keeper = MakeKeeper(*store_, "one");
  ASSERT_TRUE(keeper->Drain().ok());
  EXPECT_EQ(Get(segment).state, domain::SegmentState::kReady);
  EXPECT_TRUE(Get(segment).ready_time.has_value());
  EXPECT_THAT(Members(segment), ElementsAre(ceo));
  EXPECT_EQ(CountEvents(domain::EventType::kSegmentEntered), 0) << "those were there already";

  SetTitle(cto, "CEO");
  SetTitle(ceo, "Chair");
  ASSERT_TRUE(keeper->Drain().ok());
  EXPECT_THAT(Members(segment), ElementsAre(cto));
  std::vector<std::pair<domain::EventType, domain::LeadId>> told;
  for (const domain::Event& event : store_->AllEvents()) {
    if (event.subject != NameOf(segment) || event.lead.empty()) continue;
    told.emplace_back(event.type, event.lead);
    EXPECT_EQ(event.actor, "reactions/segments");
  }
  EXPECT_THAT(told,
              ::testing::UnorderedElementsAre(std::pair(domain::EventType::kSegmentEntered, cto),
                                              std::pair(domain::EventType::kSegmentExited, ceo)));
  // Nothing more to say: what the reaction wrote itself moves nobody.
  const size_t before = store_->AllEvents().size();
  ASSERT_TRUE(keeper->Drain().ok());
  EXPECT_EQ(store_->AllEvents().size(), before);
}

TEST_P(SegmentsTest, AnotherFilterIsComparedWithThoseWhoWereIn) {
  const domain::LeadId ceo = CaptureWith("a@example.com", "CEO");
  const domain::LeadId cto = CaptureWith("b@example.com", "CTO");
  const domain::SegmentId segment = Save("person.job_title = \"CEO\"");
  auto keeper = MakeKeeper(*store_, "one");
  ASSERT_TRUE(keeper->Drain().ok());
  commands::SaveSegmentCommand update;
  update.segment = segment;
  update.values.filter = "person.job_title = \"CTO\"";
  update.paths = {"filter"};
  ASSERT_TRUE(store_->Run(update).ok());
  ASSERT_TRUE(keeper->Drain().ok());
  EXPECT_THAT(Members(segment), ElementsAre(cto));
  EXPECT_EQ(CountEvents(domain::EventType::kSegmentEntered), 1);
  EXPECT_EQ(CountEvents(domain::EventType::kSegmentExited), 1);

  ASSERT_TRUE(store_->Run(commands::ArchiveSegmentCommand{.segment = segment}).ok());
  SetTitle(ceo, "CTO");
  ASSERT_TRUE(keeper->Drain().ok());
  EXPECT_THAT(Members(segment), ElementsAre(cto)) << "archived ones stay as they were";
}

TEST_P(SegmentsTest, WindowsMoveWithTheClock) {
  const domain::LeadId lead = CaptureWith("a@example.com", "CEO");
  const domain::SegmentId segment = Save("count(touchpoints, kind = FORM, 30d) >= 1", true);
  commands::RecordTouchpointCommand record;
  record.lead = lead;
  record.touchpoint.kind = domain::TouchpointKind::kForm;
  ASSERT_TRUE(store_->Run(record).ok());
  auto keeper = MakeKeeper(*store_, "one");
  ASSERT_TRUE(keeper->Drain().ok());
  EXPECT_THAT(Members(segment), ElementsAre(lead));
  clock_.AdvanceDays(31);
  ASSERT_TRUE(keeper->Drain().ok());
  EXPECT_THAT(Members(segment), IsEmpty());
  EXPECT_EQ(CountEvents(domain::EventType::kSegmentExited), 1);
}

TEST_P(SegmentsTest, ManySegmentsOverRandomChangesHoldWhatTheirFiltersSelect) {
  const std::vector<std::string> titles = {"CEO", "CTO", "CFO", ""};
  std::vector<domain::LeadId> leads;
  for (int i = 0; i < 30; ++i) {
    leads.push_back(
        CaptureWith(Concat("l", i, "@example.com"), titles[static_cast<size_t>(i) % 4]));
  }
  std::map<domain::SegmentId, std::string> wanted;
  for (int i = 0; i < 3; ++i) {
    wanted[Save(Concat("person.job_title = \"", titles[static_cast<size_t>(i)], "\""))] =
        titles[static_cast<size_t>(i)];
  }
  auto first = MakeKeeper(*store_, "one");
  auto second = MakeKeeper(*store_, "two");
  std::map<domain::LeadId, std::string> now;
  uint64_t random = 11;
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 15; ++i) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      const domain::LeadId& lead = leads[(random >> 33) % leads.size()];
      SetTitle(lead, titles[(random >> 20) % 4]);
    }
    // Now one server, now another.
    workers::Reactor& keeper = round % 2 == 0 ? *first : *second;
    clock_.Advance(11 * domain::kMicrosPerSecond);
    ASSERT_TRUE(keeper.Drain().ok());
    for (const domain::Lead& lead : store_->AllLeads()) now[lead.id] = lead.person.job_title;
    for (const auto& [segment, title] : wanted) {
      std::set<domain::LeadId> expected;
      for (const auto& [lead, has] : now) {
        if (has == title) expected.insert(lead);
      }
      EXPECT_EQ(Members(segment), expected) << title;
    }
  }
  // The events of each lead and segment alternate, and end where the lead is.
  std::map<std::pair<std::string, domain::LeadId>, domain::EventType> last;
  for (const domain::Event& event : store_->AllEvents()) {
    if (event.type != domain::EventType::kSegmentEntered &&
        event.type != domain::EventType::kSegmentExited) {
      continue;
    }
    auto [it, fresh] = last.try_emplace({event.subject, event.lead}, event.type);
    EXPECT_TRUE(fresh || it->second != event.type);
    it->second = event.type;
  }
}

}  // namespace
}  // namespace relais::testing
