#include "server/domain/handoff.h"

#include <string>
#include <vector>

#include "tests/domain/samples.h"

namespace relais::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kAna[] = "users/01900000-0000-7000-8000-0000000000a1";
constexpr char kBen[] = "users/01900000-0000-7000-8000-0000000000b1";
// A Monday, 10:00 UTC.
const Timestamp kNow = At(2026, 1, 5, 10 * 3600);

HandoffPolicy Policy() {
  return {.id = "p", .display_name = {}, .market = Market::kB2b, .response_minutes = 120};
}
Desk DeskOf(std::string owner) { return {.owner = std::move(owner), .calendar = {}}; }
Timestamp Later(int64_t seconds) { return {kNow.micros + seconds * kMicrosPerSecond}; }

HandoffTerms Terms() {
  return {.id = HandoffId(Uuid(9)),
          .trigger = HandoffTrigger::kQualified,
          .trigger_time = Later(-90),
          .team = {},
          .routing_rule = "routingRules/r@1",
          .reason = "hot"};
}

HandoffStep Handed(Stage stage = Stage::kProspect) {
  Lead lead = LeadIn(stage);
  lead.score = 70;
  auto step = CreateHandoff(lead, {}, Terms(), DeskOf(kAna), Policy(), kNow);
  EXPECT_TRUE(step.ok()) << step.status();
  return *step;
}

TEST(HandoffTest, ALeadIsHandedOverToAnOwnerWithADueTime) {
  HandoffStep step = Handed();
  EXPECT_EQ(step.handoff.state, HandoffState::kPending);
  EXPECT_EQ(step.handoff.owner, kAna);
  EXPECT_EQ(step.handoff.due_time, Later(7200));
  EXPECT_EQ(step.handoff.system_seconds, 90);
  EXPECT_EQ(step.handoff.score, 70);
  EXPECT_EQ(step.lead.owner, kAna);
  EXPECT_EQ(step.lead.milestones.handed_off_time, kNow);
  EXPECT_EQ(step.lead.stage, Stage::kProspect);
  EXPECT_EQ(step.lead_draft.basis, NameOf(step.handoff.id));
  EXPECT_EQ(step.lead_draft.rule_version, "routingRules/r@1");
  EXPECT_EQ(step.handoff_draft.rule_version, "handoffPolicies/p@1");
}

TEST(HandoffTest, OnlyWhoIsReadyAndNotPendingIsHandedOver) {
  for (Stage stage : {Stage::kOpportunity, Stage::kCustomer, Stage::kDisqualified}) {
    auto step = CreateHandoff(LeadIn(stage), {}, Terms(), DeskOf(kAna), Policy(), kNow);
    EXPECT_EQ(ReasonOf(step.status()), "ILLEGAL_TRANSITION") << NameOf(stage);
  }
  Lead lead = LeadIn(Stage::kLead);
  EXPECT_EQ(ReasonOf(CreateHandoff(lead, {}, Terms(), DeskOf(kAna), Policy(), kNow).status()),
            "NOT_READY");
  lead.milestones.marketing_qualified_time = kNow;
  EXPECT_TRUE(CreateHandoff(lead, {}, Terms(), DeskOf(kAna), Policy(), kNow).ok());

  Handoff pending = Handed().handoff;
  Lead prospect = LeadIn(Stage::kProspect);
  EXPECT_EQ(
      ReasonOf(CreateHandoff(prospect, {pending}, Terms(), DeskOf(kAna), Policy(), kNow).status()),
      "HANDOFF_PENDING");
  pending.state = HandoffState::kRejected;
  EXPECT_TRUE(CreateHandoff(prospect, {pending}, Terms(), DeskOf(kAna), Policy(), kNow).ok());
}

TEST(HandoffTest, AcceptingStopsBothClocks) {
  HandoffStep step = Handed();
  // 18:00: nobody works after 17:00.
  auto accepted = AcceptHandoff(step.lead, step.handoff, DeskOf(kAna), Later(8 * 3600));
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_EQ(accepted->handoff.state, HandoffState::kAccepted);
  EXPECT_EQ(accepted->handoff.human_seconds, 8 * 3600);
  EXPECT_EQ(accepted->handoff.human_working_seconds, 7 * 3600);
  EXPECT_EQ(accepted->handoff.first_response_time, Later(8 * 3600));
  EXPECT_EQ(accepted->lead.milestones.accepted_time, Later(8 * 3600));
  EXPECT_EQ(accepted->lead_draft.type, EventType::kLeadUpdated);
  EXPECT_THAT(accepted->handoff.earlier_owners, IsEmpty());
  EXPECT_EQ(ReasonOf(AcceptHandoff(accepted->lead, accepted->handoff, DeskOf(kAna), kNow).status()),
            "HANDOFF_CLOSED");
}

