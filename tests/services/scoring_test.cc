// Scoring models, policies, rescoring and simulation over the wire: each call, and its refusals.
#include <string>
#include <vector>

#include "tests/services/test_server.h"

namespace relais::testing {
namespace {

using grpc::StatusCode;
using Stub = v1::QualificationService::Stub;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr char kNobody[] = "leads/01940000-ffff-7000-8000-000000000000";
constexpr char kRequest[] = "0190f000-0000-4000-8000-000000000001";

// Points for every note, and for a known telephone.
v1::ScoringModel Notes() {
  v1::ScoringModel model;
  model.set_display_name("Notes");
  model.set_market(v1::MARKET_B2B);
  v1::ScoringRule* note = model.add_rules();
  note->set_rule("note");
  note->set_dimension(v1::SCORE_DIMENSION_INTENT);
  note->set_description("Somebody wrote a note");
  note->set_touchpoint_filter("kind = NOTE");
  note->set_points(20);
  note->set_window_days(30);
  note->set_half_life_days(10);
  note->set_group("words");
  v1::ScoringRule* phone = model.add_rules();
  phone->set_rule("phone");
  phone->set_dimension(v1::SCORE_DIMENSION_FIT);
  phone->set_description("The telephone is known");
  phone->set_lead_filter("person.phones:* AND organization.display_name:*");
  phone->set_points(10);
  model.add_groups()->set_group("words");
  model.mutable_groups(0)->set_cap_points(50);
  model.set_threshold_points(30);
  for (int64_t bound : {30, 20, 10}) {
    model.mutable_grade_bounds()->add_fit(bound);
    model.mutable_grade_bounds()->add_engagement(bound);
  }
  model.mutable_band_bounds()->set_warm(15);
  model.mutable_band_bounds()->set_ready(30);
  return model;
}

class ScoringServiceTest : public ServiceTest {
 protected:
  Answer<v1::ScoringModel> Create(const v1::ScoringModel& model, const std::string& id) {
    v1::CreateScoringModelRequest request;
    *request.mutable_scoring_model() = model;
    request.set_scoring_model_id(id);
    return Call(server.qualification(), &Stub::CreateScoringModel, request);
  }
  Answer<v1::ScoringModel> Update(const v1::ScoringModel& model,
                                  std::vector<std::string> paths = {},
                                  const std::string& etag = "") {
    v1::UpdateScoringModelRequest request;
    *request.mutable_scoring_model() = model;
    for (std::string& path : paths) request.mutable_update_mask()->add_paths(std::move(path));
    request.mutable_scoring_model()->set_etag(etag);
    return Call(server.qualification(), &Stub::UpdateScoringModel, request);
  }
  Answer<v1::ScoringModel> Activate(const std::string& name) {
    v1::ActivateScoringModelRequest request;
    request.set_name(name);
    return Call(server.qualification(), &Stub::ActivateScoringModel, request);
  }
  Answer<v1::ScoringModel> Get(const std::string& name) {
    v1::GetScoringModelRequest request;
    request.set_name(name);
    return Call(server.qualification(), &Stub::GetScoringModel, request);
  }
  Answer<v1::ExplainScoreResponse> Explain(const std::string& lead,
                                           const std::string& revision = "") {
    v1::ExplainScoreRequest request;
    request.set_name(lead);
    request.set_revision(revision);
    return Call(server.qualification(), &Stub::ExplainScore, request);
  }
  void Touch(const std::string& lead, v1::TouchpointKind kind) {
    v1::RecordTouchpointRequest request;
    request.set_parent(lead);
    request.mutable_touchpoint()->set_kind(kind);
    auto answer = Call(server.leads(), &v1::LeadService::Stub::RecordTouchpoint, request);
    ASSERT_TRUE(answer.ok()) << answer.status.error_message();
  }
};
RELAIS_ON_BOTH_ENGINES(ScoringServiceTest);

TEST_P(ScoringServiceTest, AModelIsDraftedChangedAndPutInForce) {
  auto created = Create(Notes(), "notes");
  ASSERT_TRUE(created.ok()) << created.status.error_message();
  EXPECT_EQ(created.message.name(), "scoringModels/notes");
  EXPECT_EQ(created.message.revision(), 1);
  EXPECT_EQ(created.message.state(), v1::REVISION_STATE_DRAFT);
  EXPECT_THAT(created.message.author(), Not(IsEmpty()));
  EXPECT_FALSE(created.message.built_in());
  EXPECT_EQ(created.message.rules(0).group(), "words");
  EXPECT_EQ(created.message.band_bounds().ready(), 30);

  v1::ScoringModel change;
  change.set_name("scoringModels/notes");
  change.set_threshold_points(35);
  auto updated = Update(change);
  ASSERT_TRUE(updated.ok()) << updated.status.error_message();
  EXPECT_EQ(updated.message.revision(), 1) << "a draft is changed in place";
  EXPECT_EQ(updated.message.threshold_points(), 35);
  EXPECT_THAT(updated.message.rules(), SizeIs(2)) << "what is not named stays";

  auto active = Activate("scoringModels/notes");
  ASSERT_TRUE(active.ok()) << active.status.error_message();
  EXPECT_EQ(active.message.state(), v1::REVISION_STATE_ACTIVE);
  EXPECT_TRUE(active.message.has_activate_time());
  EXPECT_EQ(Get("scoringModels/b2b@1").message.state(), v1::REVISION_STATE_RETIRED);
  EXPECT_EQ(server.Capture("a@example.com").score_model(), "scoringModels/notes@1");

  change.set_threshold_points(40);
  updated = Update(change);
  ASSERT_TRUE(updated.ok()) << updated.status.error_message();
  EXPECT_EQ(updated.message.revision(), 2) << "a published revision never changes";
  EXPECT_EQ(updated.message.state(), v1::REVISION_STATE_DRAFT);
  EXPECT_EQ(Get("scoringModels/notes@1").message.threshold_points(), 35);
  EXPECT_EQ(Get("scoringModels/notes").message.revision(), 2) << "the latest";

  // Back to what is shipped, which gets a row of its own.
  auto shipped = Activate("scoringModels/b2b@1");
  ASSERT_TRUE(shipped.ok()) << shipped.status.error_message();
  EXPECT_TRUE(shipped.message.built_in());
  EXPECT_EQ(Get("scoringModels/notes@1").message.state(), v1::REVISION_STATE_RETIRED);
  EXPECT_EQ(server.Capture("b@example.com").score_model(), "scoringModels/b2b@1");
}

TEST_P(ScoringServiceTest, RevisionsAreListedInTheirOrderPageByPage) {
  ASSERT_TRUE(Create(Notes(), "notes").ok());
  v1::ScoringModel change;
  change.set_name("scoringModels/notes");
  for (int i = 1; i <= 10; ++i) {
    ASSERT_TRUE(Activate("scoringModels/notes").ok());
    change.set_threshold_points(100 + i);
    ASSERT_TRUE(Update(change).ok());
  }
  std::vector<std::string> names;
  v1::ListScoringModelsRequest request;
  request.set_page_size(5);
  do {
    auto page = Call(server.qualification(), &Stub::ListScoringModels, request);
    ASSERT_TRUE(page.ok()) << page.status.error_message();
    for (const v1::ScoringModel& model : page.message.scoring_models()) {
      names.push_back(Concat(model.name(), "@", model.revision()));
    }
    request.set_page_token(page.message.next_page_token());
  } while (!request.page_token().empty());
  ASSERT_THAT(names, SizeIs(13));
  EXPECT_EQ(names[0], "scoringModels/b2b@1");
  EXPECT_EQ(names[2], "scoringModels/notes@1");
  EXPECT_EQ(names[11], "scoringModels/notes@10");
  EXPECT_EQ(names[12], "scoringModels/notes@11");
}

TEST_P(ScoringServiceTest, EverythingWrongWithAModelIsSaidAtOnce) {
  v1::ScoringModel model = Notes();
  model.clear_display_name();
  model.set_market(v1::MARKET_UNSPECIFIED);
  model.mutable_rules(0)->set_rule("No Good");
  model.mutable_rules(0)->set_window_days(500);
  model.mutable_rules(1)->set_lead_filter("person.shoes = 3");
  model.mutable_rules(1)->set_points(0);
  model.mutable_grade_bounds()->clear_fit();
  model.mutable_band_bounds()->set_warm(31);
  const Refusal refusal = Create(model, "Bad Id").refusal();
  EXPECT_EQ(refusal.code, StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(refusal.reason, "INVALID_FIELD");
  EXPECT_THAT(
      refusal.fields,
      UnorderedElementsAre("scoring_model_id", "scoring_model.display_name", "scoring_model.market",
                           "scoring_model.grade_bounds.fit", "scoring_model.grade_bounds.fit",
                           "scoring_model.band_bounds.warm", "scoring_model.rules[0].rule",
                           "scoring_model.rules[0].window_days",
                           "scoring_model.rules[1].lead_filter", "scoring_model.rules[1].points"));
}

TEST_P(ScoringServiceTest, ModelsAreRefusedForWhatTheyMeet) {
  ASSERT_TRUE(Create(Notes(), "notes").ok());
  EXPECT_EQ(Create(Notes(), "notes").refusal().code, StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Create(Notes(), "b2b").refusal().resource_name, "scoringModels/b2b");
  v1::ScoringModel change;
  change.set_name("scoringModels/nobody");
  EXPECT_EQ(Update(change).refusal().code, StatusCode::NOT_FOUND);
  EXPECT_EQ(Activate("scoringModels/nobody").refusal().code, StatusCode::NOT_FOUND);
  EXPECT_EQ(Activate("scoringModels/notes@7").refusal().code, StatusCode::NOT_FOUND);
  EXPECT_EQ(Get("scoringModels/notes@7").refusal().resource_type, "ScoringModel");
  EXPECT_THAT(Activate("scoringModels/notes@0").refusal().fields, ElementsAre("name"));
  change.set_name("scoringModels/notes");
  EXPECT_EQ(Update(change, {"threshold_points"}, "\"99\"").refusal().reason, "ETAG_MISMATCH");
  EXPECT_THAT(Update(change, {"market", "state"}).refusal().fields,
              ElementsAre("update_mask.paths[0]", "update_mask.paths[1]"));
  EXPECT_THAT(Update(change, {"rules"}).refusal().fields, ElementsAre("scoring_model.rules"));
  // What one field alone cannot know is found with all of them.
  *change.mutable_rules() = Notes().rules();
  change.mutable_rules(0)->clear_group();
  EXPECT_THAT(Update(change).refusal().fields, ElementsAre("scoring_model.groups[0].group"));
  EXPECT_EQ(Get("scoringModels/notes").message.rules(0).group(), "words");
}

TEST_P(ScoringServiceTest, ARequestIdMakesModelsOnceAndATryMakesNone) {
  v1::CreateScoringModelRequest request;
  *request.mutable_scoring_model() = Notes();
  request.set_scoring_model_id("notes");
  request.set_validate_only(true);
  ASSERT_TRUE(Call(server.qualification(), &Stub::CreateScoringModel, request).ok());
  EXPECT_EQ(Get("scoringModels/notes").refusal().code, StatusCode::NOT_FOUND);
  request.set_validate_only(false);
  request.set_request_id(kRequest);
  auto first = Call(server.qualification(), &Stub::CreateScoringModel, request);
  ASSERT_TRUE(first.ok()) << first.status.error_message();
  auto again = Call(server.qualification(), &Stub::CreateScoringModel, request);
  ASSERT_TRUE(again.ok()) << again.status.error_message();
  EXPECT_EQ(again.message.ShortDebugString(), first.message.ShortDebugString());
  EXPECT_EQ(again.trailers.at("relais-replayed"), "1");
  request.mutable_scoring_model()->set_threshold_points(31);
  EXPECT_EQ(Call(server.qualification(), &Stub::CreateScoringModel, request).refusal().reason,
            "REQUEST_ID_REUSED");
}

TEST_P(ScoringServiceTest, AScoreIsExplainedUnderAnyRevision) {
  const std::string lead = server.Capture("a@example.com").name();
  Touch(lead, v1::TOUCHPOINT_KIND_NOTE);
  ASSERT_TRUE(Create(Notes(), "notes").ok());
  const v1::ExplainScoreResponse own = Explain(lead).message;
  EXPECT_EQ(own.score().model(), "scoringModels/b2b@1");
  auto drafted = Explain(lead, "scoringModels/notes");
  ASSERT_TRUE(drafted.ok()) << drafted.status.error_message();
  const v1::ExplainScoreResponse& other = drafted.message;
  EXPECT_EQ(other.score().model(), "scoringModels/notes@1");
  EXPECT_EQ(other.score().score(), 20);
  EXPECT_EQ(other.score().band(), v1::SCORE_BAND_WARM);
  EXPECT_EQ(other.missing_points(), 10);
  ASSERT_THAT(other.parts(), SizeIs(1));
  EXPECT_THAT(other.parts(0).evidence(0).touchpoints(), ElementsAre(StartsWith(lead)));
  ASSERT_THAT(other.missed(), SizeIs(1));
  EXPECT_TRUE(other.missed(0).nearly());
  EXPECT_EQ(other.missed(0).unmet_condition(), "person.phones:*");
  ASSERT_THAT(other.lifts(), SizeIs(2));
  EXPECT_EQ(other.lifts(0).rule(), "note");
  EXPECT_EQ(other.lifts(0).points(), 20);
  EXPECT_TRUE(other.lifts(0).on_touchpoint());
  EXPECT_TRUE(other.lifts(0).reaches_threshold());
  EXPECT_TRUE(other.lifts(1).reaches_threshold());
  EXPECT_THAT(other.path_to_threshold(), ElementsAre("note"));
  EXPECT_EQ(Explain(lead).message.score().model(), "scoringModels/b2b@1") << "nothing was kept";

  v1::ScoreLeadRequest score;
  score.set_name(lead);
  score.set_revision("scoringModels/notes@1");
  EXPECT_EQ(Call(server.qualification(), &Stub::ScoreLead, score).message.score(), 20);

  EXPECT_EQ(Explain(lead, "scoringModels/nobody").refusal().resource_type, "ScoringModel");
  EXPECT_THAT(Explain(lead, "notes").refusal().fields, ElementsAre("revision"));
  EXPECT_EQ(Explain(kNobody, "scoringModels/notes").refusal().code, StatusCode::NOT_FOUND);
}

TEST_P(ScoringServiceTest, APastScoreIsExplainedUnderTheRulesOfThenAndOfNow) {
  const std::string lead = server.Capture("a@example.com").name();
  Touch(lead, v1::TOUCHPOINT_KIND_NOTE);
  const v1::Lead then = server.GetLead(lead).message;
  ASSERT_TRUE(Create(Notes(), "notes").ok());
  ASSERT_TRUE(Activate("scoringModels/notes").ok());
  server.clock().AdvanceDays(10);
  Touch(lead, v1::TOUCHPOINT_KIND_NOTE);
  EXPECT_EQ(server.GetLead(lead).message.score(), 30) << "20, and 20 that are halved";

  v1::ExplainScoreRequest request;
  request.set_name(lead);
  *request.mutable_read_time() = then.update_time();
  request.mutable_read_time()->set_nanos(request.read_time().nanos() + 10'000);
  auto past = Call(server.qualification(), &Stub::ExplainScore, request);
  ASSERT_TRUE(past.ok()) << past.status.error_message();
  EXPECT_EQ(past.message.score().score(), then.score());
  EXPECT_EQ(past.message.score().model(), "scoringModels/b2b@1");
  request.set_revision("scoringModels/notes@1");
  past = Call(server.qualification(), &Stub::ExplainScore, request);
  EXPECT_EQ(past.message.score().score(), 20);
}

TEST_P(ScoringServiceTest, ARescoringIsFollowedToItsEnd) {
  for (int i = 0; i < 20; ++i) {
    Touch(server.Capture(Concat("p", i, "@example.com")).name(), v1::TOUCHPOINT_KIND_NOTE);
  }
  ASSERT_TRUE(Create(Notes(), "notes").ok());
  ASSERT_TRUE(Activate("scoringModels/notes").ok());
  v1::RescoreLeadsRequest request;
  request.set_request_id(kRequest);
  auto begun = Call(server.qualification(), &Stub::RescoreLeads, request);
  ASSERT_TRUE(begun.ok()) << begun.status.error_message();
  EXPECT_EQ(begun.message.kind(), "rescore");
  EXPECT_EQ(begun.message.state(), v1::OPERATION_STATE_RUNNING);
  EXPECT_EQ(Call(server.qualification(), &Stub::RescoreLeads, request).message.name(),
            begun.message.name());

  v1::WatchOperationRequest watch;
  watch.set_name(begun.message.name());
  grpc::ClientContext context;
  SetPatience(context);
  auto reader = server.operations().WatchOperation(&context, watch);
  v1::Operation seen;
  ASSERT_TRUE(reader->Read(&seen));
  EXPECT_EQ(seen.state(), v1::OPERATION_STATE_RUNNING);
  ASSERT_TRUE(server.server().score_keeper().DrainForTest().ok());
  while (reader->Read(&seen)) {
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(seen.state(), v1::OPERATION_STATE_SUCCEEDED);
  EXPECT_EQ(seen.rows_total(), 20);
  EXPECT_EQ(seen.rows_done(), 20);
  v1::ListLeadsRequest list;
  list.set_filter("score_model = \"scoringModels/notes@1\" AND score_band = WARM");
  EXPECT_THAT(Call(server.leads(), &v1::LeadService::Stub::ListLeads, list).message.leads(),
              SizeIs(20));
  // Only what it says it is: a bad id is refused, a try begins nothing.
  request.set_request_id("7");
  EXPECT_THAT(Call(server.qualification(), &Stub::RescoreLeads, request).refusal().fields,
              ElementsAre("request_id"));
}

TEST_P(ScoringServiceTest, ASimulationTellsWhoWouldHaveCrossedBesideTheModelInForce) {
  std::vector<std::string> leads;
  for (int i = 0; i < 6; ++i) {
    leads.push_back(server.Capture(Concat("p", i, "@example.com")).name());
    if (i < 3) {
      Touch(leads.back(), v1::TOUCHPOINT_KIND_NOTE);
      Touch(leads.back(), v1::TOUCHPOINT_KIND_NOTE);
    }
  }
  server.clock().AdvanceDays(3);
  server.Qualify(leads[0]);
  server.Win(server.Open(leads[0]).name());
  ASSERT_TRUE(Create(Notes(), "notes").ok());
  const std::string before = server.Contents();

  v1::SimulateScoringModelRequest request;
  request.set_name("scoringModels/notes");
  grpc::ClientContext context;
  SetPatience(context);
  auto reader = server.qualification().SimulateScoringModel(&context, request);
  std::vector<v1::SimulatedCrossing> crossings;
  v1::SimulationResult result;
  v1::SimulateScoringModelResponse response;
  int progress = 0;
  while (reader->Read(&response)) {
    if (response.has_progress()) {
      ++progress;
      EXPECT_EQ(response.progress().leads_total(), 6);
    }
    for (const auto& crossing : response.crossings().crossings()) crossings.push_back(crossing);
    if (response.has_result()) result = response.result();
  }
  grpc::Status status = reader->Finish();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_GE(progress, 1);
  ASSERT_THAT(crossings, SizeIs(3));
  EXPECT_EQ(crossings[0].lead(), leads[0]);
  EXPECT_TRUE(crossings[0].has_candidate_time());
  EXPECT_FALSE(crossings[0].has_active_time());
  EXPECT_TRUE(crossings[0].has_won_time());
  EXPECT_EQ(result.leads(), 6);
  EXPECT_EQ(result.won(), 1);
  EXPECT_EQ(result.candidate().model(), "scoringModels/notes@1");
  EXPECT_EQ(result.candidate().crossed(), 3);
  EXPECT_EQ(result.candidate().crossed_and_won(), 1);
  EXPECT_EQ(result.candidate().precision_bp(), 3333);
  EXPECT_EQ(result.candidate().recall_bp(), 10'000);
  EXPECT_EQ(result.candidate().median_days(), 3);
  EXPECT_EQ(result.active().model(), "scoringModels/b2b@1");
  EXPECT_EQ(result.active().crossed(), 0);
  EXPECT_EQ(server.Contents(), before) << "nothing was written";

  auto refused = [&](const v1::SimulateScoringModelRequest& bad) {
    grpc::ClientContext other;
    SetPatience(other);
    auto stream = server.qualification().SimulateScoringModel(&other, bad);
    while (stream->Read(&response)) {
    }
    return ReadRefusal(stream->Finish());
  };
  request.set_name("scoringModels/nobody");
  EXPECT_EQ(refused(request).code, StatusCode::NOT_FOUND);
  request.set_name("nobody");
  request.mutable_end_time()->set_seconds(9'000'000'000);
  EXPECT_THAT(refused(request).fields, UnorderedElementsAre("name", "end_time"));
}

// ---- policies ---------------------------------------------------------------------------------

v1::QualificationPolicy TwoRounds() {
  v1::QualificationPolicy policy;
  policy.set_display_name("Two rounds");
  policy.set_market(v1::MARKET_B2B);
  v1::Criterion* pain = policy.add_criteria();
  pain->set_criterion("pain");
  pain->set_kind(v1::CRITERION_KIND_NEED);
  pain->set_required(true);
  pain->set_round(v1::QUALIFICATION_ROUND_MARKETING);
  for (const char* id : {"metrics", "process"}) {
    v1::Criterion* weighted = policy.add_criteria();
    weighted->set_criterion(id);
    weighted->set_kind(v1::CRITERION_KIND_TEXT);
    weighted->set_weight(50);
    weighted->set_min_confidence_percent(60);
  }
  policy.set_sales_weight(50);
  return policy;
}

class PolicyServiceTest : public ServiceTest {
 protected:
  Answer<v1::QualificationPolicy> Create(const v1::QualificationPolicy& policy,
                                         const std::string& id) {
    v1::CreateQualificationPolicyRequest request;
    *request.mutable_qualification_policy() = policy;
    request.set_qualification_policy_id(id);
    return Call(server.qualification(), &Stub::CreateQualificationPolicy, request);
  }
  Answer<v1::QualificationPolicy> Activate(const std::string& name) {
    v1::ActivateQualificationPolicyRequest request;
    request.set_name(name);
    return Call(server.qualification(), &Stub::ActivateQualificationPolicy, request);
  }
  Answer<v1::Lead> Qualify(const std::string& lead, bool validate_only = false) {
    v1::QualifyLeadRequest request;
    request.set_name(lead);
    request.set_validate_only(validate_only);
    return Call(server.qualification(), &Stub::QualifyLead, request);
  }
  static std::vector<std::string> SubjectsOf(const Refusal& refusal) {
    std::vector<std::string> subjects;
    for (const auto& each : refusal.preconditions) subjects.push_back(each.subject());
    return subjects;
  }
};
RELAIS_ON_BOTH_ENGINES(PolicyServiceTest);

TEST_P(PolicyServiceTest, APolicyInForceDecidesWhoQualifies) {
  auto created = Create(TwoRounds(), "two-rounds");
  ASSERT_TRUE(created.ok()) << created.status.error_message();
  EXPECT_EQ(created.message.state(), v1::REVISION_STATE_DRAFT);
  EXPECT_EQ(created.message.criteria(1).round(), v1::QUALIFICATION_ROUND_SALES);
  const std::string lead = server.Capture("a@example.com").name();
  ASSERT_TRUE(Activate("qualificationPolicies/two-rounds").ok());
  EXPECT_THAT(SubjectsOf(Qualify(lead, true).refusal()), ElementsAre("pain", "SALES"));

  v1::AssessLeadRequest assess;
  assess.set_parent(lead);
  for (const char* id : {"pain", "metrics"}) {
    v1::CriterionAnswer* answer = assess.mutable_assessment()->add_answers();
    answer->set_criterion(id);
    answer->set_state(v1::CRITERION_STATE_MET);
    answer->set_confidence_percent(50);
  }
  auto assessed = Call(server.qualification(), &Stub::AssessLead, assess);
  ASSERT_TRUE(assessed.ok()) << assessed.status.error_message();
  EXPECT_EQ(assessed.message.policy(), "qualificationPolicies/two-rounds@1");
  EXPECT_THAT(SubjectsOf(Qualify(lead).refusal()), ElementsAre("SALES")) << "too unsure to count";
  assess.mutable_assessment()->mutable_answers(1)->set_confidence_percent(60);
  ASSERT_TRUE(Call(server.qualification(), &Stub::AssessLead, assess).ok());
  auto qualified = Qualify(lead);
  ASSERT_TRUE(qualified.ok()) << qualified.status.error_message();
  EXPECT_EQ(qualified.message.stage(), v1::STAGE_PROSPECT);

  v1::UpdateQualificationPolicyRequest update;
  update.mutable_qualification_policy()->set_name("qualificationPolicies/two-rounds");
  update.mutable_qualification_policy()->set_sales_weight(100);
  auto updated = Call(server.qualification(), &Stub::UpdateQualificationPolicy, update);
  ASSERT_TRUE(updated.ok()) << updated.status.error_message();
  EXPECT_EQ(updated.message.revision(), 2);
  EXPECT_EQ(updated.message.sales_weight(), 100);
  EXPECT_THAT(updated.message.criteria(), SizeIs(3));
}

TEST_P(PolicyServiceTest, PoliciesAreRefusedForWhatIsWrongWithThem) {
  v1::QualificationPolicy policy = TwoRounds();
  policy.clear_display_name();
  policy.mutable_criteria(0)->set_weight(1);
  policy.mutable_criteria(1)->set_kind(v1::CRITERION_KIND_UNSPECIFIED);
  policy.mutable_criteria(2)->set_criterion("metrics");
  policy.mutable_criteria(2)->set_valid_days(-1);
  policy.set_sales_weight(101);
  EXPECT_THAT(Create(policy, "").refusal().fields,
              UnorderedElementsAre("qualification_policy_id", "qualification_policy.display_name",
                                   "qualification_policy.criteria[0].weight",
                                   "qualification_policy.criteria[1].kind",
                                   "qualification_policy.criteria[2].criterion",
                                   "qualification_policy.criteria[2].valid_days",
                                   "qualification_policy.sales_weight"));
  EXPECT_EQ(Create(TwoRounds(), "bant").refusal().reason, "ALREADY_EXISTS");
  EXPECT_EQ(Activate("qualificationPolicies/nobody").refusal().code, StatusCode::NOT_FOUND);
  EXPECT_THAT(Activate("bant").refusal().fields, ElementsAre("name"));
  v1::UpdateQualificationPolicyRequest update;
  update.mutable_qualification_policy()->set_name("qualificationPolicies/bant");
  update.mutable_qualification_policy()->set_sales_weight(5);
  EXPECT_THAT(
      Call(server.qualification(), &Stub::UpdateQualificationPolicy, update).refusal().fields,
      ElementsAre("qualification_policy.sales_weight"));
  update.mutable_qualification_policy()->set_etag("\"7\"");
  EXPECT_EQ(Call(server.qualification(), &Stub::UpdateQualificationPolicy, update).refusal().reason,
            "ETAG_MISMATCH");
}

TEST_P(PolicyServiceTest, AnOverrideNeedsAReasonAndLeavesItsMarkInTheLog) {
  const std::string lead = server.Capture("a@example.com").name();
  v1::OverrideQualificationRequest request;
  request.set_name(lead);
  EXPECT_THAT(Call(server.qualification(), &Stub::OverrideQualification, request).refusal().fields,
              ElementsAre("reason"));
  request.set_reason("a buyer whom we know for years");
  auto answer = Call(server.qualification(), &Stub::OverrideQualification, request);
  ASSERT_TRUE(answer.ok()) << answer.status.error_message();
  EXPECT_EQ(answer.message.stage(), v1::STAGE_PROSPECT);
  v1::ListLeadTransitionsRequest list;
  list.set_parent(lead);
  const v1::Transition last =
      *Call(server.leads(), &v1::LeadService::Stub::ListLeadTransitions, list)
           .message.transitions()
           .rbegin();
  EXPECT_EQ(last.trigger(), "OverrideQualification");
  EXPECT_EQ(last.reason(), "a buyer whom we know for years");
  EXPECT_EQ(last.rule_version(), "qualificationPolicies/bant@1");
  EXPECT_EQ(Call(server.qualification(), &Stub::OverrideQualification, request).refusal().reason,
            "ILLEGAL_TRANSITION");
  request.set_name(kNobody);
  EXPECT_EQ(Call(server.qualification(), &Stub::OverrideQualification, request).refusal().code,
            StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace relais::testing
