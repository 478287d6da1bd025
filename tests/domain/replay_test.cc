#include "server/domain/replay.h"

#include <string>
#include <vector>

#include "server/domain/builtin.h"
#include "server/domain/lifecycle.h"
#include "tests/domain/samples.h"

namespace relais::domain {
namespace {

using ::testing::IsEmpty;

// A log as storage would write it: numbers without gaps, one second between two events.
class Log {
 public:
  template <class E>
  Timestamp Add(EventType type, std::string subject, const LeadId& lead, const E& before,
                const E& after) {
    Event event;
    event.number = static_cast<int64_t>(events_.size()) + 1;
    event.record_time = At(2026, 1, 1, event.number);
    event.type = type;
    event.subject = std::move(subject);
    event.lead = lead;
    event.changes = Diff(before, after);
    events_.push_back(std::move(event));
    return events_.back().record_time;
  }

  Timestamp AddLead(EventType type, const Lead& before, const Lead& after) {
    return Add(type, NameOf(after.id), after.id, before, after);
  }

  std::vector<Event>& events() { return events_; }

 private:
  std::vector<Event> events_;
};

Lead Ada() {
  Lead lead = LeadIn(Stage::kLead);
  lead.person.given_name = "Ada";
  lead.person.emails = {{"ada@example.org", "work"}};
  lead.milestones.stage_time = At(2025, 12, 31);
  return lead;
}

TEST(ReplayLeadTest, GivesTheLeadAsItWasRecordedAtEachMoment) {
  Log log;
  Lead first = Ada();
  Timestamp t1 = log.AddLead(EventType::kLeadCreated, Lead{}, first);
  Lead second = first;
  second.person.family_name = "Lovelace";
  second.person.given_name = "Augusta";
  Timestamp t2 = log.AddLead(EventType::kLeadUpdated, first, second);
  Lead third = second;
  third.stage = Stage::kProspect;
  third.person.emails.clear();
  Timestamp t3 = log.AddLead(EventType::kLeadTransitioned, second, third);

  EXPECT_EQ(ReplayLead(first.id, log.events(), {t1.micros - 1}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(*ReplayLead(first.id, log.events(), t1), first);
  EXPECT_EQ(*ReplayLead(first.id, log.events(), {t2.micros - 1}), first);
  EXPECT_EQ(*ReplayLead(first.id, log.events(), t2), second);
  EXPECT_EQ(*ReplayLead(first.id, log.events(), t3), third);
  EXPECT_EQ(*ReplayLead(first.id, log.events()), third);
}

TEST(ReplayLeadTest, EventsOfOthersAndOfTouchpointsAreNotTheLeadsOwn) {
  Log log;
  Lead ada = Ada();
  ada.create_time = At(2026, 1, 1);
  log.AddLead(EventType::kLeadCreated, Lead{}, ada);
  Lead other = LeadIn(Stage::kCustomer, 2);
  log.AddLead(EventType::kLeadCreated, Lead{}, other);
  // A touchpoint has a create_time, too; even under the lead's own name it is not the lead's.
  Touchpoint touchpoint;
  touchpoint.create_time = At(2030, 1, 1);
  log.Add(EventType::kTouchpointRecorded, NameOf(ada.id), ada.id, Touchpoint{}, touchpoint);
  EXPECT_EQ(*ReplayLead(ada.id, log.events()), ada);
  EXPECT_EQ(ReplayLead(LeadId(Uuid(3)), log.events()).status().code(), absl::StatusCode::kNotFound);
}

TEST(ReplayLeadTest, PersonalValuesThatWereErasedAreAbsent) {
  Log log;
  Lead ada = Ada();
  log.AddLead(EventType::kLeadCreated, Lead{}, ada);
  for (FieldChange& change : log.events()[0].changes) {
    if (change.personal) change.before = change.after = Value();
  }
  log.events()[0].erased = true;
  Lead left = *ReplayLead(ada.id, log.events());
  EXPECT_EQ(left.person, Person{});
  EXPECT_EQ(left.stage, Stage::kLead);
}

TEST(ReplayLeadTest, PathsOfAnOlderServerAreIgnored) {
  Log log;
  Lead ada = Ada();
  log.AddLead(EventType::kLeadCreated, Lead{}, ada);
  log.events()[0].changes.push_back({"shoe_size", Value(), Value(int64_t{42}), false});
  EXPECT_EQ(*ReplayLead(ada.id, log.events()), ada);
}

TEST(ReplayOpportunityTest, GivesTheOpportunityAndItsLead) {
  Log log;
  Opportunity first;
  first.id = OpportunityId(Uuid(7));
  first.lead = LeadId(Uuid(1));
  first.lead_name = NameOf(first.lead);
  first.state = OpportunityState::kOpen;
  first.stage = "qualification";
  first.line_items = {{"engine", "", "2", "10 EUR"}};
  Timestamp opened =
      log.Add(EventType::kOpportunityCreated, NameOf(first.id), first.lead, Opportunity{}, first);
  Opportunity won = first;
  won.state = OpportunityState::kWon;
  won.close_time = At(2026, 1, 5);
  log.Add(EventType::kOpportunityClosed, NameOf(first.id), first.lead, first, won);
  EXPECT_EQ(*ReplayOpportunity(first.id, log.events(), opened), first);
  EXPECT_EQ(*ReplayOpportunity(first.id, log.events()), won);
  EXPECT_EQ(ReplayOpportunity(OpportunityId(Uuid(8)), log.events()).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(ReplayScoreTest, EvidenceComesFromTheTouchpointsOfTheLog) {
  const CompiledModel& model = BuiltInConfig().model(Market::kB2b);
  Log log;
  Lead lead = Ada();
  log.AddLead(EventType::kLeadCreated, Lead{}, lead);
  Timestamp now = At(2026, 1, 1, 10);
  int number = 0;
  std::vector<Timestamp> times;
  std::vector<Lead> copies;
  for (TouchpointKind kind : {TouchpointKind::kDemoRequest, TouchpointKind::kPageView,
                              TouchpointKind::kNote, TouchpointKind::kPricingView}) {
    Touchpoint touchpoint;
    touchpoint.id = TouchpointId(Uuid(100 + number));
    touchpoint.lead = lead.id;
    touchpoint.kind = kind;
    touchpoint.occur_time = {now.micros - number++ * kMicrosPerDay};
    Lead after = lead;
    ASSERT_TRUE(ApplyTouchpoint(after, touchpoint, model, now).ok());
    ASSERT_TRUE(Rescore(after, model, now).ok());
    log.AddLead(EventType::kLeadUpdated, lead, after);
    times.push_back(log.Add(EventType::kTouchpointRecorded, NameOf(lead.id, touchpoint.id), lead.id,
                            Touchpoint{}, touchpoint));
    lead = after;
    copies.push_back(lead);
  }
  // Another lead's touchpoint does not count.
  Touchpoint foreign;
  foreign.kind = TouchpointKind::kQuoteViewed;
  foreign.occur_time = now;
  log.Add(EventType::kTouchpointRecorded, "leads/x/touchpoints/y", LeadId(Uuid(2)), Touchpoint{},
          foreign);
  for (size_t i = 0; i < times.size(); ++i) {
    absl::StatusOr<ReplayedScore> past = ReplayScore(model, lead.id, log.events(), times[i]);
    ASSERT_TRUE(past.ok());
    EXPECT_EQ(past->state.Format(), copies[i].score_state);
    EXPECT_EQ(past->breakdown.score, copies[i].score);
    EXPECT_EQ(past->breakdown.grade, copies[i].grade);
    EXPECT_EQ(past->breakdown.next_score_time, copies[i].next_score_time);
  }
  EXPECT_EQ(
      ReplayScoreState(model, lead.id, log.events(), log.events().back().record_time).Format(),
      lead.score_state);
  EXPECT_THAT(ReplayScoreState(model, lead.id, log.events(), {times[0].micros - 1}).counts,
              IsEmpty());
}

}  // namespace
}  // namespace relais::domain
