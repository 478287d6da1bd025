// Random lives of leads: after every step, taken or refused, the rules of the domain hold, and at
// the end the log alone gives the same lead, the same evidence and the same score.

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

#include "server/domain/builtin.h"
#include "server/domain/consent.h"
#include "server/domain/criteria.h"
#include "server/domain/identity.h"
#include "server/domain/invariants.h"
#include "server/domain/lifecycle.h"
#include "server/domain/negotiation.h"
#include "server/domain/replay.h"
#include "server/domain/scoring.h"
#include "server/domain/status_macros.h"
#include "tests/domain/samples.h"

namespace relais::domain {
namespace {

using ::testing::IsEmpty;

constexpr int kHistories = 10'000;
constexpr int kSteps = 16;
constexpr uint32_t kSeed = 20260301;

// What the test knows by itself of the lead: the rules of the contract in their plainest form.
struct Shadow {
  Stage stage = Stage::kLead;
  int recycled = 0;
};

class History {
 public:
  explicit History(uint32_t seed) : random_(seed) {}

  void Begin() {
    Lead captured;
    captured.person.emails = {{"ada@example.org", ""}};
    if (Pick(2) == 0) captured.organization.display_name = "Analytical Engines";
    CapturedLead made =
        CaptureLead(captured, {}, {.new_id = LeadId(Uuid(1)), .now = now_, .occur_time = now_})
            .value();
    made.lead.create_time = now_;
    ASSERT_TRUE(Keep(made.lead, EventType::kLeadCreated).ok());
    Check();
  }

  void Step() {
    now_.micros += Pick(60) * kMicrosPerDay / 4 + Pick(1000) + 1;
    Shadow expected = shadow_;
    absl::Status status = Act(expected);
    if (status.ok()) {
      ++taken_;
      shadow_ = expected;
    } else {
      ++refused_;
      EXPECT_TRUE(status.code() == absl::StatusCode::kFailedPrecondition ||
                  status.code() == absl::StatusCode::kInvalidArgument)
          << status;
      EXPECT_NE(ReasonOf(status), "");
    }
    Check();
  }

  void End() {
    absl::StatusOr<Lead> replayed = ReplayLead(lead_.id, events_);
    ASSERT_TRUE(replayed.ok());
    EXPECT_EQ(WithoutTimeDependent(*replayed), WithoutTimeDependent(lead_));
    const CompiledModel& model = BuiltInConfig().model(lead_.market);
    absl::StatusOr<ReplayedScore> score = ReplayScore(model, lead_.id, events_, kept_at_);
    ASSERT_TRUE(score.ok());
    EXPECT_EQ(score->state.Format(), lead_.score_state);
    EXPECT_EQ(score->breakdown.score, lead_.score);
    EXPECT_EQ(score->breakdown.next_score_time, lead_.next_score_time);
    EXPECT_EQ(WithoutTimeDependent(ReplayLead(lead_.id, events_, copied_at_).value()),
              WithoutTimeDependent(copy_));
    for (const Opportunity& opportunity : opportunities_) {
      EXPECT_EQ(ReplayOpportunity(opportunity.id, events_).value(), opportunity);
    }
  }

  int taken() const { return taken_; }
  int refused() const { return refused_; }
  Stage stage() const { return lead_.stage; }

 private:
  int64_t Pick(int64_t n) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(n)); }

  static Lead WithoutTimeDependent(Lead lead) {
    lead.score_state.clear();
    lead.next_score_time.reset();
    return lead;
  }

  TransitionContext Context() {
    // Mostly now, sometimes long ago, sometimes in the future, sometimes without a reason.
    Timestamp occur = now_;
    if (Pick(4) == 0) occur.micros -= Pick(400) * kMicrosPerDay;
    if (Pick(40) == 0) occur.micros += kMicrosPerDay;
    return {.now = now_, .occur_time = occur, .reason = Pick(20) == 0 ? "" : "because"};
  }

  template <class E>
  void Record(EventType type, std::string subject, const E& before, const E& after) {
    Event event;
    event.number = static_cast<int64_t>(events_.size()) + 1;
    event.record_time = {std::max(now_.micros, last_record_ + 1)};
    last_record_ = event.record_time.micros;
    event.type = type;
    event.subject = std::move(subject);
    event.lead = LeadId(Uuid(1));
    event.changes = Diff(before, after);
    events_.push_back(std::move(event));
  }

  absl::Status Keep(Lead lead, EventType type) {
    RETURN_IF_ERROR(Rescore(lead, BuiltInConfig().model(lead.market), now_));
    lead.update_time = now_;
    Record(type, NameOf(lead.id), lead_, lead);
    lead_ = std::move(lead);
    kept_at_ = {last_record_};
    if (copied_at_.micros < 0 || Pick(4) == 0) {
      copy_ = lead_;
      copied_at_ = kept_at_;
    }
    return absl::OkStatus();
  }

