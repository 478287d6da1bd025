// Hand-offs, calendars and routing over gRPC, with their refusals.
#include <string>
#include <vector>

#include "tests/services/test_server.h"

namespace relais::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Qualification = v1::QualificationService::Stub;
using Directory = v1::DirectoryService::Stub;

constexpr int64_t kHour = 3600 * domain::kMicrosPerSecond;

class HandoffServiceTest : public ServiceTest {
 protected:
  std::string AddTeam(const std::string& name, const std::string& calendar = "") {
    v1::CreateTeamRequest request;
    request.mutable_team()->set_display_name(name);
    request.mutable_team()->set_calendar(calendar);
    auto answer = Call(server.directory(), &Directory::CreateTeam, request);
    EXPECT_TRUE(answer.ok()) << answer.status.error_message();
    return answer.message.name();
  }
  v1::User AddUser(const std::string& name, const std::string& team = "") {
    v1::CreateUserRequest request;
    request.mutable_user()->set_display_name(name);
    if (!team.empty()) request.mutable_user()->add_teams(team);
    auto answer = Call(server.directory(), &Directory::CreateUser, request);
    EXPECT_TRUE(answer.ok()) << answer.status.error_message();
    return answer.message;
  }
  v1::CreateCalendarRequest OfficeRequest() {
    v1::CreateCalendarRequest request;
    v1::Calendar& calendar = *request.mutable_calendar();
    calendar.set_display_name("Office");
    calendar.set_time_zone("Europe/Paris");
    for (int day = v1::WEEKDAY_MONDAY; day <= v1::WEEKDAY_FRIDAY; ++day) {
      v1::WorkingHours* hours = calendar.add_working_hours();
      hours->set_day(static_cast<v1::Weekday>(day));
      hours->set_start("09:00");
      hours->set_end("18:00");
    }
    return request;
  }
  v1::CreateHandoffRequest RequestFor(const std::string& lead, const std::string& owner = "",
                                      const std::string& team = "") {
    v1::CreateHandoffRequest request;
    request.mutable_handoff()->set_lead(lead);
    request.mutable_handoff()->set_owner(owner);
    request.mutable_handoff()->set_team(team);
    request.mutable_handoff()->set_reason("asked for a demo");
    return request;
  }
  v1::Handoff HandOver(const std::string& lead, const std::string& owner,
                       const std::string& team = "") {
    auto answer =
        Call(server.qualification(), &Qualification::CreateHandoff, RequestFor(lead, owner, team));
    EXPECT_TRUE(answer.ok()) << answer.status.error_message();
    return answer.message;
  }
  std::string Prospect(const std::string& email) {
    return server.Qualify(server.Capture(email).name()).name();
  }
  static int64_t Micros(const google::protobuf::Timestamp& time) {
    return time.seconds() * domain::kMicrosPerSecond + time.nanos() / 1000;
  }
};
RELAIS_ON_BOTH_ENGINES(HandoffServiceTest);

TEST_P(HandoffServiceTest, AProspectIsHandedOverAcceptedAndItsClocksAreKept) {
  const std::string ana = AddUser("Ana").name();
  const std::string lead = Prospect("ana@example.com");
  v1::Handoff handoff = HandOver(lead, ana);
  EXPECT_EQ(handoff.state(), v1::HANDOFF_STATE_PENDING);
  EXPECT_EQ(handoff.trigger(), v1::HANDOFF_TRIGGER_MANUAL);
  EXPECT_EQ(handoff.owner(), ana);
  EXPECT_EQ(handoff.reason(), "asked for a demo");
  // The clock stands at Monday 09:00 UTC: four hours of the usual week.
  EXPECT_EQ(Micros(handoff.due_time()), kStart.micros + 4 * kHour);
  v1::Lead owned = server.GetLead(lead).message;
  EXPECT_EQ(owned.owner(), ana);
  EXPECT_EQ(Micros(owned.milestones().handed_off_time()), kStart.micros);

  server.clock().Advance(24 * kHour);
  v1::AcceptHandoffRequest accept;
  accept.set_name(handoff.name());
  accept.set_etag(handoff.etag());
  accept.set_request_id("6ba7b810-9dad-41d1-80b4-00c04fd430c8");
  auto accepted = Call(server.qualification(), &Qualification::AcceptHandoff, accept);
  ASSERT_TRUE(accepted.ok()) << accepted.status.error_message();
  EXPECT_EQ(accepted.message.state(), v1::HANDOFF_STATE_ACCEPTED);
  EXPECT_EQ(accepted.message.human_seconds(), 24 * 3600);
  EXPECT_EQ(accepted.message.human_working_seconds(), 8 * 3600);
  EXPECT_EQ(Micros(server.GetLead(lead).message.milestones().accepted_time()),
            server.clock().Now().micros);
  auto again = Call(server.qualification(), &Qualification::AcceptHandoff, accept);
  ASSERT_TRUE(again.ok()) << again.status.error_message();
  EXPECT_EQ(again.trailers["relais-replayed"], "1");
  EXPECT_EQ(again.message.SerializeAsString(), accepted.message.SerializeAsString());

  v1::GetHandoffRequest get;
  get.set_name(handoff.name());
  EXPECT_EQ(Call(server.qualification(), &Qualification::GetHandoff, get).message.etag(),
            accepted.message.etag());
  std::vector<v1::EventType> types;
  for (const v1::Event& event : server.AllEvents()) {
    if (event.subject() == handoff.name()) types.push_back(event.type());
  }
  EXPECT_THAT(types, ElementsAre(v1::EVENT_TYPE_HANDOFF_CREATED, v1::EVENT_TYPE_HANDOFF_ACCEPTED));
}