TEST(HandoffTest, WhoeverAcceptsOwnsTheLead) {
  HandoffStep step = Handed();
  auto accepted = AcceptHandoff(step.lead, step.handoff, DeskOf(kBen), Later(60));
  ASSERT_TRUE(accepted.ok());
  EXPECT_EQ(accepted->handoff.owner, kBen);
  EXPECT_EQ(accepted->lead.owner, kBen);
  EXPECT_THAT(accepted->handoff.earlier_owners, ElementsAre(kAna));
  EXPECT_EQ(accepted->lead_draft.type, EventType::kLeadAssigned);
}

TEST(HandoffTest, RejectingSendsAProspectBackForNurturing) {
  HandoffStep step = Handed();
  EXPECT_THAT(FieldsIn(RejectHandoff(step.lead, step.handoff, DeskOf(kAna), "", kNow).status()),
              ElementsAre("reason"));
  auto rejected = RejectHandoff(step.lead, step.handoff, DeskOf(kAna), "too small", Later(60));
  ASSERT_TRUE(rejected.ok()) << rejected.status();
  EXPECT_EQ(rejected->lead.stage, Stage::kLead);
  EXPECT_EQ(rejected->lead.owner, "");
  EXPECT_EQ(rejected->lead_draft.type, EventType::kLeadTransitioned);
  EXPECT_EQ(rejected->handoff.reject_reason, "too small");
  EXPECT_EQ(rejected->handoff.human_seconds, 60);

  Lead open = step.lead;
  open.stage = Stage::kOpportunity;
  EXPECT_EQ(ReasonOf(RejectHandoff(open, step.handoff, DeskOf(kAna), "late", kNow).status()),
            "ILLEGAL_TRANSITION");
  EXPECT_TRUE(AcceptHandoff(open, step.handoff, DeskOf(kAna), kNow).ok());

  Lead early = step.lead;
  early.stage = Stage::kLead;
  rejected = RejectHandoff(early, step.handoff, DeskOf(kAna), "too early", kNow);
  ASSERT_TRUE(rejected.ok());
  EXPECT_EQ(rejected->lead.stage, Stage::kLead);
  EXPECT_EQ(rejected->lead_draft.type, EventType::kLeadAssigned);
}

TEST(HandoffTest, AnotherOwnerHasTheWholeTimeAgain) {
  HandoffStep step = Handed();
  auto moved =
      ReassignHandoff(step.lead, step.handoff,
                      {.team = {}, .routing_rule = {}, .reason = "late", .escalation = true},
                      DeskOf(kBen), Policy(), Later(7200));
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(moved->handoff.state, HandoffState::kPending);
  EXPECT_EQ(moved->handoff.owner, kBen);
  EXPECT_EQ(moved->handoff.due_time, Later(4 * 3600));
  EXPECT_EQ(moved->handoff.escalation_count, 1);
  EXPECT_EQ(moved->handoff.reassignment_count, 0);
  EXPECT_THAT(moved->handoff.earlier_owners, ElementsAre(kAna));
  EXPECT_EQ(moved->lead.owner, kBen);
  auto back = ReassignHandoff(moved->lead, moved->handoff, {}, DeskOf(kAna), Policy(), Later(7200));
  EXPECT_EQ(back->handoff.reassignment_count, 1);
  EXPECT_THAT(back->handoff.earlier_owners, ElementsAre(kAna, kBen));
}

TEST(HandoffTest, AnEndWithoutAnAnswerHasNoResponseTime) {
  auto closed = CloseHandoff(Handed().handoff, HandoffState::kExpired, "nobody", Later(5));
  ASSERT_TRUE(closed.ok());
  EXPECT_EQ(closed->state, HandoffState::kExpired);
  EXPECT_EQ(closed->close_time, Later(5));
  EXPECT_FALSE(closed->first_response_time.has_value());
  EXPECT_EQ(ReasonOf(CloseHandoff(*closed, HandoffState::kCancelled, "", kNow).status()),
            "HANDOFF_CLOSED");
}

TEST(HandoffTest, TheQueueIsOrderedByScoreThenByDueTime) {
  const std::vector<int64_t> order = {PriorityOf(90, Later(100)), PriorityOf(90, Later(200)),
                                      PriorityOf(10, Later(0)),   PriorityOf(0, Later(0)),
                                      PriorityOf(-5, Later(0)),   PriorityOf(-5'000'000, Later(0))};
  for (size_t i = 1; i < order.size(); ++i) EXPECT_LT(order[i - 1], order[i]) << i;
  EXPECT_EQ(PriorityOf(5'000'000, kNow), PriorityOf(1'000'000, kNow));
}

}  // namespace
}  // namespace relais::domain
