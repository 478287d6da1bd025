// One person from the first sign of interest to a signed sale, and what every call on the way says.
#include <string>

#include "tests/services/test_server.h"

namespace relais::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class JourneyTest : public ServiceTest {};
RELAIS_ON_BOTH_ENGINES(JourneyTest);

TEST_P(JourneyTest, APersonIsCapturedQualifiedNegotiatedAndWon) {
  v1::Lead lead = server.Capture("ana@example.com");
  EXPECT_EQ(lead.stage(), v1::STAGE_LEAD);
  EXPECT_EQ(lead.market(), v1::MARKET_B2B);
  EXPECT_GT(lead.score(), 0);
  EXPECT_EQ(lead.score_model(), "scoringModels/b2b@1");

  server.clock().AdvanceDays(1);
  lead = server.Qualify(lead.name());
  EXPECT_EQ(lead.stage(), v1::STAGE_PROSPECT);

  server.clock().AdvanceDays(1);
  v1::Opportunity opportunity = server.Open(lead.name());
  EXPECT_EQ(opportunity.stage(), "qualification");
  EXPECT_EQ(opportunity.probability_percent(), 10);
  EXPECT_EQ(server.GetLead(lead.name()).message.stage(), v1::STAGE_OPPORTUNITY);

  server.clock().AdvanceDays(1);
  v1::MoveOpportunityRequest move;
  move.set_name(opportunity.name());
  move.set_stage("proposal");
  auto moved = Call(server.opportunities(), &v1::OpportunityService::Stub::MoveOpportunity, move);
  ASSERT_TRUE(moved.ok()) << moved.status.error_message();
  EXPECT_EQ(moved.message.stage(), "proposal");
  EXPECT_EQ(moved.message.stage_seconds().at("qualification"), 86'400);

  server.clock().AdvanceDays(11);
  v1::Opportunity won = server.Win(opportunity.name());
  EXPECT_EQ(won.state(), v1::OPPORTUNITY_STATE_WON);
  EXPECT_EQ(won.probability_percent(), 100);
  lead = server.GetLead(lead.name()).message;
  EXPECT_EQ(lead.stage(), v1::STAGE_CUSTOMER);
  EXPECT_EQ(lead.counters().won_opportunities(), 1);

  v1::ListLeadTransitionsRequest history;
  history.set_parent(lead.name());
  auto transitions =
      Call(server.leads(), &v1::LeadService::Stub::ListLeadTransitions, history).message;
  std::vector<std::string> steps;
  for (const v1::Transition& step : transitions.transitions()) {
    steps.push_back(Concat(v1::Stage_Name(step.from()).substr(6), ">",
                           v1::Stage_Name(step.to()).substr(6), " ", step.trigger()));
  }
  EXPECT_THAT(steps, ElementsAre("UNSPECIFIED>LEAD CaptureLead", "LEAD>PROSPECT QualifyLead",
                                 "PROSPECT>OPPORTUNITY CreateOpportunity",
                                 "OPPORTUNITY>CUSTOMER CloseOpportunity"));
  EXPECT_EQ(transitions.transitions(1).rule_version(), "qualificationPolicies/bant@1");
  EXPECT_EQ(transitions.transitions(2).opportunity(), opportunity.name());
  EXPECT_EQ(transitions.transitions(0).actor(), "anonymous");

  auto funnel = Call(server.insight(), &v1::InsightService::Stub::GetFunnel, {}).message;
  EXPECT_EQ(funnel.total().leads(), 1);
  EXPECT_EQ(funnel.total().reached_customer(), 1);
  EXPECT_EQ(funnel.total().lead_to_customer().value(), 1.0);
  EXPECT_EQ(funnel.total().cycle().median_days(), 14);
  EXPECT_EQ(funnel.as_of_number(), server.AllEvents().back().number());
}

TEST_P(JourneyTest, ASecondCaptureFindsThePersonAndItsTouchpoints) {
  v1::Lead lead = server.Capture("ana@example.com");
  server.clock().Advance(1'000'000);
  v1::CaptureLeadRequest again = server.CaptureOf("ANA@example.com");
  again.mutable_touchpoint()->set_kind(v1::TOUCHPOINT_KIND_DEMO_REQUEST);
  auto answer = Call(server.leads(), &v1::LeadService::Stub::CaptureLead, again);
  ASSERT_TRUE(answer.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.message.outcome(), v1::CAPTURE_OUTCOME_MATCHED);
  EXPECT_EQ(answer.message.matched_by(), v1::IDENTITY_KIND_EMAIL);
  EXPECT_EQ(answer.message.lead().name(), lead.name());
  EXPECT_GT(answer.message.lead().score(), lead.score());

  v1::ListTouchpointsRequest list;
  list.set_parent(lead.name());
  auto touchpoints = Call(server.leads(), &v1::LeadService::Stub::ListTouchpoints, list).message;
  ASSERT_THAT(touchpoints.touchpoints(), SizeIs(2));
  EXPECT_EQ(touchpoints.touchpoints(0).kind(), v1::TOUCHPOINT_KIND_DEMO_REQUEST);
  list.set_filter("kind = FORM");
  EXPECT_THAT(
      Call(server.leads(), &v1::LeadService::Stub::ListTouchpoints, list).message.touchpoints(),
      SizeIs(1));

  v1::LookupLeadRequest lookup;
  lookup.set_email("Ana@Example.com");
  EXPECT_EQ(Call(server.leads(), &v1::LeadService::Stub::LookupLead, lookup).message.name(),
            lead.name());
  lookup.set_email("nobody@example.com");
  auto nobody = Call(server.leads(), &v1::LeadService::Stub::LookupLead, lookup);
  EXPECT_EQ(nobody.refusal().code, grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(nobody.refusal().reason, "NOT_FOUND");
  EXPECT_THAT(nobody.status.error_message(), ::testing::Not(::testing::HasSubstr("nobody@")));
}

TEST_P(JourneyTest, ConsentsAreKeptAndTheLatestCounts) {
  v1::CaptureLeadRequest request = server.CaptureOf("ana@example.com");
  v1::Consent* consent = request.add_consents();
  consent->set_channel(v1::CONSENT_CHANNEL_EMAIL);
  consent->set_purpose(v1::CONSENT_PURPOSE_MARKETING);
  consent->set_state(v1::CONSENT_STATE_GRANTED);
  v1::Lead lead = Call(server.leads(), &v1::LeadService::Stub::CaptureLead, request).message.lead();
  EXPECT_EQ(lead.consents().at("EMAIL/MARKETING"), "GRANTED");

  server.clock().Advance(1'000'000);
  v1::SetConsentRequest withdraw;
  withdraw.set_parent(lead.name());
  *withdraw.mutable_consent() = *consent;
  withdraw.mutable_consent()->set_state(v1::CONSENT_STATE_WITHDRAWN);
  auto set = Call(server.privacy(), &v1::PrivacyService::Stub::SetConsent, withdraw);
  ASSERT_TRUE(set.ok()) << set.status.error_message();
  EXPECT_EQ(server.GetLead(lead.name()).message.consents().at("EMAIL/MARKETING"), "WITHDRAWN");

  v1::ListConsentsRequest list;
  list.set_parent(lead.name());
  auto consents = Call(server.privacy(), &v1::PrivacyService::Stub::ListConsents, list).message;
  ASSERT_THAT(consents.consents(), SizeIs(2));
  EXPECT_EQ(consents.consents(0).state(), v1::CONSENT_STATE_WITHDRAWN);
}

TEST_P(JourneyTest, ALeadIsDisqualifiedAndRecycled) {
  v1::Lead lead = server.Capture("ana@example.com");
  v1::DisqualifyLeadRequest out;
  out.set_name(lead.name());
  out.set_reason("no budget this year");
  auto disqualified =
      Call(server.qualification(), &v1::QualificationService::Stub::DisqualifyLead, out);
  ASSERT_TRUE(disqualified.ok()) << disqualified.status.error_message();
  EXPECT_EQ(disqualified.message.disqualify_reason(), "no budget this year");
  v1::RecycleLeadRequest back;
  back.set_name(lead.name());
  back.set_reason("a new year");
  auto recycled = Call(server.qualification(), &v1::QualificationService::Stub::RecycleLead, back);
  EXPECT_EQ(recycled.message.stage(), v1::STAGE_LEAD);
  EXPECT_EQ(recycled.message.milestones().recycle_count(), 1);
}

TEST_P(JourneyTest, ALostOpportunityLeadsBackAndReopens) {
  v1::Lead lead = server.Capture("ana@example.com");
  server.Qualify(lead.name());
  v1::Opportunity opportunity = server.Open(lead.name());
  v1::CloseOpportunityRequest close;
  close.set_name(opportunity.name());
  close.set_outcome(v1::CLOSE_OUTCOME_LOST);
  close.set_reason("too late");
  auto lost = Call(server.opportunities(), &v1::OpportunityService::Stub::CloseOpportunity, close);
  ASSERT_TRUE(lost.ok()) << lost.status.error_message();
  EXPECT_EQ(server.GetLead(lead.name()).message.stage(), v1::STAGE_PROSPECT);
  v1::ReopenOpportunityRequest reopen;
  reopen.set_name(opportunity.name());
  reopen.set_reason("they called again");
  auto open =
      Call(server.opportunities(), &v1::OpportunityService::Stub::ReopenOpportunity, reopen);
  ASSERT_TRUE(open.ok()) << open.status.error_message();
  EXPECT_EQ(open.message.reopen_count(), 1);
  EXPECT_EQ(server.GetLead(lead.name()).message.stage(), v1::STAGE_OPPORTUNITY);
  v1::GetOpportunityRequest get;
  get.set_name(opportunity.name());
  EXPECT_EQ(Call(server.opportunities(), &v1::OpportunityService::Stub::GetOpportunity, get)
                .message.SerializeAsString(),
            open.message.SerializeAsString());
}

TEST_P(JourneyTest, ALeadIsGivenToAUser) {
  v1::CreateTeamRequest team;
  team.mutable_team()->set_display_name("North");
  auto made = Call(server.directory(), &v1::DirectoryService::Stub::CreateTeam, team);
  ASSERT_TRUE(made.ok()) << made.status.error_message();
  v1::CreateUserRequest user;
  user.mutable_user()->set_display_name("Ines");
  user.mutable_user()->set_email("ines@example.com");
  user.mutable_user()->add_teams(made.message.name());
  auto ines = Call(server.directory(), &v1::DirectoryService::Stub::CreateUser, user);
  ASSERT_TRUE(ines.ok()) << ines.status.error_message();

  v1::Lead lead = server.Capture("ana@example.com");
  v1::AssignLeadRequest assign;
  assign.set_name(lead.name());
  assign.set_owner(ines.message.name());
  EXPECT_EQ(Call(server.leads(), &v1::LeadService::Stub::AssignLead, assign).message.owner(),
            ines.message.name());

  v1::ArchiveUserRequest archive;
  archive.set_name(ines.message.name());
  EXPECT_TRUE(Call(server.directory(), &v1::DirectoryService::Stub::ArchiveUser, archive)
                  .message.archived());
  auto refused = Call(server.leads(), &v1::LeadService::Stub::AssignLead, assign);
  EXPECT_EQ(refused.refusal().code, grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(refused.refusal().reason, "USER_ARCHIVED");
  v1::GetUserRequest get_user;
  get_user.set_name(ines.message.name());
  EXPECT_EQ(Call(server.directory(), &v1::DirectoryService::Stub::GetUser, get_user)
                .message.display_name(),
            "Ines");
  v1::GetTeamRequest get_team;
  get_team.set_name(made.message.name());
  EXPECT_EQ(Call(server.directory(), &v1::DirectoryService::Stub::GetTeam, get_team)
                .message.display_name(),
            "North");
}

TEST_P(JourneyTest, ConfigurationIsShownByNameAndPage) {
  v1::ListScoringModelsRequest models;
  models.set_page_size(1);
  auto first =
      Call(server.qualification(), &v1::QualificationService::Stub::ListScoringModels, models);
  ASSERT_TRUE(first.ok()) << first.status.error_message();
  ASSERT_THAT(first.message.scoring_models(), SizeIs(1));
  ASSERT_FALSE(first.message.next_page_token().empty());
  models.set_page_token(first.message.next_page_token());
  auto second =
      Call(server.qualification(), &v1::QualificationService::Stub::ListScoringModels, models);
  ASSERT_THAT(second.message.scoring_models(), SizeIs(1));
  EXPECT_NE(first.message.scoring_models(0).name(), second.message.scoring_models(0).name());
  EXPECT_THAT(second.message.next_page_token(), IsEmpty());

  v1::GetScoringModelRequest model;
  model.set_name("scoringModels/b2b");
  EXPECT_EQ(Call(server.qualification(), &v1::QualificationService::Stub::GetScoringModel, model)
                .message.market(),
            v1::MARKET_B2B);
  v1::GetQualificationPolicyRequest policy;
  policy.set_name("qualificationPolicies/bant@1");
  EXPECT_THAT(
      Call(server.qualification(), &v1::QualificationService::Stub::GetQualificationPolicy, policy)
          .message.criteria(),
      SizeIs(4));
  EXPECT_THAT(
      Call(server.qualification(), &v1::QualificationService::Stub::ListQualificationPolicies, {})
          .message.qualification_policies(),
      SizeIs(3));
  v1::GetPipelineRequest pipeline;
  pipeline.set_name("pipelines/default");
  EXPECT_THAT(Call(server.opportunities(), &v1::OpportunityService::Stub::GetPipeline, pipeline)
                  .message.stages(),
              SizeIs(4));
  EXPECT_THAT(Call(server.opportunities(), &v1::OpportunityService::Stub::ListPipelines, {})
                  .message.pipelines(),
              SizeIs(1));
  pipeline.set_name("pipelines/other");
  EXPECT_EQ(Call(server.opportunities(), &v1::OpportunityService::Stub::GetPipeline, pipeline)
                .refusal()
                .resource_name,
            "pipelines/other");
}

TEST_P(JourneyTest, ManyAreCapturedAndOneBadItemFailsAlone) {
  v1::BatchCaptureLeadsRequest batch;
  *batch.add_requests() = server.CaptureOf("ana@example.com");
  *batch.add_requests() = server.CaptureOf("not an address");
  *batch.add_requests() = server.CaptureOf("ana@example.com");
  auto names = Call(server.leads(), &v1::LeadService::Stub::BatchCaptureLeads, batch);
  ASSERT_TRUE(names.ok()) << names.status.error_message();
  ASSERT_THAT(names.message.results(), SizeIs(3));
  EXPECT_EQ(names.message.results(0).response().outcome(), v1::CAPTURE_OUTCOME_CREATED);
  EXPECT_FALSE(names.message.results(0).response().lead().has_person());
  EXPECT_EQ(names.message.results(1).status().code(), 3);
  EXPECT_FALSE(names.message.results(1).has_response());
  EXPECT_EQ(names.message.results(2).response().outcome(), v1::CAPTURE_OUTCOME_MATCHED);
  EXPECT_EQ(names.trailers.count("relais-position"), 1U);

  batch.set_return_resources(true);
  auto whole = Call(server.leads(), &v1::LeadService::Stub::BatchCaptureLeads, batch);
  EXPECT_TRUE(whole.message.results(0).response().lead().has_person());

  v1::BatchGetLeadsRequest get;
  get.add_names(names.message.results(0).response().lead().name());
  get.add_names(names.message.results(2).response().lead().name());
  auto leads = Call(server.leads(), &v1::LeadService::Stub::BatchGetLeads, get);
  ASSERT_TRUE(leads.ok()) << leads.status.error_message();
  EXPECT_THAT(leads.message.leads(), SizeIs(2));

  v1::BatchRecordTouchpointsRequest touchpoints;
  for (const char* parent : {get.names(0).c_str(), "leads/01940000-ffff-7000-8000-000000000000"}) {
    v1::RecordTouchpointRequest* item = touchpoints.add_requests();
    item->set_parent(parent);
    item->mutable_touchpoint()->set_kind(v1::TOUCHPOINT_KIND_CALL);
  }
  auto recorded = Call(server.leads(), &v1::LeadService::Stub::BatchRecordTouchpoints, touchpoints);
  ASSERT_TRUE(recorded.ok()) << recorded.status.error_message();
  EXPECT_EQ(recorded.message.results(0).status().code(), 0);
  EXPECT_EQ(recorded.message.results(0).touchpoint().kind(), v1::TOUCHPOINT_KIND_CALL);
  EXPECT_EQ(recorded.message.results(1).status().code(), 5);
}

TEST_P(JourneyTest, AScoreIsExplainedDownToItsTouchpoints) {
  v1::Lead lead = server.Capture("ana@example.com");
  v1::RecordTouchpointRequest demo;
  demo.set_parent(lead.name());
  demo.mutable_touchpoint()->set_kind(v1::TOUCHPOINT_KIND_DEMO_REQUEST);
  auto recorded = Call(server.leads(), &v1::LeadService::Stub::RecordTouchpoint, demo);
  ASSERT_TRUE(recorded.ok()) << recorded.status.error_message();

  v1::ExplainScoreRequest ask;
  ask.set_name(lead.name());
  auto explained = Call(server.qualification(), &v1::QualificationService::Stub::ExplainScore, ask);
  ASSERT_TRUE(explained.ok()) << explained.status.error_message();
  const auto& out = explained.message;
  int64_t sum = 0;
  bool named = false;
  for (const v1::ScorePart& part : out.parts()) {
    sum += part.points();
    if (part.rule() != "demo_request") continue;
    ASSERT_THAT(part.evidence(), SizeIs(1));
    EXPECT_THAT(part.evidence(0).touchpoints(), ElementsAre(recorded.message.name()));
    named = true;
  }
  EXPECT_TRUE(named);
  EXPECT_EQ(sum, out.score().score());
  v1::ScoreLeadRequest score;
  score.set_name(lead.name());
  auto scored = Call(server.qualification(), &v1::QualificationService::Stub::ScoreLead, score);
  EXPECT_EQ(scored.message.score(), out.score().score());
  EXPECT_EQ(scored.message.score(), server.GetLead(lead.name()).message.score());
}

}  // namespace
}  // namespace relais::testing