TEST_P(HandoffServiceTest, RejectingSendsTheLeadBackWithAReason) {
  const std::string lead = Prospect("r@example.com");
  v1::Handoff handoff = HandOver(lead, AddUser("Ana").name());
  v1::RejectHandoffRequest reject;
  reject.set_name(handoff.name());
  auto refused = Call(server.qualification(), &Qualification::RejectHandoff, reject);
  EXPECT_EQ(refused.refusal().code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.refusal().fields, ElementsAre("reason"));
  reject.set_reason("too small for us");
  auto rejected = Call(server.qualification(), &Qualification::RejectHandoff, reject);
  ASSERT_TRUE(rejected.ok()) << rejected.status.error_message();
  EXPECT_EQ(rejected.message.state(), v1::HANDOFF_STATE_REJECTED);
  EXPECT_EQ(rejected.message.reject_reason(), "too small for us");
  v1::Lead back = server.GetLead(lead).message;
  EXPECT_EQ(back.stage(), v1::STAGE_LEAD);
  EXPECT_EQ(back.owner(), "");
  refused = Call(server.qualification(), &Qualification::RejectHandoff, reject);
  EXPECT_EQ(refused.refusal().code, grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(refused.refusal().reason, "HANDOFF_CLOSED");
  // It may be handed over again when it has qualified again.
  v1::QualifyLeadRequest qualify;
  qualify.set_name(lead);
  ASSERT_TRUE(Call(server.qualification(), &Qualification::QualifyLead, qualify).ok());
  EXPECT_EQ(HandOver(lead, handoff.owner()).state(), v1::HANDOFF_STATE_PENDING);
}

TEST_P(HandoffServiceTest, WhatIsNotReadyOrPendingIsRefused) {
  const std::string ana = AddUser("Ana").name();
  auto create = [&](const v1::CreateHandoffRequest& request) {
    return Call(server.qualification(), &Qualification::CreateHandoff, request).refusal();
  };
  const std::string lead = server.Capture("l@example.com").name();
  Refusal refusal = create(RequestFor(lead, ana));
  EXPECT_EQ(refusal.code, grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(refusal.reason, "NOT_READY");
  const std::string prospect = Prospect("p@example.com");
  // Without an owner, a team or a rule there is nobody.
  refusal = create(RequestFor(prospect));
  EXPECT_EQ(refusal.reason, "NO_ROUTE");
  ASSERT_THAT(refusal.preconditions, SizeIs(1));
  EXPECT_EQ(refusal.preconditions[0].description(), "no rule matches the lead");
  v1::Handoff handoff = HandOver(prospect, ana);
  refusal = create(RequestFor(prospect, ana));
  EXPECT_EQ(refusal.reason, "HANDOFF_PENDING");
  ASSERT_THAT(refusal.preconditions, SizeIs(1));
  EXPECT_EQ(refusal.preconditions[0].subject(), handoff.name());

  server.Open(prospect);
  v1::RejectHandoffRequest reject;
  reject.set_name(handoff.name());
  reject.set_reason("late");
  EXPECT_EQ(Call(server.qualification(), &Qualification::RejectHandoff, reject).refusal().reason,
            "ILLEGAL_TRANSITION");
  v1::AcceptHandoffRequest accept;
  accept.set_name(handoff.name());
  accept.set_etag("other");
  EXPECT_EQ(Call(server.qualification(), &Qualification::AcceptHandoff, accept).refusal().code,
            grpc::StatusCode::ABORTED);
  accept.set_etag(handoff.etag());
  EXPECT_TRUE(Call(server.qualification(), &Qualification::AcceptHandoff, accept).ok());

  EXPECT_EQ(create(RequestFor("leads/01900000-0000-7000-8000-0000000000ff", ana)).code,
            grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(
      create(RequestFor(Prospect("n@example.com"), "users/01900000-0000-7000-8000-0000000000ff"))
          .code,
      grpc::StatusCode::NOT_FOUND);
  v1::GetHandoffRequest get;
  get.set_name("handoffs/01900000-0000-7000-8000-0000000000ff");
  EXPECT_EQ(Call(server.qualification(), &Qualification::GetHandoff, get).refusal().resource_type,
            "Handoff");
  EXPECT_THAT(create({}).fields, ElementsAre("handoff.lead"));
}

TEST_P(HandoffServiceTest, WithinATeamTheFreestMemberGetsItAndAnotherTheNext) {
  const std::string team = AddTeam("Field");
  const std::string ana = AddUser("Ana", team).name(), ben = AddUser("Ben", team).name();
  v1::Handoff first = HandOver(Prospect("1@example.com"), "", team);
  v1::Handoff second = HandOver(Prospect("2@example.com"), "", team);
  EXPECT_THAT((std::vector<std::string>{first.owner(), second.owner()}),
              ::testing::UnorderedElementsAre(ana, ben));
  EXPECT_EQ(first.team(), team);

  // A reassignment passes over who had it.
  v1::ReassignHandoffRequest move;
  move.set_name(first.name());
  move.set_team(team);
  move.set_reason("on the phone all day");
  auto moved = Call(server.qualification(), &Qualification::ReassignHandoff, move);
  ASSERT_TRUE(moved.ok()) << moved.status.error_message();
  EXPECT_EQ(moved.message.owner(), second.owner());
  EXPECT_THAT(moved.message.earlier_owners(), ElementsAre(first.owner()));
  EXPECT_EQ(moved.message.reassignment_count(), 1);
  EXPECT_EQ(server.GetLead(first.lead()).message.owner(), second.owner());
  auto nobody = Call(server.qualification(), &Qualification::ReassignHandoff, move);
  EXPECT_EQ(nobody.refusal().reason, "NO_ROUTE");
  EXPECT_THAT(nobody.refusal().preconditions[0].description(), HasSubstr("EXCLUDED"));

  v1::ArchiveTeamRequest archive;
  archive.set_name(team);
  ASSERT_TRUE(Call(server.directory(), &Directory::ArchiveTeam, archive).ok());
  auto archived = Call(server.qualification(), &Qualification::CreateHandoff,
                       RequestFor(Prospect("3@example.com"), "", team));
  EXPECT_EQ(archived.refusal().reason, "TEAM_ARCHIVED");
}

TEST_P(HandoffServiceTest, ACheckWritesNothing) {
  const std::string lead = Prospect("v@example.com");
  auto request = RequestFor(lead, AddUser("Ana").name());
  const std::string before = server.Contents();
  request.set_validate_only(true);
  auto answer = Call(server.qualification(), &Qualification::CreateHandoff, request);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer.message.state(), v1::HANDOFF_STATE_PENDING);
  EXPECT_EQ(server.Contents(), before);
  EXPECT_EQ(Call(server.qualification(), &Qualification::ListHandoffs, {}).message.handoffs_size(),
            0);
}

TEST_P(HandoffServiceTest, TheQueueIsOrderedByScoreThenByDueTimeAndPaged) {
  const std::string ana = AddUser("Ana").name();
  std::vector<std::string> due;
  for (int i = 0; i < 5; ++i) {
    const std::string lead = Prospect(Concat("q", i, "@example.com"));
    if (i == 3) {
      v1::RecordTouchpointRequest meeting;
      meeting.set_parent(lead);
      meeting.mutable_touchpoint()->set_kind(v1::TOUCHPOINT_KIND_MEETING);
      ASSERT_TRUE(Call(server.leads(), &v1::LeadService::Stub::RecordTouchpoint, meeting).ok());
    }
    due.push_back(HandOver(lead, ana).name());
    server.clock().Advance(60 * domain::kMicrosPerSecond);
  }
  v1::ListHandoffsRequest list;
  list.set_page_size(2);
  list.set_filter("state = PENDING AND owner = \"" + ana + "\"");
  std::vector<std::string> names;
  int64_t last_score = INT64_MAX;
  do {
    auto page = Call(server.qualification(), &Qualification::ListHandoffs, list);
    ASSERT_TRUE(page.ok()) << page.status.error_message();
    for (const v1::Handoff& handoff : page.message.handoffs()) {
      names.push_back(handoff.name());
      EXPECT_LE(handoff.score(), last_score);
      last_score = handoff.score();
    }
    list.set_page_token(page.message.next_page_token());
  } while (!list.page_token().empty());
  EXPECT_THAT(names, ElementsAre(due[3], due[0], due[1], due[2], due[4]));

  list.set_page_size(50);
  list.set_order_by("due_time desc");
  auto by_due = Call(server.qualification(), &Qualification::ListHandoffs, list);
  EXPECT_EQ(by_due.message.handoffs(0).name(), due[4]);
  list.set_page_token("nonsense");
  EXPECT_EQ(Call(server.qualification(), &Qualification::ListHandoffs, list).refusal().reason,
            "INVALID_PAGE_TOKEN");
  list.clear_page_token();
  list.set_order_by("owner");
  EXPECT_THAT(Call(server.qualification(), &Qualification::ListHandoffs, list).refusal().fields,
              ElementsAre("order_by"));
  list.clear_order_by();
  list.set_filter("priority = 1");
  EXPECT_EQ(Call(server.qualification(), &Qualification::ListHandoffs, list).refusal().reason,
            "INVALID_FILTER");
}

TEST_P(HandoffServiceTest, DueTimesFollowTheCalendarOfTheOwnerOrTheTeam) {
  auto made = Call(server.directory(), &Directory::CreateCalendar, OfficeRequest());
  ASSERT_TRUE(made.ok()) << made.status.error_message();
  const std::string calendar = made.message.name();
  const std::string team = AddTeam("Field", calendar);
  v1::User ana = AddUser("Ana", team);
  // Monday 09:00 UTC is 10:00 in Paris; Ana is away from 11:00 to 15:00 there.
  v1::UpdateUserRequest away;
  *away.mutable_user() = ana;
  v1::Absence* absence = away.mutable_user()->add_absences();
  absence->mutable_start_time()->set_seconds(kStart.micros / domain::kMicrosPerSecond + 3600);
  absence->mutable_end_time()->set_seconds(kStart.micros / domain::kMicrosPerSecond + 5 * 3600);
  away.mutable_update_mask()->add_paths("absences");
  ASSERT_TRUE(Call(server.directory(), &Directory::UpdateUser, away).ok());
  v1::Handoff handoff = HandOver(Prospect("c@example.com"), ana.name());
  EXPECT_EQ(handoff.calendar(), calendar);
  EXPECT_EQ(Micros(handoff.due_time()), kStart.micros + 8 * kHour);

  // Another owner by another calendar: a holiday today.
  v1::UpdateCalendarRequest update;
  update.mutable_calendar()->set_name(calendar);
  update.mutable_calendar()->set_etag(made.message.etag());
  update.mutable_calendar()->add_holidays()->set_date("2026-01-05");
  update.mutable_update_mask()->add_paths("holidays");
  auto updated = Call(server.directory(), &Directory::UpdateCalendar, update);
  ASSERT_TRUE(updated.ok()) << updated.status.error_message();
  v1::ReassignHandoffRequest move;
  move.set_name(handoff.name());
  move.set_owner(AddUser("Ben", team).name());
  auto moved = Call(server.qualification(), &Qualification::ReassignHandoff, move);
  // Tuesday 09:00 in Paris is 08:00 UTC.
  EXPECT_EQ(Micros(moved.message.due_time()), kStart.micros + 23 * kHour + 4 * kHour);
}

TEST_P(HandoffServiceTest, CalendarsAreKeptListedAndArchived) {
  v1::CreateCalendarRequest create = OfficeRequest();
  create.set_request_id("6ba7b810-9dad-41d1-80b4-00c04fd430c9");
  auto made = Call(server.directory(), &Directory::CreateCalendar, create);
  ASSERT_TRUE(made.ok()) << made.status.error_message();
  EXPECT_EQ(made.message.working_hours_size(), 5);
  auto again = Call(server.directory(), &Directory::CreateCalendar, create);
  EXPECT_EQ(again.message.name(), made.message.name());
  EXPECT_EQ(again.trailers["relais-replayed"], "1");
  v1::GetCalendarRequest get;
  get.set_name(made.message.name());
  EXPECT_EQ(Call(server.directory(), &Directory::GetCalendar, get).message.SerializeAsString(),
            made.message.SerializeAsString());
  v1::ListCalendarsRequest list;
  list.set_filter("time_zone = \"Europe/Paris\"");
  EXPECT_EQ(Call(server.directory(), &Directory::ListCalendars, list).message.calendars_size(), 1);

  v1::CreateCalendarRequest bad = OfficeRequest();
  bad.mutable_calendar()->mutable_working_hours(1)->set_day(v1::WEEKDAY_MONDAY);
  bad.mutable_calendar()->add_holidays()->set_date("2026-02-30");
  auto refused = Call(server.directory(), &Directory::CreateCalendar, bad);
  EXPECT_EQ(refused.refusal().code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.refusal().fields,
              ElementsAre("calendar.working_hours[1]", "calendar.holidays[0].date"));

  v1::UpdateCalendarRequest update;
  update.mutable_calendar()->set_name(made.message.name());
  update.mutable_calendar()->set_etag("other");
  update.mutable_calendar()->set_display_name("Main office");
  EXPECT_EQ(Call(server.directory(), &Directory::UpdateCalendar, update).refusal().reason,
            "ETAG_MISMATCH");

  v1::ArchiveCalendarRequest archive;
  archive.set_name(made.message.name());
  auto archived = Call(server.directory(), &Directory::ArchiveCalendar, archive);
  EXPECT_TRUE(archived.message.archived());
  v1::CreateUserRequest user;
  user.mutable_user()->set_display_name("Ana");
  user.mutable_user()->set_calendar(made.message.name());
  EXPECT_EQ(Call(server.directory(), &Directory::CreateUser, user).refusal().reason,
            "CALENDAR_ARCHIVED");
  user.mutable_user()->set_calendar("calendars/01900000-0000-7000-8000-0000000000ff");
  EXPECT_EQ(Call(server.directory(), &Directory::CreateUser, user).refusal().resource_type,
            "Calendar");
  user.mutable_user()->set_weight(0);
  user.mutable_user()->set_capacity(-1);
  v1::Absence* absence = user.mutable_user()->add_absences();
  absence->mutable_start_time()->set_seconds(10);
  absence->mutable_end_time()->set_seconds(10);
  EXPECT_THAT(Call(server.directory(), &Directory::CreateUser, user).refusal().fields,
              ElementsAre("user.absences[0].end_time", "user.capacity", "user.weight"));
}

// ---- routing rules and policies ---------------------------------------------------------------

v1::CreateRoutingRuleRequest RuleOf(const std::string& id, const std::string& team) {
  v1::CreateRoutingRuleRequest request;
  request.set_routing_rule_id(id);
  request.mutable_routing_rule()->set_display_name("By turns");
  request.mutable_routing_rule()->set_team(team);
  request.mutable_routing_rule()->set_strategy(v1::ROUTING_STRATEGY_ROUND_ROBIN);
  return request;
}

TEST_P(HandoffServiceTest, LeadsAreAssignedByTheRulesInForce) {
  const std::string team = AddTeam("Field");
  const std::string ana = AddUser("Ana", team).name(), ben = AddUser("Ben", team).name();
  v1::AssignLeadRequest assign;
  assign.set_name(server.Capture("1@example.com").name());
  assign.set_by_rules(true);
  EXPECT_EQ(Call(server.leads(), &v1::LeadService::Stub::AssignLead, assign).refusal().reason,
            "NO_ROUTE");
  auto made =
      Call(server.qualification(), &Qualification::CreateRoutingRule, RuleOf("field", team));
  ASSERT_TRUE(made.ok()) << made.status.error_message();
  EXPECT_EQ(made.message.name(), "routingRules/field");
  EXPECT_EQ(made.message.revision(), 1);
  auto assigned = Call(server.leads(), &v1::LeadService::Stub::AssignLead, assign);
  ASSERT_TRUE(assigned.ok()) << assigned.status.error_message();
  EXPECT_EQ(assigned.message.owner(), ana);

  v1::BatchAssignLeadsRequest batch;
  for (int i = 0; i < 4; ++i) {
    v1::AssignLeadRequest& item = *batch.add_requests();
    item.set_name(server.Capture(Concat("b", i, "@example.com")).name());
    item.set_by_rules(true);
  }
  batch.add_requests()->set_name("leads/01900000-0000-7000-8000-0000000000ff");
  auto many = Call(server.leads(), &v1::LeadService::Stub::BatchAssignLeads, batch);
  ASSERT_TRUE(many.ok()) << many.status.error_message();
  std::vector<std::string> owners;
  for (const auto& result : many.message.results()) owners.push_back(result.owner());
  EXPECT_THAT(owners, ElementsAre(ben, ana, ben, ana, ""));
  EXPECT_EQ(many.message.results(4).status().code(), grpc::StatusCode::NOT_FOUND);

  // The event says who could have got it.
  bool told = false;
  for (const v1::Event& event : server.AllEvents()) {
    if (event.type() != v1::EVENT_TYPE_LEAD_ASSIGNED) continue;
    EXPECT_EQ(event.rule_version(), "routingRules/field@1");
    for (const v1::FieldChange& change : event.changes()) {
      if (change.path() != "routing.candidates") continue;
      told = true;
      EXPECT_EQ(change.new_value().list_value().values_size(), 2);
    }
  }
  EXPECT_TRUE(told);

  assign.set_owner(ana);
  EXPECT_THAT(Call(server.leads(), &v1::LeadService::Stub::AssignLead, assign).refusal().fields,
              ElementsAre("owner"));
}

TEST_P(HandoffServiceTest, RulesHaveRevisionsAndAreArchived) {
  const std::string team = AddTeam("Field");
  auto request = RuleOf("field", team);
  request.set_request_id("6ba7b810-9dad-41d1-80b4-00c04fd430ca");
  auto made = Call(server.qualification(), &Qualification::CreateRoutingRule, request);
  ASSERT_TRUE(made.ok()) << made.status.error_message();
  auto again = Call(server.qualification(), &Qualification::CreateRoutingRule, request);
  EXPECT_EQ(again.trailers["relais-replayed"], "1");
  auto taken =
      Call(server.qualification(), &Qualification::CreateRoutingRule, RuleOf("field", team));
  EXPECT_EQ(taken.refusal().code, grpc::StatusCode::ALREADY_EXISTS);

  v1::UpdateRoutingRuleRequest update;
  update.mutable_routing_rule()->set_name("routingRules/field");
  update.mutable_routing_rule()->set_etag(made.message.etag());
  update.mutable_routing_rule()->set_filter("market = B2B");
  update.mutable_update_mask()->add_paths("filter");
  auto updated = Call(server.qualification(), &Qualification::UpdateRoutingRule, update);
  ASSERT_TRUE(updated.ok()) << updated.status.error_message();
  EXPECT_EQ(updated.message.revision(), 2);
  EXPECT_EQ(updated.message.display_name(), "By turns");
  EXPECT_EQ(
      Call(server.qualification(), &Qualification::UpdateRoutingRule, update).refusal().reason,
      "ETAG_MISMATCH");
  v1::GetRoutingRuleRequest get;
  get.set_name("routingRules/field@1");
  EXPECT_EQ(Call(server.qualification(), &Qualification::GetRoutingRule, get).message.filter(), "");
  get.set_name("routingRules/field");
  EXPECT_EQ(Call(server.qualification(), &Qualification::GetRoutingRule, get).message.filter(),
            "market = B2B");

  v1::ArchiveRoutingRuleRequest archive;
  archive.set_name("routingRules/field");
  EXPECT_TRUE(
      Call(server.qualification(), &Qualification::ArchiveRoutingRule, archive).message.archived());
  v1::AssignLeadRequest assign;
  assign.set_name(server.Capture("1@example.com").name());
  assign.set_by_rules(true);
  EXPECT_EQ(Call(server.leads(), &v1::LeadService::Stub::AssignLead, assign).refusal().reason,
            "NO_ROUTE");
  auto listed = Call(server.qualification(), &Qualification::ListRoutingRules, {});
  ASSERT_EQ(listed.message.routing_rules_size(), 1);
  EXPECT_TRUE(listed.message.routing_rules(0).archived());

  auto bad = RuleOf("Field", team);
  bad.mutable_routing_rule()->clear_team();
  bad.mutable_routing_rule()->clear_strategy();
  EXPECT_THAT(Call(server.qualification(), &Qualification::CreateRoutingRule, bad).refusal().fields,
              ::testing::UnorderedElementsAre("routing_rule_id", "routing_rule.strategy",
                                              "routing_rule.users"));
  bad = RuleOf("other", "teams/01900000-0000-7000-8000-0000000000ff");
  EXPECT_EQ(
      Call(server.qualification(), &Qualification::CreateRoutingRule, bad).refusal().resource_type,
      "Team");
  for (const char* filter : {"score >", "milestones.stage_time > now() - 7d",
                             "count(touchpoints, kind = CALL, 30d) > 1"}) {
    bad = RuleOf("other", team);
    bad.mutable_routing_rule()->set_filter(filter);
    EXPECT_EQ(Call(server.qualification(), &Qualification::CreateRoutingRule, bad).refusal().reason,
              "INVALID_FILTER")
        << filter;
  }
}

TEST_P(HandoffServiceTest, ThePolicyOfAMarketSwitchesHandOversOn) {
  const std::string team = AddTeam("Field");
  const std::string ana = AddUser("Ana", team).name();
  ASSERT_TRUE(
      Call(server.qualification(), &Qualification::CreateRoutingRule, RuleOf("field", team)).ok());
  auto policies = Call(server.qualification(), &Qualification::ListHandoffPolicies, {});
  ASSERT_EQ(policies.message.handoff_policies_size(), 2);
  EXPECT_EQ(policies.message.handoff_policies(0).name(), "handoffPolicies/b2b");
  EXPECT_EQ(policies.message.handoff_policies(0).trigger(), v1::HANDOFF_TRIGGER_MANUAL);

  v1::UpdateHandoffPolicyRequest update;
  for (const char* name : {"handoffPolicies/b2b", "handoffPolicies/b2c"}) {
    update.mutable_handoff_policy()->set_name(name);
    update.mutable_handoff_policy()->set_trigger(v1::HANDOFF_TRIGGER_QUALIFIED);
    update.mutable_handoff_policy()->set_response_minutes(30);
    auto updated = Call(server.qualification(), &Qualification::UpdateHandoffPolicy, update);
    ASSERT_TRUE(updated.ok()) << updated.status.error_message();
    EXPECT_EQ(updated.message.revision(), 2);
    EXPECT_EQ(updated.message.max_escalations(), 3);
  }
  const std::string lead = Prospect("auto@example.com");
  ASSERT_TRUE(server.server().handoff_reactor().Drain().ok());
  auto list = Call(server.qualification(), &Qualification::ListHandoffs, {});
  ASSERT_EQ(list.message.handoffs_size(), 1);
  EXPECT_EQ(list.message.handoffs(0).owner(), ana);
  EXPECT_EQ(list.message.handoffs(0).trigger(), v1::HANDOFF_TRIGGER_QUALIFIED);
  EXPECT_EQ(Micros(list.message.handoffs(0).due_time()), kStart.micros + kHour / 2);
  EXPECT_EQ(server.GetLead(lead).message.owner(), ana);

  v1::GetHandoffPolicyRequest get;
  get.set_name("handoffPolicies/b2b@1");
  EXPECT_EQ(Call(server.qualification(), &Qualification::GetHandoffPolicy, get)
                .message.response_minutes(),
            240);
  get.set_name("handoffPolicies/other");
  EXPECT_EQ(Call(server.qualification(), &Qualification::GetHandoffPolicy, get).refusal().code,
            grpc::StatusCode::NOT_FOUND);
  update.mutable_handoff_policy()->set_etag("1");
  EXPECT_EQ(
      Call(server.qualification(), &Qualification::UpdateHandoffPolicy, update).refusal().reason,
      "ETAG_MISMATCH");
  update.mutable_handoff_policy()->set_max_escalations(21);
  update.mutable_handoff_policy()->set_response_minutes(-1);
  EXPECT_THAT(
      Call(server.qualification(), &Qualification::UpdateHandoffPolicy, update).refusal().fields,
      ElementsAre("handoff_policy.response_minutes", "handoff_policy.max_escalations"));
}

// ---- segments ---------------------------------------------------------------------------------

TEST_P(HandoffServiceTest, SegmentsAreSavedFilledListedAndCounted) {
  const std::string lead = server.Capture("s@example.com").name();
  v1::CreateSegmentRequest create;
  create.mutable_segment()->set_display_name("Leads of the North");
  create.mutable_segment()->set_filter("organization.display_name = \"Atelier Nord\"");
  create.set_request_id("6ba7b810-9dad-41d1-80b4-00c04fd430cb");
  auto made = Call(server.qualification(), &Qualification::CreateSegment, create);
  ASSERT_TRUE(made.ok()) << made.status.error_message();
  EXPECT_EQ(made.message.state(), v1::SEGMENT_STATE_BUILDING);
  EXPECT_FALSE(made.message.time_dependent());
  ASSERT_TRUE(server.server().segment_reactor().Drain().ok());
  const std::string other = server.Capture("t@example.com").name();
  ASSERT_TRUE(server.server().segment_reactor().Drain().ok());

  auto again = Call(server.qualification(), &Qualification::CreateSegment, create);
  EXPECT_EQ(again.message.state(), v1::SEGMENT_STATE_READY);
  EXPECT_EQ(again.trailers["relais-replayed"], "1");
  v1::ListSegmentLeadsRequest list;
  list.set_parent(made.message.name());
  list.set_page_size(1);
  std::vector<std::string> names;
  do {
    auto page = Call(server.qualification(), &Qualification::ListSegmentLeads, list);
    ASSERT_TRUE(page.ok()) << page.status.error_message();
    for (const v1::Lead& each : page.message.leads()) names.push_back(each.name());
    list.set_page_token(page.message.next_page_token());
  } while (!list.page_token().empty());
  EXPECT_THAT(names, ElementsAre(lead, other));
  auto counts = Call(server.qualification(), &Qualification::CountSegments, {});
  ASSERT_EQ(counts.message.counts_size(), 1);
  EXPECT_EQ(counts.message.counts(0).segment(), made.message.name());
  EXPECT_EQ(counts.message.counts(0).leads(), 2);

  v1::UpdateSegmentRequest update;
  update.mutable_segment()->set_name(made.message.name());
  update.mutable_segment()->set_etag(made.message.etag());
  update.mutable_segment()->set_filter("score > now()");
  EXPECT_EQ(Call(server.qualification(), &Qualification::UpdateSegment, update).refusal().reason,
            "INVALID_FILTER");
  update.mutable_segment()->set_filter("count(touchpoints, kind = FORM, 30d) >= 1");
  EXPECT_EQ(Call(server.qualification(), &Qualification::UpdateSegment, update).refusal().reason,
            "ETAG_MISMATCH");
  update.mutable_segment()->clear_etag();
  auto updated = Call(server.qualification(), &Qualification::UpdateSegment, update);
  EXPECT_TRUE(updated.message.time_dependent());
  EXPECT_EQ(updated.message.state(), v1::SEGMENT_STATE_BUILDING);
  // Points fade without an event.
  for (const auto& [filter, fades] : {std::pair("score >= 10", true),
                                      {"grade = \"A1\"", false},
                                      {"NOT (stage = LEAD AND fit_score < 5)", true}}) {
    update.mutable_segment()->set_filter(filter);
    EXPECT_EQ(Call(server.qualification(), &Qualification::UpdateSegment, update)
                  .message.time_dependent(),
              fades)
        << filter;
  }
  v1::ArchiveSegmentRequest archive;
  archive.set_name(made.message.name());
  EXPECT_EQ(Call(server.qualification(), &Qualification::ArchiveSegment, archive).message.state(),
            v1::SEGMENT_STATE_ARCHIVED);
  EXPECT_EQ(Call(server.qualification(), &Qualification::ListSegments, {}).message.segments_size(),
            1);

  v1::GetSegmentRequest get;
  get.set_name("segments/01900000-0000-7000-8000-0000000000ff");
  EXPECT_EQ(Call(server.qualification(), &Qualification::GetSegment, get).refusal().resource_type,
            "Segment");
  list.set_parent(get.name());
  EXPECT_EQ(Call(server.qualification(), &Qualification::ListSegmentLeads, list).refusal().code,
            grpc::StatusCode::NOT_FOUND);
  v1::CountSegmentsRequest count;
  count.add_names(get.name());
  EXPECT_EQ(Call(server.qualification(), &Qualification::CountSegments, count).refusal().code,
            grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(Call(server.qualification(), &Qualification::CreateSegment, {}).refusal().fields,
              ElementsAre("segment.display_name", "segment.filter"));
}

}  // namespace
}  // namespace relais::testing
