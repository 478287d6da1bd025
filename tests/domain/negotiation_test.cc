#include "server/domain/negotiation.h"

#include <string>

#include "server/domain/builtin.h"
#include "tests/domain/samples.h"

namespace relais::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

const Timestamp kNow = At(2026, 3, 1, 3600);

const Pipeline& Standard() { return BuiltInConfig().pipeline(); }

TransitionContext On(Timestamp at, std::string reason = "because") {
  return {.now = kNow, .occur_time = at, .reason = std::move(reason)};
}

Opportunity Draft(int number = 7) {
  Opportunity draft;
  draft.id = OpportunityId(Uuid(number));
  draft.intention = "wants an engine";
  return draft;
}

Lead Prospect() {
  Lead lead = LeadIn(Stage::kProspect);
  lead.owner = "users/ada";
  lead.milestones.prospect_time = At(2026, 1, 1);
  lead.milestones.stage_time = At(2026, 1, 1);
  return lead;
}

NegotiationStep Opened() {
  return OpenOpportunity(Prospect(), Draft(), Standard(), On(At(2026, 2, 1))).value();
}

TEST(OpenOpportunityTest, StartsInTheFirstStageAndMovesTheLead) {
  Opportunity draft = Draft();
  // What a caller may not set is set anew.
  draft.state = OpportunityState::kWon;
  draft.close_time = kNow;
  draft.close_reason = "x";
  draft.probability_percent = 100;
  draft.reopen_count = 9;
  draft.stage_seconds = {{"proposal", "5"}};
  draft.stage = "commitment";
  absl::StatusOr<NegotiationStep> step =
      OpenOpportunity(Prospect(), draft, Standard(), On(At(2026, 2, 1)));
  ASSERT_TRUE(step.ok()) << step.status();
  const Opportunity& o = step->opportunity;
  EXPECT_EQ(o.lead.value, Uuid(1));
  EXPECT_EQ(o.lead_name, Concat("leads/", Uuid(1)));
  EXPECT_EQ(o.state, OpportunityState::kOpen);
  EXPECT_EQ(o.pipeline, "pipelines/default");
  EXPECT_EQ(o.stage, "qualification");
  EXPECT_EQ(o.probability_percent, 10);
  EXPECT_EQ(o.open_time, At(2026, 2, 1));
  EXPECT_EQ(o.stage_time, At(2026, 2, 1));
  EXPECT_FALSE(o.close_time.has_value());
  EXPECT_EQ(o.close_reason, "");
  EXPECT_EQ(o.reopen_count, 0);
  EXPECT_THAT(o.stage_seconds, IsEmpty());
  EXPECT_EQ(o.owner, "users/ada");
  EXPECT_EQ(step->trigger, Trigger::kCreateOpportunity);
  EXPECT_TRUE(step->lead_moved);
  EXPECT_EQ(step->lead.stage, Stage::kOpportunity);
  EXPECT_EQ(step->lead.counters.open_opportunities, 1);
  EXPECT_EQ(step->lead.milestones.opportunity_time, At(2026, 2, 1));
}

TEST(OpenOpportunityTest, ASecondOneAddsToTheFirstWithoutMovingTheLead) {
  absl::StatusOr<NegotiationStep> second =
      OpenOpportunity(Opened().lead, Draft(8), Standard(), On(At(2026, 2, 5)));
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(second->lead_moved);
  EXPECT_EQ(second->lead.counters.open_opportunities, 2);
  EXPECT_EQ(second->lead.milestones.stage_time, At(2026, 2, 1));
}

TEST(OpenOpportunityTest, OnlyProspectsBuyersAndCustomersMayHaveOne) {
  for (Stage stage : {Stage::kLead, Stage::kDisqualified}) {
    EXPECT_EQ(ReasonOf(OpenOpportunity(LeadIn(stage), Draft(), Standard(), On(kNow)).status()),
              "ILLEGAL_TRANSITION");
  }
  Lead customer = LeadIn(Stage::kCustomer);
  customer.counters.won_opportunities = 1;
  EXPECT_TRUE(OpenOpportunity(customer, Draft(), Standard(), On(kNow)).ok());
}

