#include "server/domain/lifecycle.h"

#include <map>
#include <optional>
#include <string>

#include "tests/domain/samples.h"

namespace relais::domain {
namespace {

using enum Trigger;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const Timestamp kNow = At(2026, 3, 1, 3600);
const Timestamp kThen = At(2026, 2, 1);

TransitionContext Context(CloseOutcome outcome = CloseOutcome::kUnspecified) {
  return {.now = kNow, .occur_time = kThen, .reason = "because", .outcome = outcome};
}

// A lead of each stage as it would have come there.
Lead Typical(Stage stage) {
  Lead lead = LeadIn(stage);
  Milestones& marks = lead.milestones;
  marks.stage_time = At(2026, 1, 10);
  if (stage != Stage::kLead) marks.prospect_time = At(2026, 1, 2);
  if (stage == Stage::kOpportunity || stage == Stage::kCustomer) {
    marks.opportunity_time = At(2026, 1, 3);
  }
  if (stage == Stage::kOpportunity) lead.counters.open_opportunities = 1;
  if (stage == Stage::kCustomer) {
    lead.counters.won_opportunities = 1;
    marks.customer_time = At(2026, 1, 10);
  }
  if (stage == Stage::kDisqualified) {
    marks.disqualified_time = At(2026, 1, 10);
    lead.disqualify_reason = "no budget";
  }
  return lead;
}

// The rules of the lifecycle once more, by hand and not from the table: the stage after the
// trigger, nullopt where it is refused. Closing is told apart by its counters in tests of its own.
std::optional<Stage> Expected(Stage from, Trigger trigger) {
  switch (trigger) {
    case kCaptureLead:
      return from == Stage::kUnspecified ? Stage::kLead : from;
    case kQualifyLead:
      if (from == Stage::kLead) return Stage::kProspect;
      return std::nullopt;
    case kDisqualifyLead:
      if (from == Stage::kLead || from == Stage::kProspect) return Stage::kDisqualified;
      return std::nullopt;
    case kRecycleLead:
      if (from == Stage::kDisqualified) return Stage::kLead;
      return std::nullopt;
    case kCreateOpportunity:
    case kReopenOpportunity:
      if (from == Stage::kProspect || from == Stage::kOpportunity || from == Stage::kCustomer) {
        return Stage::kOpportunity;
      }
      return std::nullopt;
    case kCloseOpportunity:
      if (from == Stage::kOpportunity) return Stage::kCustomer;  // the last one, won
      return std::nullopt;
    case kRejectHandoff:
      if (from == Stage::kLead || from == Stage::kProspect) return Stage::kLead;
      return std::nullopt;
    case kCreateHandoff:
      if (from == Stage::kLead || from == Stage::kProspect) return from;
      return std::nullopt;
    case kAcceptHandoff:
      if (from == Stage::kLead || from == Stage::kProspect || from == Stage::kOpportunity) {
        return from;
      }
      return std::nullopt;
  }
  return std::nullopt;
}

constexpr Stage kAllSources[] = {Stage::kUnspecified, Stage::kLead,     Stage::kProspect,
                                 Stage::kOpportunity, Stage::kCustomer, Stage::kDisqualified};

TEST(LifecycleTest, EveryCellOfStageTimesTriggerLeadsWhereItShouldOrIsRefused) {
  int allowed = 0;
  int refused = 0;
  for (Stage from : kAllSources) {
    for (Trigger trigger : kTriggers) {
      SCOPED_TRACE(Concat(NameOf(from), " x ", NameOf(trigger)));
      Lead before = Typical(from);
      CloseOutcome outcome = CloseOutcome::kWon;
      if (trigger == kReopenOpportunity) {
        outcome = CloseOutcome::kLost;
        before.counters.lost_opportunities = 1;
      }
      absl::StatusOr<Lead> after = Transit(before, trigger, Context(outcome));
      std::optional<Stage> expected = Expected(from, trigger);
      if (!expected.has_value()) {
        ++refused;
        ASSERT_FALSE(after.ok());
        EXPECT_EQ(after.status().code(), absl::StatusCode::kFailedPrecondition);
        EXPECT_EQ(ReasonOf(after.status()), "ILLEGAL_TRANSITION");
        std::vector<PreconditionViolation> violations = PreconditionsIn(after.status());
        ASSERT_EQ(violations.size(), 1u);
        EXPECT_EQ(violations[0].type, "STAGE");
        EXPECT_EQ(violations[0].subject, NameOf(before.id));
        EXPECT_THAT(violations[0].description, HasSubstr(std::string(NameOf(from))));
        for (Trigger other : AllowedFrom(from)) {
          EXPECT_NE(other, trigger);
          EXPECT_THAT(violations[0].description, HasSubstr(std::string(NameOf(other))));
        }
        continue;
      }
      ++allowed;
      ASSERT_TRUE(after.ok()) << after.status();
      EXPECT_EQ(NameOf(after->stage), NameOf(*expected));
      EXPECT_THAT(AllowedFrom(from), ::testing::Contains(trigger));
      // Whoever stays keeps the time at which the stage was entered.
      EXPECT_EQ(after->milestones.stage_time,
                *expected == from ? before.milestones.stage_time : kThen);
    }
  }
  EXPECT_EQ(allowed, 24);
  EXPECT_EQ(refused, 6 * 10 - 24);
}

TEST(LifecycleTest, ClosingFollowsWhatStaysOpenAndWhatStands) {
  struct Case {
    int64_t open, won, lost;
    CloseOutcome outcome;
    Stage to;
  };
  for (const Case& c : {
           Case{1, 0, 0, CloseOutcome::kWon, Stage::kCustomer},
           Case{1, 0, 0, CloseOutcome::kLost, Stage::kProspect},
           Case{1, 1, 0, CloseOutcome::kLost, Stage::kCustomer},
           Case{1, 0, 5, CloseOutcome::kLost, Stage::kProspect},
           Case{2, 0, 0, CloseOutcome::kWon, Stage::kOpportunity},
           Case{2, 0, 0, CloseOutcome::kLost, Stage::kOpportunity},
           Case{3, 2, 1, CloseOutcome::kLost, Stage::kOpportunity},
       }) {
    Lead before = Typical(Stage::kOpportunity);
    before.counters = {
        .open_opportunities = c.open, .won_opportunities = c.won, .lost_opportunities = c.lost};
    absl::StatusOr<Lead> after = Transit(before, kCloseOpportunity, Context(c.outcome));
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_EQ(NameOf(after->stage), NameOf(c.to)) << c.open << c.won << c.lost;
    EXPECT_EQ(after->counters.open_opportunities, c.open - 1);
    EXPECT_EQ(after->counters.won_opportunities, c.won + (c.outcome == CloseOutcome::kWon));
    EXPECT_EQ(after->counters.lost_opportunities, c.lost + (c.outcome == CloseOutcome::kLost));
  }
}

TEST(LifecycleTest, AReopenedWinThatIsThenLostWasNeverAWin) {
  Lead customer = Typical(Stage::kCustomer);
  absl::StatusOr<Lead> open = Transit(customer, kReopenOpportunity, Context(CloseOutcome::kWon));
  ASSERT_TRUE(open.ok()) << open.status();
  EXPECT_EQ(open->stage, Stage::kOpportunity);
  EXPECT_EQ(open->counters.won_opportunities, 0);
  EXPECT_FALSE(open->milestones.customer_time.has_value());

  absl::StatusOr<Lead> lost = Transit(*open, kCloseOpportunity, Context(CloseOutcome::kLost));
  ASSERT_TRUE(lost.ok());
  EXPECT_EQ(lost->stage, Stage::kProspect);
  EXPECT_FALSE(lost->milestones.customer_time.has_value());

  absl::StatusOr<Lead> won = Transit(*open, kCloseOpportunity, Context(CloseOutcome::kWon));
  ASSERT_TRUE(won.ok());
  EXPECT_EQ(won->stage, Stage::kCustomer);
  EXPECT_EQ(won->milestones.customer_time, kThen);
}

TEST(LifecycleTest, AWinThatStandsKeepsTheCustomerWhenAnotherIsReopenedAndLost) {
  Lead customer = Typical(Stage::kCustomer);
  customer.counters.won_opportunities = 2;
  absl::StatusOr<Lead> open = Transit(customer, kReopenOpportunity, Context(CloseOutcome::kWon));
  ASSERT_TRUE(open.ok());
  EXPECT_EQ(open->milestones.customer_time, customer.milestones.customer_time);
  absl::StatusOr<Lead> lost = Transit(*open, kCloseOpportunity, Context(CloseOutcome::kLost));
  ASSERT_TRUE(lost.ok());
  EXPECT_EQ(lost->stage, Stage::kCustomer);
  EXPECT_EQ(lost->milestones.customer_time, customer.milestones.customer_time);
}

TEST(LifecycleTest, FirstTimesAreKeptWhenAStageIsEnteredAgain) {
  Lead lead = Typical(Stage::kLead);
  lead.milestones.prospect_time = At(2025, 5, 5);
  EXPECT_EQ(Transit(lead, kQualifyLead, Context())->milestones.prospect_time, At(2025, 5, 5));
  Lead prospect = Typical(Stage::kProspect);
  prospect.milestones.opportunity_time = At(2025, 6, 6);
  absl::StatusOr<Lead> open = Transit(prospect, kCreateOpportunity, Context());
  EXPECT_EQ(open->milestones.opportunity_time, At(2025, 6, 6));
  EXPECT_EQ(open->milestones.stage_time, kThen);
}

TEST(LifecycleTest, DisqualifyingAndRecyclingKeepTheirReasonTimesAndCycle) {
  absl::StatusOr<Lead> out = Transit(Typical(Stage::kProspect), kDisqualifyLead, Context());
  ASSERT_TRUE(out.ok());
  EXPECT_EQ(out->disqualify_reason, "because");
  EXPECT_EQ(out->milestones.disqualified_time, kThen);
  EXPECT_EQ(out->milestones.recycle_count, 0);

  absl::StatusOr<Lead> back = Transit(*out, kRecycleLead, Context());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->stage, Stage::kLead);
  EXPECT_EQ(back->disqualify_reason, "");
  EXPECT_EQ(back->milestones.recycled_time, kThen);
  EXPECT_EQ(back->milestones.recycle_count, 1);
  EXPECT_EQ(back->milestones.disqualified_time, kThen);
  EXPECT_EQ(back->milestones.prospect_time, At(2026, 1, 2));
}

TEST(LifecycleTest, AStepThatNeedsAReasonIsRefusedWithoutOne) {
  for (Trigger trigger : kTriggers) {
    TransitionContext context = Context(CloseOutcome::kLost);
    context.reason.clear();
    // From a stage where nothing else is wrong.
    for (const LifecycleRow& row : Lifecycle()) {
      if (row.trigger != trigger) continue;
      Lead before = Typical(row.from);
      before.counters.lost_opportunities = 1;
      absl::StatusOr<Lead> after = Transit(before, trigger, context);
      bool needs = trigger == kDisqualifyLead || trigger == kRecycleLead ||
                   trigger == kReopenOpportunity || trigger == kRejectHandoff;
      EXPECT_EQ(after.ok(), !needs) << NameOf(trigger) << after.status();
      if (needs) {
        EXPECT_EQ(after.status().code(), absl::StatusCode::kInvalidArgument);
        EXPECT_THAT(FieldsIn(after.status()), ElementsAre("reason"));
      }
    }
  }
}

TEST(LifecycleTest, TheFutureIsRefusedBeyondFiveMinutesAndThePastIsNot) {
  TransitionContext context = Context();
  context.occur_time = {kNow.micros + kClockSkewMicros};
  EXPECT_TRUE(Transit(Typical(Stage::kLead), kQualifyLead, context).ok());
  context.occur_time.micros += 1;
  absl::StatusOr<Lead> refused = Transit(Typical(Stage::kLead), kQualifyLead, context);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(FieldsIn(refused.status()), ElementsAre("occur_time"));
  context.occur_time = At(1815, 6, 18);
  EXPECT_TRUE(Transit(Typical(Stage::kLead), kQualifyLead, context).ok());
}

TEST(LifecycleTest, EverythingWrongWithARequestIsSaidAtOnce) {
  TransitionContext context = Context();
  context.occur_time = {kNow.micros + 2 * kClockSkewMicros};
  context.reason.clear();
  absl::StatusOr<Lead> refused = Transit(Typical(Stage::kLead), kDisqualifyLead, context);
  EXPECT_THAT(FieldsIn(refused.status()), ElementsAre("occur_time", "reason"));
}

TEST(LifecycleTest, CountersThatDoNotHoldTheOpportunityAreAFaultOfOurs) {
  Lead lead = Typical(Stage::kProspect);
  absl::StatusOr<Lead> after = Transit(lead, kReopenOpportunity, Context(CloseOutcome::kWon));
  EXPECT_EQ(after.status().code(), absl::StatusCode::kInternal);
}

TEST(LifecycleTest, NothingButStageMilestonesReasonAndCountersChanges) {
  for (const LifecycleRow& row : Lifecycle()) {
    Lead before = Typical(row.from);
    before.counters.lost_opportunities = 1;
    before.person.given_name = "Ada";
    before.score = 7;
    before.update_time = kThen;
    before.revision = 4;
    absl::StatusOr<Lead> after = Transit(before, row.trigger, Context(CloseOutcome::kLost));
    ASSERT_TRUE(after.ok()) << after.status();
    Lead rest = *after;
    rest.stage = before.stage;
    rest.milestones = before.milestones;
    rest.counters = before.counters;
    rest.disqualify_reason = before.disqualify_reason;
    EXPECT_EQ(rest, before) << NameOf(row.trigger);
  }
}

TEST(LifecycleTest, TheTableHasNoTwoRowsForOneCase) {
  std::map<std::string, int> cases;
  for (const LifecycleRow& row : Lifecycle()) {
    ++cases[Concat(NameOf(row.from), NameOf(row.trigger), static_cast<int>(row.guard))];
  }
  for (const auto& [name, count] : cases) EXPECT_EQ(count, 1) << name;
}

TEST(LifecycleTest, TheDiagramShowsEveryRowThatIsNotThereToLetALeadStay) {
  std::string diagram = LifecycleDiagram();
  EXPECT_THAT(diagram, ::testing::StartsWith("stateDiagram-v2\n    [*] --> LEAD: CaptureLead\n"));
  EXPECT_THAT(diagram, ::testing::EndsWith("\n"));
  for (const LifecycleRow& row : Lifecycle()) {
    if (row.from == Stage::kUnspecified) continue;
    std::string edge = Concat("    ", NameOf(row.from), " --> ", NameOf(row.to), ": ");
    size_t at = diagram.find(edge);
    const bool handoff = row.trigger == kCreateHandoff || row.trigger == kAcceptHandoff ||
                         row.trigger == kRejectHandoff;
    if (row.trigger == kCaptureLead || (handoff && row.from == row.to)) continue;
    ASSERT_NE(at, std::string::npos) << edge;
    EXPECT_THAT(diagram, HasSubstr(std::string(NameOf(row.trigger))));
  }
  EXPECT_THAT(diagram, HasSubstr("PROSPECT --> OPPORTUNITY: CreateOpportunity, ReopenOpportunity"));
  EXPECT_THAT(diagram,
              HasSubstr("OPPORTUNITY --> CUSTOMER: CloseOpportunity (the last open one, a win"));
  EXPECT_THAT(diagram, Not(HasSubstr("CUSTOMER --> CUSTOMER")));
  EXPECT_THAT(diagram, Not(HasSubstr("UNSPECIFIED")));
  // A semicolon ends a statement of Mermaid, also inside a label.
  EXPECT_THAT(diagram, Not(HasSubstr(";")));
}

TEST(LifecycleTest, AllowedTriggersAreThoseOfTheContract) {
  EXPECT_THAT(AllowedFrom(Stage::kLead),
              ElementsAre(kCaptureLead, kQualifyLead, kDisqualifyLead, kRejectHandoff,
                          kCreateHandoff, kAcceptHandoff));
  EXPECT_THAT(AllowedFrom(Stage::kOpportunity),
              ElementsAre(kCaptureLead, kCreateOpportunity, kReopenOpportunity, kCloseOpportunity,
                          kAcceptHandoff));
  EXPECT_THAT(AllowedFrom(Stage::kDisqualified), ElementsAre(kCaptureLead, kRecycleLead));
  EXPECT_THAT(AllowedFrom(Stage::kUnspecified), ElementsAre(kCaptureLead));
}

TEST(LifecycleTest, TheDraftOfATransitionCarriesWhatItRestedOn) {
  EventDraft draft = TransitionDraft(Context(), "leads/1/assessments/2", "scoringModels/b2b@1");
  EXPECT_EQ(draft.type, EventType::kLeadTransitioned);
  EXPECT_EQ(draft.occur_time, kThen);
  EXPECT_EQ(draft.reason, "because");
  EXPECT_EQ(draft.basis, "leads/1/assessments/2");
  EXPECT_EQ(draft.rule_version, "scoringModels/b2b@1");
}

}  // namespace
}  // namespace relais::domain