  absl::Status Transition(Trigger trigger) {
    ASSIGN_OR_RETURN(Lead after, Transit(lead_, trigger, Context()));
    return Keep(std::move(after), EventType::kLeadTransitioned);
  }

  absl::Status RecordTouchpoint(Lead lead) {
    Touchpoint touchpoint;
    touchpoint.id = TouchpointId(Uuid(1000 + static_cast<int>(events_.size())));
    touchpoint.lead = lead.id;
    touchpoint.kind = static_cast<TouchpointKind>(1 + Pick(25));
    touchpoint.occur_time = {now_.micros - Pick(3) * Pick(300) * kMicrosPerDay};
    touchpoint.create_time = now_;
    RETURN_IF_ERROR(ApplyTouchpoint(lead, touchpoint, BuiltInConfig().model(lead.market), now_));
    // The touchpoint first, so that the moment at which the lead is kept is the later one.
    Record(EventType::kTouchpointRecorded, NameOf(lead.id, touchpoint.id), Touchpoint{},
           touchpoint);
    return Keep(std::move(lead), EventType::kLeadUpdated);
  }

  absl::Status Capture() {
    Lead captured;
    captured.person.emails = {{"ada@example.org", ""}};
    captured.needs = {Concat("need ", Pick(3))};
    if (Pick(2) == 0) captured.person.country = "FR";
    std::vector<IdentityFinding> findings = {{KeyOf(captured.person.emails[0]), &lead_}};
    ASSIGN_OR_RETURN(CapturedLead result,
                     CaptureLead(captured, findings,
                                 {.new_id = LeadId(Uuid(9)), .now = now_, .occur_time = now_}));
    EXPECT_EQ(result.outcome, CaptureOutcome::kMatched);
    return RecordTouchpoint(std::move(result.lead));
  }

  absl::Status SetConsent() {
    Lead lead = lead_;
    Consent consent;
    consent.channel = static_cast<ConsentChannel>(1 + Pick(5));
    consent.purpose = ConsentPurpose::kMarketing;
    consent.state = Pick(2) ? ConsentState::kGranted : ConsentState::kWithdrawn;
    consent.occur_time = {now_.micros - Pick(100) * kMicrosPerDay};
    ApplyConsent(lead, consent);
    return Keep(std::move(lead), EventType::kLeadUpdated);
  }

  absl::Status AnswerCriteria() {
    const QualificationPolicy& policy = BuiltInConfig().policy(lead_.market);
    std::vector<Answer> answers;
    for (const Criterion& criterion : policy.criteria) {
      if (Pick(6) == 0) continue;
      Answer answer;
      answer.criterion = criterion.id;
      answer.state = Pick(6) == 0 ? CriterionState::kNotMet : CriterionState::kMet;
      answers.push_back(answer);
    }
    Assessment draft;
    draft.id = AssessmentId(Uuid(2000 + static_cast<int>(assessments_.size())));
    draft.lead = lead_.id;
    draft.occur_time = {now_.micros - Pick(2) * Pick(200) * kMicrosPerDay};
    draft.create_time = now_;
    ASSIGN_OR_RETURN(Assessment kept, Assess(policy, draft, answers, now_));
    assessments_.push_back(std::move(kept));
    return absl::OkStatus();
  }

  absl::Status QualifyNow() {
    TransitionContext context = Context();
    ASSIGN_OR_RETURN(QualifyOutcome outcome,
                     Qualify(lead_, assessments_, BuiltInConfig().policy(lead_.market), context));
    return Keep(std::move(outcome.lead), EventType::kLeadTransitioned);
  }

  absl::Status KeepStep(NegotiationStep step, EventType type, Opportunity& slot) {
    EXPECT_EQ(step.lead_moved, step.lead.stage != lead_.stage);
    step.opportunity.update_time = now_;
    Record(type, NameOf(step.opportunity.id), slot, step.opportunity);
    slot = std::move(step.opportunity);
    return Keep(std::move(step.lead),
                step.lead_moved ? EventType::kLeadTransitioned : EventType::kLeadUpdated);
  }

  absl::Status Open() {
    Opportunity draft;
    draft.id = OpportunityId(Uuid(3000 + static_cast<int>(opportunities_.size())));
    draft.intention = Pick(20) == 0 ? "" : "wants an engine";
    if (Pick(2)) draft.amount = Money{"EUR", 1 + Pick(1000), 0};
    ASSIGN_OR_RETURN(NegotiationStep step,
                     OpenOpportunity(lead_, draft, BuiltInConfig().pipeline(), Context()));
    opportunities_.emplace_back();
    return KeepStep(std::move(step), EventType::kOpportunityCreated, opportunities_.back());
  }