TEST(OpenOpportunityTest, IntentionAndTimeAreCheckedTogether) {
  Opportunity draft = Draft();
  draft.intention.clear();
  absl::StatusOr<NegotiationStep> refused =
      OpenOpportunity(Prospect(), draft, Standard(), On({kNow.micros + kMicrosPerDay}));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(FieldsIn(refused.status()), ElementsAre("opportunity.intention", "occur_time"));
}

TEST(OpenOpportunityTest, TheFirstStageMayDemandFieldsToo) {
  Pipeline strict = Standard();
  strict.stages[0].required_fields = {"amount"};
  EXPECT_EQ(ReasonOf(OpenOpportunity(Prospect(), Draft(), strict, On(kNow)).status()),
            "STAGE_REQUIREMENTS");
  Opportunity draft = Draft();
  draft.amount = Money{"EUR", 1, 0};
  EXPECT_TRUE(OpenOpportunity(Prospect(), draft, strict, On(kNow)).ok());
}

TEST(MoveOpportunityTest, EveryMissingFieldIsOneViolation) {
  absl::StatusOr<Opportunity> refused =
      MoveOpportunity(Opened().opportunity, "commitment", Standard(), On(At(2026, 2, 3)));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(refused.status()), "STAGE_REQUIREMENTS");
  std::vector<std::string> missing;
  for (const PreconditionViolation& violation : PreconditionsIn(refused.status())) {
    EXPECT_EQ(violation.type, "FIELD");
    missing.push_back(violation.subject);
  }
  EXPECT_THAT(missing, ElementsAre("amount", "expected_close_time", "next_step"));
}

TEST(MoveOpportunityTest, TimeInEachStageAddsUpForwardAndBack) {
  Opportunity o = Opened().opportunity;
  o.amount = Money{"EUR", 500, 0};
  o = MoveOpportunity(o, "proposal", Standard(), On(At(2026, 2, 2))).value();
  EXPECT_EQ(o.stage, "proposal");
  EXPECT_EQ(o.probability_percent, 30);
  EXPECT_EQ(o.stage_time, At(2026, 2, 2));
  EXPECT_THAT(o.stage_seconds, ElementsAre(Pair("qualification", "86400")));
  o = MoveOpportunity(o, "qualification", Standard(), On({At(2026, 2, 2).micros + 1'999'999}))
          .value();
  o = MoveOpportunity(o, "proposal", Standard(), On(At(2026, 2, 3))).value();
  EXPECT_THAT(o.stage_seconds,
              UnorderedElementsAre(Pair("proposal", "1"), Pair("qualification", "172798")));
}

