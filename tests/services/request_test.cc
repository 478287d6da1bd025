// What holds for every changing call: request ids, etags, checks, masks, trailing metadata.
#include <string>

#include "absl/time/time.h"
#include "tests/services/test_server.h"

namespace relais::testing {
namespace {

using grpc::StatusCode;

constexpr char kId[] = "0190aaaa-0000-7000-8000-000000000001";

class RequestTest : public ServiceTest {
 protected:
  Answer<v1::Lead> Update(const v1::UpdateLeadRequest& request) {
    return Call(server.leads(), &v1::LeadService::Stub::UpdateLead, request);
  }
  Answer<v1::CaptureLeadResponse> Capture(const v1::CaptureLeadRequest& request) {
    return Call(server.leads(), &v1::LeadService::Stub::CaptureLead, request);
  }
};
RELAIS_ON_BOTH_ENGINES(RequestTest);

TEST_P(RequestTest, TheSameRequestAgainHasNoSecondEffectAndAnswersThePresentState) {
  v1::CaptureLeadRequest capture = server.CaptureOf("ana@example.com");
  capture.set_request_id(kId);
  auto first = Capture(capture);
  ASSERT_TRUE(first.ok()) << first.status.error_message();
  EXPECT_EQ(first.trailers.count("relais-replayed"), 0U);
  server.Qualify(first.message.lead().name());

  std::string before = server.Contents();
  auto again = Capture(capture);
  ASSERT_TRUE(again.ok()) << again.status.error_message();
  EXPECT_EQ(again.trailers.at("relais-replayed"), "1");
  EXPECT_EQ(again.message.lead().name(), first.message.lead().name());
  EXPECT_EQ(again.message.touchpoint().name(), first.message.touchpoint().name());
  EXPECT_EQ(again.message.lead().stage(), v1::STAGE_PROSPECT) << "the state of now, not of then";
  EXPECT_EQ(server.Contents(), before);
}

TEST_P(RequestTest, AnIdUsedForAnotherRequestIsRefused) {
  v1::CaptureLeadRequest capture = server.CaptureOf("ana@example.com");
  capture.set_request_id(kId);
  ASSERT_TRUE(Capture(capture).ok());
  capture.mutable_lead()->mutable_person()->set_job_title("Director");
  auto other = Capture(capture);
  EXPECT_EQ(other.refusal().code, StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(other.refusal().reason, "REQUEST_ID_REUSED");
  v1::CreateTeamRequest team;
  team.mutable_team()->set_display_name("North");
  team.set_request_id(kId);
  EXPECT_EQ(
      Call(server.directory(), &v1::DirectoryService::Stub::CreateTeam, team).refusal().reason,
      "REQUEST_ID_REUSED")
      << "also when it is another call";
}

TEST_P(RequestTest, ARefusedRequestLeavesItsIdFree) {
  v1::Lead lead = server.Capture("ana@example.com");
  v1::QualifyLeadRequest qualify;
  qualify.set_name(lead.name());
  qualify.set_request_id(kId);
  auto refused =
      Call(server.qualification(), &v1::QualificationService::Stub::QualifyLead, qualify);
  EXPECT_EQ(refused.refusal().reason, "CRITERIA_NOT_MET");
  ASSERT_TRUE(Call(server.qualification(), &v1::QualificationService::Stub::AssessLead,
                   server.AssessmentOf(lead.name()))
                  .ok());
  auto done = Call(server.qualification(), &v1::QualificationService::Stub::QualifyLead, qualify);
  EXPECT_TRUE(done.ok()) << done.status.error_message();
  EXPECT_EQ(done.trailers.count("relais-replayed"), 0U);
}

TEST_P(RequestTest, TheIdIsLookedAtBeforeEtagAndGuards) {
  v1::Lead lead = server.Capture("ana@example.com");
  v1::UpdateLeadRequest update;
  update.mutable_lead()->set_name(lead.name());
  update.mutable_lead()->set_etag(lead.etag());
  update.mutable_lead()->mutable_person()->set_job_title("Director");
  update.mutable_update_mask()->add_paths("person.job_title");
  update.set_request_id(kId);
  ASSERT_TRUE(Update(update).ok());
  auto again = Update(update);
  EXPECT_TRUE(again.ok()) << "the etag is stale now, but this request is done: "
                          << again.status.error_message();
  EXPECT_EQ(again.trailers.at("relais-replayed"), "1");

  v1::DisqualifyLeadRequest out;
  out.set_name(lead.name());
  out.set_reason("no budget");
  out.set_request_id("0190aaaa-0000-7000-8000-000000000002");
  for (int i = 0; i < 2; ++i) {
    auto answer =
        Call(server.qualification(), &v1::QualificationService::Stub::DisqualifyLead, out);
    EXPECT_TRUE(answer.ok()) << "a second one would be an illegal transition: "
                             << answer.status.error_message();
  }
}

TEST_P(RequestTest, AStaleEtagIsRefusedAndWritesNothing) {
  v1::Lead lead = server.Capture("ana@example.com");
  v1::UpdateLeadRequest update;
  update.mutable_lead()->set_name(lead.name());
  update.mutable_lead()->mutable_person()->set_job_title("Director");
  ASSERT_TRUE(Update(update).ok());
  std::string before = server.Contents();
  update.mutable_lead()->mutable_person()->set_job_title("Head of sales");
  update.mutable_lead()->set_etag(lead.etag());
  auto stale = Update(update);
  EXPECT_EQ(stale.refusal().code, StatusCode::ABORTED);
  EXPECT_EQ(stale.refusal().reason, "ETAG_MISMATCH");
  EXPECT_EQ(stale.refusal().metadata.at("expected"), lead.etag());
  EXPECT_EQ(stale.refusal().metadata.at("actual"), server.GetLead(lead.name()).message.etag());
  EXPECT_EQ(server.Contents(), before);
}

TEST_P(RequestTest, ACheckSaysWhatWouldBeAndWritesNothing) {
  v1::Lead lead = server.Capture("ana@example.com");
  std::string before = server.Contents();
  v1::CaptureLeadRequest capture = server.CaptureOf("bo@example.com");
  capture.set_validate_only(true);
  capture.set_request_id(kId);
  auto would = Capture(capture);
  ASSERT_TRUE(would.ok()) << would.status.error_message();
  EXPECT_EQ(would.message.outcome(), v1::CAPTURE_OUTCOME_CREATED);
  EXPECT_EQ(would.message.lead().person().emails(0).address(), "bo@example.com");
  EXPECT_EQ(would.trailers.count("relais-position"), 0U) << "nothing was committed";

  v1::UpdateLeadRequest update;
  update.mutable_lead()->set_name(lead.name());
  update.mutable_lead()->mutable_person()->set_job_title("Director");
  update.set_validate_only(true);
  EXPECT_EQ(Update(update).message.person().job_title(), "Director");
  v1::DisqualifyLeadRequest out;
  out.set_name(lead.name());
  out.set_reason("no");
  out.set_validate_only(true);
  EXPECT_EQ(Call(server.qualification(), &v1::QualificationService::Stub::DisqualifyLead, out)
                .message.stage(),
            v1::STAGE_DISQUALIFIED);
  v1::AssessLeadRequest assess = server.AssessmentOf(lead.name());
  assess.set_validate_only(true);
  EXPECT_TRUE(
      Call(server.qualification(), &v1::QualificationService::Stub::AssessLead, assess).ok());
  v1::CreateUserRequest user;
  user.mutable_user()->set_display_name("Ines");
  user.set_validate_only(true);
  EXPECT_TRUE(Call(server.directory(), &v1::DirectoryService::Stub::CreateUser, user).ok());
  v1::BatchCaptureLeadsRequest batch;
  *batch.add_requests() = server.CaptureOf("cy@example.com");
  batch.set_validate_only(true);
  EXPECT_EQ(Call(server.leads(), &v1::LeadService::Stub::BatchCaptureLeads, batch)
                .message.results(0)
                .response()
                .outcome(),
            v1::CAPTURE_OUTCOME_CREATED);
  v1::ImportRowsRequest import;
  import.set_name("imports/0190aaaa-0000-7000-8000-0000000000ff");
  import.set_validate_only(true);
  import.set_return_results(true);
  v1::ImportRow* row = import.add_rows();
  row->set_row(1);
  *row->mutable_capture()->mutable_lead() = server.CaptureOf("dee@example.com").lead();
  auto imported = Call(server.imports(), &v1::ImportService::Stub::ImportRows, import);
  ASSERT_TRUE(imported.ok()) << imported.status.error_message();
  EXPECT_EQ(imported.message.results(0).outcome(), v1::IMPORT_ROW_OUTCOME_DONE);
  EXPECT_EQ(server.Contents(), before);

  // The check neither read nor kept the id.
  v1::CaptureLeadRequest real = server.CaptureOf("someone.else@example.com");
  real.set_request_id(kId);
  auto done = Capture(real);
  EXPECT_TRUE(done.ok()) << done.status.error_message();
  EXPECT_EQ(done.trailers.count("relais-replayed"), 0U);
}

TEST_P(RequestTest, OnlyTheFieldsOfTheMaskChange) {
  v1::Lead lead = server.Capture("ana@example.com");
  v1::UpdateLeadRequest update;
  update.mutable_lead()->set_name(lead.name());
  update.mutable_lead()->mutable_person()->set_job_title("Director");
  update.mutable_lead()->mutable_person()->set_language("fr");
  update.mutable_update_mask()->add_paths("person.job_title");
  v1::Lead changed = Update(update).message;
  EXPECT_EQ(changed.person().job_title(), "Director");
  EXPECT_EQ(changed.person().language(), "");

  v1::UpdateLeadRequest clear;
  clear.mutable_lead()->set_name(lead.name());
  clear.mutable_update_mask()->add_paths("person.job_title");
  changed = Update(clear).message;
  EXPECT_EQ(changed.person().job_title(), "");
  EXPECT_EQ(changed.person().given_name(), "Ana");

  v1::UpdateLeadRequest populated;
  populated.mutable_lead()->set_name(lead.name());
  populated.mutable_lead()->mutable_person()->set_language("fr");
  changed = Update(populated).message;
  EXPECT_EQ(changed.person().language(), "fr");
  EXPECT_EQ(changed.person().given_name(), "Ana");

  v1::ListLeadChangesRequest history;
  history.set_parent(lead.name());
  auto changes = Call(server.leads(), &v1::LeadService::Stub::ListLeadChanges, history).message;
  int titles = 0;
  for (const v1::LeadChange& change : changes.changes()) {
    if (change.path() == "person.job_title") ++titles;
  }
  EXPECT_EQ(titles, 2);
}

TEST_P(RequestTest, AWriteSaysWhereItWasCommitted) {
  auto answer = Capture(server.CaptureOf("ana@example.com"));
  std::vector<v1::Event> events = server.AllEvents();
  EXPECT_EQ(answer.trailers.at("relais-position"), Concat(events.back().number()));
  absl::Time time;
  std::string error;
  ASSERT_TRUE(
      absl::ParseTime(absl::RFC3339_full, answer.trailers.at("relais-record-time"), &time, &error))
      << error;
  const auto& record_time = events.back().record_time();
  EXPECT_EQ(absl::ToUnixMicros(time),
            record_time.seconds() * 1'000'000 + record_time.nanos() / 1'000);
  EXPECT_EQ(server.GetLead(answer.message.lead().name()).trailers.count("relais-position"), 0U);
}

TEST_P(RequestTest, ItemsOfABatchHaveIdsOfTheirOwn) {
  v1::BatchCaptureLeadsRequest batch;
  *batch.add_requests() = server.CaptureOf("ana@example.com");
  batch.mutable_requests(0)->set_request_id(kId);
  ASSERT_FALSE(Call(server.leads(), &v1::LeadService::Stub::BatchCaptureLeads, batch)
                   .message.results(0)
                   .replayed());
  *batch.add_requests() = server.CaptureOf("bo@example.com");
  auto again = Call(server.leads(), &v1::LeadService::Stub::BatchCaptureLeads, batch).message;
  EXPECT_TRUE(again.results(0).replayed());
  EXPECT_FALSE(again.results(1).replayed());
}

TEST_P(RequestTest, IdsOutliveARestart) {
  v1::CaptureLeadRequest capture = server.CaptureOf("ana@example.com");
  capture.set_request_id(kId);
  auto first = Capture(capture);
  server.Restart();
  auto again = Capture(capture);
  ASSERT_TRUE(again.ok()) << again.status.error_message();
  EXPECT_EQ(again.trailers.at("relais-replayed"), "1");
  EXPECT_EQ(again.message.lead().name(), first.message.lead().name());
}

}  // namespace
}  // namespace relais::testing