  Opportunity* Any() {
    return opportunities_.empty() ? nullptr
                                  : &opportunities_[static_cast<size_t>(
                                        Pick(static_cast<int64_t>(opportunities_.size())))];
  }

  absl::Status Move() {
    Opportunity* opportunity = Any();
    if (opportunity == nullptr) return InvalidField("opportunity", "none");
    const std::vector<PipelineStage>& stages = BuiltInConfig().pipeline().stages;
    std::string stage = stages[static_cast<size_t>(Pick(static_cast<int64_t>(stages.size())))].id;
    ASSIGN_OR_RETURN(Opportunity moved,
                     MoveOpportunity(*opportunity, stage, BuiltInConfig().pipeline(), Context()));
    Record(EventType::kOpportunityMoved, NameOf(moved.id), *opportunity, moved);
    *opportunity = std::move(moved);
    return absl::OkStatus();
  }

  absl::Status Close() {
    Opportunity* opportunity = Any();
    if (opportunity == nullptr) return InvalidField("opportunity", "none");
    CloseTerms terms{.outcome = static_cast<CloseOutcome>(1 + Pick(2))};
    ASSIGN_OR_RETURN(NegotiationStep step, CloseOpportunity(lead_, *opportunity, terms, Context()));
    return KeepStep(std::move(step), EventType::kOpportunityClosed, *opportunity);
  }

  absl::Status Reopen() {
    Opportunity* opportunity = Any();
    if (opportunity == nullptr) return InvalidField("opportunity", "none");
    ASSIGN_OR_RETURN(NegotiationStep step,
                     ReopenOpportunity(lead_, *opportunity, BuiltInConfig().pipeline(), Context()));
    return KeepStep(std::move(step), EventType::kOpportunityReopened, *opportunity);
  }

  bool AnyIn(OpportunityState state) const {
    return std::any_of(opportunities_.begin(), opportunities_.end(),
                       [&](const Opportunity& o) { return o.state == state; });
  }

  absl::Status Act(Shadow& expected) {
    switch (Pick(13)) {
      case 0:
        return Capture();
      case 1:
        return RecordTouchpoint(lead_);
      case 2:
        return SetConsent();
      case 3:
        return AnswerCriteria();
      case 4:
        // Whoever is to get far must be assessed: most histories would end at LEAD otherwise.
        RETURN_IF_ERROR(AnswerCriteria());
        expected.stage = Stage::kProspect;
        return QualifyNow();
      case 5:
        if (Pick(3) != 0) return InvalidField("dice", "too many would leave early");
        expected.stage = Stage::kDisqualified;
        return Transition(Trigger::kDisqualifyLead);
      case 6:
        expected.stage = Stage::kLead;
        ++expected.recycled;
        return Transition(Trigger::kRecycleLead);
      case 7:
      case 8:
        expected.stage = Stage::kOpportunity;
        return Open();
      case 9:
        return Move();
      case 10: {
        RETURN_IF_ERROR(Close());
        expected.stage = AnyIn(OpportunityState::kOpen)  ? Stage::kOpportunity
                         : AnyIn(OpportunityState::kWon) ? Stage::kCustomer
                                                         : Stage::kProspect;
        return absl::OkStatus();
      }
      case 11:
        expected.stage = Stage::kOpportunity;
        return Reopen();
      default:
        if (Pick(3) == 0) {
          expected.stage = Stage::kLead;
          return Transition(Trigger::kRejectHandoff);
        }
        return Keep(lead_, EventType::kLeadRescored);
    }
  }

  void Check() {
    EXPECT_THAT(CheckInvariants(lead_, opportunities_), IsEmpty());
    EXPECT_EQ(NameOf(lead_.stage), NameOf(shadow_.stage));
    EXPECT_EQ(lead_.milestones.recycle_count, shadow_.recycled);
    // Whoever may leave by a trigger is told so, and only he.
    for (Trigger trigger : {Trigger::kQualifyLead, Trigger::kDisqualifyLead, Trigger::kRecycleLead,
                            Trigger::kRejectHandoff}) {
      std::vector<Trigger> allowed = AllowedFrom(lead_.stage);
      bool listed = std::find(allowed.begin(), allowed.end(), trigger) != allowed.end();
      TransitionContext context{.now = now_, .occur_time = now_, .reason = "because"};
      EXPECT_EQ(Transit(lead_, trigger, context).ok(), listed);
    }
  }

  std::mt19937 random_;
  Timestamp now_ = At(2024, 1, 1, 3600);
  int64_t last_record_ = 0;
  Lead lead_;
  Lead copy_;
  Timestamp kept_at_, copied_at_ = {-1};
  Shadow shadow_;
  std::vector<Opportunity> opportunities_;
  std::vector<Assessment> assessments_;
  std::vector<Event> events_;
  int taken_ = 0, refused_ = 0;
};