TEST(MoveOpportunityTest, UnknownPresentAndBackdatedStagesAreFieldErrors) {
  Opportunity o = Opened().opportunity;
  absl::Status unknown = MoveOpportunity(o, "signature", Standard(), On(kNow)).status();
  EXPECT_THAT(FieldsIn(unknown), ElementsAre("stage"));
  absl::Status present = MoveOpportunity(o, "qualification", Standard(), On(kNow)).status();
  EXPECT_EQ(present.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(FieldsIn(present), ElementsAre("stage"));
  o.amount = Money{"EUR", 500, 0};
  absl::Status early =
      MoveOpportunity(o, "proposal", Standard(), On({At(2026, 2, 1).micros - 1})).status();
  EXPECT_THAT(FieldsIn(early), ElementsAre("occur_time"));
  EXPECT_TRUE(MoveOpportunity(o, "proposal", Standard(), On(At(2026, 2, 1))).ok());
}

TEST(CloseOpportunityTest, AWinMakesACustomer) {
  NegotiationStep open = Opened();
  absl::StatusOr<NegotiationStep> won = CloseOpportunity(
      open.lead, open.opportunity, {.outcome = CloseOutcome::kWon, .amount = Money{"EUR", 900, 0}},
      On(At(2026, 2, 11), ""));
  ASSERT_TRUE(won.ok()) << won.status();
  EXPECT_EQ(won->opportunity.state, OpportunityState::kWon);
  EXPECT_EQ(won->opportunity.probability_percent, 100);
  EXPECT_EQ(won->opportunity.close_time, At(2026, 2, 11));
  EXPECT_EQ(won->opportunity.amount->units, 900);
  EXPECT_EQ(won->opportunity.stage, "qualification");
  EXPECT_THAT(won->opportunity.stage_seconds, ElementsAre(Pair("qualification", "864000")));
  EXPECT_TRUE(won->lead_moved);
  EXPECT_EQ(won->lead.stage, Stage::kCustomer);
  EXPECT_EQ(won->lead.counters, (Counters{.won_opportunities = 1}));
  EXPECT_EQ(won->lead.milestones.customer_time, At(2026, 2, 11));
}

TEST(CloseOpportunityTest, ALossNeedsAReasonAndMayNameTheWinner) {
  NegotiationStep open = Opened();
  CloseTerms lost{.outcome = CloseOutcome::kLost, .winning_competitor = "Difference Ltd"};
  absl::Status unsaid = CloseOpportunity(open.lead, open.opportunity, lost, On(kNow, "")).status();
  EXPECT_THAT(FieldsIn(unsaid), ElementsAre("reason"));
  absl::StatusOr<NegotiationStep> step =
      CloseOpportunity(open.lead, open.opportunity, lost, On(kNow, "price"));
  ASSERT_TRUE(step.ok());
  EXPECT_EQ(step->opportunity.close_reason, "price");
  EXPECT_EQ(step->opportunity.winning_competitor, "Difference Ltd");
  EXPECT_EQ(step->opportunity.probability_percent, 0);
  EXPECT_EQ(step->lead.stage, Stage::kProspect);
}

TEST(CloseOpportunityTest, WhatIsWrongIsSaidAtOnce) {
  NegotiationStep open = Opened();
  EXPECT_THAT(FieldsIn(CloseOpportunity(open.lead, open.opportunity, {},
                                        On({kNow.micros + kMicrosPerDay}, ""))
                           .status()),
              ElementsAre("outcome", "occur_time"));
  EXPECT_THAT(FieldsIn(CloseOpportunity(open.lead, open.opportunity,
                                        {.outcome = CloseOutcome::kWon, .winning_competitor = "x"},
                                        On(kNow))
                           .status()),
              ElementsAre("winning_competitor"));
}

TEST(CloseOpportunityTest, ACloseBeforeTheOpeningIsKeptAsItHappened) {
  NegotiationStep open = Opened();
  absl::StatusOr<NegotiationStep> won = CloseOpportunity(
      open.lead, open.opportunity, {.outcome = CloseOutcome::kWon}, On(At(2026, 1, 30)));
  ASSERT_TRUE(won.ok()) << won.status();
  EXPECT_EQ(won->opportunity.close_time, At(2026, 1, 30));
  EXPECT_THAT(won->opportunity.stage_seconds, ElementsAre(Pair("qualification", "-172800")));
  EXPECT_EQ(won->lead.milestones.customer_time, At(2026, 1, 30));
}

TEST(CloseOpportunityTest, BrokenSecondsAreRoundedDownOnBothSidesOfZero) {
  for (auto [micros, seconds] : {std::pair{int64_t{1'500'000}, "1"},
                                 {int64_t{-1'500'000}, "-2"},
                                 {int64_t{-1'000'000}, "-1"},
                                 {int64_t{-1}, "-1"}}) {
    NegotiationStep open = Opened();
    NegotiationStep won =
        CloseOpportunity(open.lead, open.opportunity, {.outcome = CloseOutcome::kWon},
                         On({open.opportunity.stage_time.micros + micros}))
            .value();
    EXPECT_THAT(won.opportunity.stage_seconds, ElementsAre(Pair("qualification", seconds)));
  }
}

TEST(CloseOpportunityTest, AClosedOneCannotBeClosedOrMovedAndAnOpenOneNotReopened) {
  NegotiationStep open = Opened();
  NegotiationStep won =
      CloseOpportunity(open.lead, open.opportunity, {.outcome = CloseOutcome::kWon}, On(kNow))
          .value();
  absl::Status again =
      CloseOpportunity(won.lead, won.opportunity, {.outcome = CloseOutcome::kWon}, On(kNow))
          .status();
  EXPECT_EQ(again.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(again), "ALREADY_CLOSED");
  EXPECT_EQ(PreconditionsIn(again)[0].type, "STATE");
  EXPECT_EQ(PreconditionsIn(again)[0].subject, Concat("opportunities/", Uuid(7)));
  EXPECT_EQ(ReasonOf(MoveOpportunity(won.opportunity, "proposal", Standard(), On(kNow)).status()),
            "ALREADY_CLOSED");
  EXPECT_EQ(ReasonOf(ReopenOpportunity(open.lead, open.opportunity, Standard(), On(kNow)).status()),
            "NOT_CLOSED");
}

TEST(ReopenOpportunityTest, BringsTheNegotiationBackToWhereItWas) {
  NegotiationStep open = Opened();
  open.opportunity.amount = Money{"EUR", 500, 0};
  open.opportunity =
      MoveOpportunity(open.opportunity, "proposal", Standard(), On(At(2026, 2, 2))).value();
  NegotiationStep lost =
      CloseOpportunity(open.lead, open.opportunity,
                       {.outcome = CloseOutcome::kLost, .winning_competitor = "x"},
                       On(At(2026, 2, 4), "price"))
          .value();
  absl::StatusOr<NegotiationStep> back = ReopenOpportunity(lost.lead, lost.opportunity, Standard(),
                                                           On(At(2026, 2, 10), "a new offer"));
  ASSERT_TRUE(back.ok()) << back.status();
  const Opportunity& o = back->opportunity;
  EXPECT_EQ(o.state, OpportunityState::kOpen);
  EXPECT_EQ(o.stage, "proposal");
  EXPECT_EQ(o.probability_percent, 30);
  EXPECT_EQ(o.stage_time, At(2026, 2, 10));
  EXPECT_EQ(o.open_time, At(2026, 2, 1));
  EXPECT_FALSE(o.close_time.has_value());
  EXPECT_EQ(o.close_reason, "");
  EXPECT_EQ(o.winning_competitor, "");
  EXPECT_EQ(o.reopen_count, 1);
  EXPECT_EQ(back->lead.stage, Stage::kOpportunity);
  EXPECT_EQ(back->lead.counters, (Counters{.open_opportunities = 1}));
  // Days while it was closed are nobody's.
  Opportunity closed =
      CloseOpportunity(back->lead, o, {.outcome = CloseOutcome::kWon}, On(At(2026, 2, 11)))
          ->opportunity;
  EXPECT_EQ(closed.stage_seconds.at("proposal"), "259200");  // 2 days, then 1
}

TEST(ReopenOpportunityTest, NeedsAReasonAndMayNotPrecedeTheClose) {
  NegotiationStep open = Opened();
  NegotiationStep won = CloseOpportunity(open.lead, open.opportunity,
                                         {.outcome = CloseOutcome::kWon}, On(At(2026, 2, 4)))
                            .value();
  EXPECT_THAT(
      FieldsIn(ReopenOpportunity(won.lead, won.opportunity, Standard(), On(kNow, "")).status()),
      ElementsAre("reason"));
  EXPECT_THAT(FieldsIn(ReopenOpportunity(won.lead, won.opportunity, Standard(),
                                         On({At(2026, 2, 4).micros - 1}))
                           .status()),
              ElementsAre("occur_time"));
}

TEST(ReopenOpportunityTest, ADisqualifiedLeadStaysOut) {
  NegotiationStep open = Opened();
  NegotiationStep lost =
      CloseOpportunity(open.lead, open.opportunity, {.outcome = CloseOutcome::kLost}, On(kNow))
          .value();
  Lead out = Transit(lost.lead, Trigger::kDisqualifyLead, On(kNow)).value();
  EXPECT_EQ(ReasonOf(ReopenOpportunity(out, lost.opportunity, Standard(), On(kNow)).status()),
            "ILLEGAL_TRANSITION");
}

TEST(ReopenOpportunityTest, AStageThatIsGoneGivesWayToTheFirst) {
  NegotiationStep open = Opened();
  NegotiationStep lost =
      CloseOpportunity(open.lead, open.opportunity, {.outcome = CloseOutcome::kLost}, On(kNow))
          .value();
  lost.opportunity.stage = "of a pipeline long gone";
  EXPECT_EQ(ReopenOpportunity(lost.lead, lost.opportunity, Standard(), On(kNow))->opportunity.stage,
            "qualification");
}

}  // namespace
}  // namespace relais::domain