TEST(HistoriesTest, TenThousandRandomLivesKeepEveryRuleAndCanBeReplayed) {
  int64_t taken = 0;
  int64_t refused = 0;
  std::array<int, 6> ends{};
  for (int i = 0; i < kHistories; ++i) {
    SCOPED_TRACE(Concat("history ", i, ", seed ", kSeed + static_cast<uint32_t>(i)));
    History history(kSeed + static_cast<uint32_t>(i));
    history.Begin();
    for (int step = 0; step < kSteps; ++step) history.Step();
    history.End();
    if (HasFailure()) return;  // one broken history says enough
    taken += history.taken();
    refused += history.refused();
    ++ends[static_cast<size_t>(history.stage())];
  }
  // The dice reach every stage, and both answers are common.
  EXPECT_GT(taken, kHistories * 5);
  EXPECT_GT(refused, kHistories * 3);
  for (Stage stage : kStages) {
    EXPECT_GT(ends[static_cast<size_t>(stage)], kHistories / 200) << NameOf(stage);
  }
}

TEST(InvariantsTest, EachBrokenRuleIsTold) {
  Lead lead = LeadIn(Stage::kCustomer);
  lead.milestones.stage_time = At(2026, 1, 1);
  lead.milestones.prospect_time = At(2026, 1, 1);
  lead.milestones.opportunity_time = At(2026, 1, 1);
  lead.milestones.customer_time = At(2026, 1, 1);
  lead.counters.won_opportunities = 1;
  Opportunity won;
  won.id = OpportunityId(Uuid(2));
  won.lead = lead.id;
  won.lead_name = NameOf(lead.id);
  won.state = OpportunityState::kWon;
  won.stage = "proposal";
  won.probability_percent = 100;
  won.close_time = At(2026, 1, 1);
  ASSERT_THAT(CheckInvariants(lead, {won}), IsEmpty());

  auto broken = [&](auto spoil) {
    Lead l = lead;
    Opportunity o = won;
    spoil(l, o);
    return CheckInvariants(l, {o}).size();
  };
  EXPECT_GE(broken([](Lead& l, Opportunity&) { l.stage = Stage::kProspect; }), 1u);
  EXPECT_GE(broken([](Lead& l, Opportunity&) { l.stage = Stage::kLead; }), 1u);
  EXPECT_GE(broken([](Lead& l, Opportunity&) { l.stage = Stage::kOpportunity; }), 1u);
  EXPECT_GE(broken([](Lead& l, Opportunity&) { l.stage = Stage::kDisqualified; }), 2u);
  EXPECT_GE(broken([](Lead& l, Opportunity&) { l.stage = Stage::kUnspecified; }), 1u);
  EXPECT_GE(broken([](Lead& l, Opportunity&) { l.milestones.stage_time.reset(); }), 1u);
  EXPECT_GE(broken([](Lead& l, Opportunity&) { l.milestones.customer_time.reset(); }), 1u);
  EXPECT_GE(broken([](Lead& l, Opportunity&) { l.milestones.opportunity_time.reset(); }), 1u);
  EXPECT_GE(broken([](Lead& l, Opportunity&) { l.milestones.prospect_time.reset(); }), 1u);
  EXPECT_GE(broken([](Lead& l, Opportunity&) { l.milestones.recycle_count = 1; }), 1u);
  EXPECT_GE(broken([](Lead& l, Opportunity&) { l.disqualify_reason = "x"; }), 1u);
  EXPECT_GE(broken([](Lead& l, Opportunity&) { l.counters.won_opportunities = 2; }), 1u);
  EXPECT_GE(broken([](Lead& l, Opportunity&) { l.counters.lost_opportunities = 1; }), 1u);
  EXPECT_GE(broken([](Lead& l, Opportunity&) { l.score = 1; }), 1u);
  EXPECT_GE(broken([](Lead& l, Opportunity&) { l.market = Market::kUnspecified; }), 1u);
  EXPECT_GE(broken([](Lead&, Opportunity& o) { o.close_time.reset(); }), 1u);
  EXPECT_GE(broken([](Lead&, Opportunity& o) { o.probability_percent = 60; }), 1u);
  EXPECT_GE(broken([](Lead&, Opportunity& o) { o.state = OpportunityState::kLost; }), 2u);
  EXPECT_GE(broken([](Lead&, Opportunity& o) { o.lead = LeadId(Uuid(5)); }), 1u);
  EXPECT_GE(broken([](Lead&, Opportunity& o) { o.stage.clear(); }), 1u);
}

}  // namespace
}  // namespace relais::domain
