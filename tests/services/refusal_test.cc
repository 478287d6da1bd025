// Every kind of refusal through the wire: code, reason, field; and that nothing is written by it.
#include <functional>
#include <string>
#include <vector>

#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/impl/codegen/client_unary_call.h"
#include "tests/services/test_server.h"

namespace relais::testing {
namespace {

using grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr char kNobody[] = "leads/01940000-ffff-7000-8000-000000000000";

class RefusalTest : public ServiceTest {
 protected:
  template <class Request>
  grpc::Status Capture(const Request& request) {
    return Call(server.leads(), &v1::LeadService::Stub::CaptureLead, request).status;
  }

  // The refusal, and proof that it left no trace.
  Refusal Refused(const std::function<grpc::Status()>& call) {
    std::string before = server.Contents();
    grpc::Status status = call();
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(server.Contents(), before) << status.error_message();
    Refusal refusal = ReadRefusal(status);
    EXPECT_EQ(refusal.domain, "relais") << status.error_message();
    return refusal;
  }
};
RELAIS_ON_BOTH_ENGINES(RefusalTest);

TEST_P(RefusalTest, EveryViolationOfARequestIsNamedAtOnce) {
  v1::CaptureLeadRequest request = server.CaptureOf("not an address");
  request.mutable_lead()->mutable_person()->set_country("XX");
  request.mutable_lead()->mutable_person()->add_phones()->set_number("12");
  request.mutable_lead()->mutable_estimated_value()->set_currency_code("EURO");
  request.mutable_touchpoint()->set_kind(v1::TOUCHPOINT_KIND_CALL);
  request.mutable_touchpoint()->mutable_occur_time()->set_seconds(4'000'000'000);
  request.set_request_id("once");
  Refusal refusal = Refused([&] { return Capture(request); });
  EXPECT_EQ(refusal.code, StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(refusal.reason, "INVALID_FIELD");
  EXPECT_THAT(
      refusal.fields,
      UnorderedElementsAre("lead.person.emails[0].address", "lead.person.country",
                           "lead.person.phones[0].number", "lead.estimated_value.currency_code",
                           "touchpoint.occur_time", "request_id"));
  EXPECT_THAT(refusal.message, Not(HasSubstr("not an address")));
}

TEST_P(RefusalTest, HostileTextIsRefusedByField) {
  for (const std::string& name :
       {std::string(10'000, 'a'), std::string("a\0b", 3), std::string("a\x07 b"),
        std::string("a\xE2\x80\xAE"
                    "b")}) {
    v1::CaptureLeadRequest request = server.CaptureOf("ana@example.com");
    request.mutable_lead()->mutable_person()->set_family_name(name);
    Refusal refusal = Refused([&] { return Capture(request); });
    EXPECT_EQ(refusal.code, StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(refusal.fields, ElementsAre("lead.person.family_name"));
  }
  v1::CaptureLeadRequest empty;
  EXPECT_THAT(Refused([&] { return Capture(empty); }).fields, ElementsAre("lead"));
}

// What no client library of protobuf would send: gRPC alone would answer UNIMPLEMENTED.
TEST_P(RefusalTest, BytesThatAreNoMessageAreRefusedAsAnArgument) {
  auto raw = [this](const std::string& bytes) {
    grpc::GenericStub stub(server.channel());
    grpc::ClientContext context;
    SetPatience(context);
    grpc::CompletionQueue queue;
    grpc::Slice slice(bytes);
    grpc::ByteBuffer request(&slice, 1), response;
    grpc::Status status;
    auto reader =
        stub.PrepareUnaryCall(&context, "/relais.v1.LeadService/CaptureLead", request, &queue);
    reader->StartCall();
    reader->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    queue.Shutdown();
    while (queue.Next(&tag, &ok)) {
    }
    return status;
  };
  Refusal garbage = Refused([&] { return raw("\xff\xff\xff\xff"); });
  EXPECT_EQ(garbage.code, StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(garbage.reason, "MALFORMED_MESSAGE");

  v1::CaptureLeadRequest request = server.CaptureOf("ana@example.com");
  request.mutable_lead()->mutable_person()->set_family_name("QQQQ");
  std::string bytes = request.SerializeAsString();
  bytes.replace(bytes.find("QQQQ"), 4, "\xC3\x28\xA0\xA1");
  Refusal text = Refused([&] { return raw(bytes); });
  EXPECT_EQ(text.code, StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(text.reason, "INVALID_FIELD");
  EXPECT_THAT(text.fields, ElementsAre("lead.person.family_name"));
}

TEST_P(RefusalTest, ListsRefuseBadPagesFiltersAndOrders) {
  server.Capture("ana@example.com");
  server.Capture("bo@example.com");
  auto list = [this](const std::function<void(v1::ListLeadsRequest&)>& change) {
    v1::ListLeadsRequest request;
    change(request);
    return Refused(
        [&] { return Call(server.leads(), &v1::LeadService::Stub::ListLeads, request).status; });
  };
  EXPECT_THAT(list([](auto& r) { r.set_page_size(-1); }).fields, ElementsAre("page_size"));
  Refusal forged = list([](auto& r) { r.set_page_token("AAAA"); });
  EXPECT_EQ(forged.reason, "INVALID_PAGE_TOKEN");
  EXPECT_THAT(forged.fields, ElementsAre("page_token"));
  EXPECT_THAT(list([](auto& r) { r.set_order_by("person.emails"); }).fields,
              ElementsAre("order_by"));
  Refusal filter = list([](auto& r) { r.set_filter("stage = NOWHERE"); });
  EXPECT_EQ(filter.reason, "INVALID_FILTER");
  EXPECT_EQ(filter.metadata.at("line"), "1");
  EXPECT_EQ(filter.metadata.at("column"), "9");
  EXPECT_EQ(list([](auto& r) { r.set_filter(std::string(1 << 20, 'a')); }).reason,
            "INVALID_FILTER");
  EXPECT_EQ(list([](auto& r) { r.set_filter(std::string(10'000, '(')); }).reason, "INVALID_FILTER");

  v1::ListLeadsRequest page;
  page.set_page_size(1);
  std::string token =
      Call(server.leads(), &v1::LeadService::Stub::ListLeads, page).message.next_page_token();
  ASSERT_FALSE(token.empty());
  EXPECT_EQ(list([&](auto& r) {
              r.set_page_token(token);
              r.set_filter("score > 1");
            }).reason,
            "INVALID_PAGE_TOKEN")
      << "a token is bound to its query";
  page.set_page_size(1'000'000'000);
  EXPECT_TRUE(Call(server.leads(), &v1::LeadService::Stub::ListLeads, page).ok());
}

TEST_P(RefusalTest, UnknownNamesAreNotFoundAndSaySoInDetails) {
  Refusal lead = Refused([this] { return server.GetLead(kNobody).status; });
  EXPECT_EQ(lead.code, StatusCode::NOT_FOUND);
  EXPECT_EQ(lead.resource_name, kNobody);
  EXPECT_EQ(lead.resource_type, "Lead");
  EXPECT_THAT(Refused([this] { return server.GetLead("leads/1").status; }).fields,
              ElementsAre("name"));
  v1::ListTouchpointsRequest touchpoints;
  touchpoints.set_parent(kNobody);
  EXPECT_EQ(
      Call(server.leads(), &v1::LeadService::Stub::ListTouchpoints, touchpoints).refusal().code,
      StatusCode::NOT_FOUND);
  v1::ListLeadTransitionsRequest transitions;
  transitions.set_parent(kNobody);
  EXPECT_EQ(
      Call(server.leads(), &v1::LeadService::Stub::ListLeadTransitions, transitions).refusal().code,
      StatusCode::NOT_FOUND);
  v1::BatchGetLeadsRequest batch;
  batch.add_names(server.Capture("ana@example.com").name());
  batch.add_names(kNobody);
  EXPECT_EQ(
      Call(server.leads(), &v1::LeadService::Stub::BatchGetLeads, batch).refusal().resource_name,
      kNobody);
  v1::QualifyLeadRequest qualify;
  qualify.set_name(kNobody);
  EXPECT_EQ(Refused([&] {
              return Call(server.qualification(), &v1::QualificationService::Stub::QualifyLead,
                          qualify)
                  .status;
            }).code,
            StatusCode::NOT_FOUND);
  v1::GetOperationRequest operation;
  operation.set_name("operations/01940000-ffff-7000-8000-000000000000");
  EXPECT_EQ(Call(server.operations(), &v1::OperationsService::Stub::GetOperation, operation)
                .refusal()
                .resource_type,
            "Operation");
}

TEST_P(RefusalTest, QualifyingListsEveryUnmetCriterion) {
  v1::Lead lead = server.Capture("ana@example.com");
  v1::AssessLeadRequest assess = server.AssessmentOf(lead.name());
  assess.mutable_assessment()->mutable_answers()->DeleteSubrange(2, 2);
  assess.mutable_assessment()->mutable_answers(0)->set_state(v1::CRITERION_STATE_NOT_MET);
  ASSERT_TRUE(
      Call(server.qualification(), &v1::QualificationService::Stub::AssessLead, assess).ok());
  for (bool check_only : {true, false}) {
    v1::QualifyLeadRequest qualify;
    qualify.set_name(lead.name());
    qualify.set_validate_only(check_only);
    Refusal refusal = Refused([&] {
      return Call(server.qualification(), &v1::QualificationService::Stub::QualifyLead, qualify)
          .status;
    });
    EXPECT_EQ(refusal.code, StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(refusal.reason, "CRITERIA_NOT_MET");
    std::vector<std::string> unmet;
    for (const auto& violation : refusal.preconditions) unmet.push_back(violation.subject());
    EXPECT_THAT(unmet, UnorderedElementsAre("budget", "need", "timeline"));
  }
}

TEST_P(RefusalTest, IllegalStepsSayWhatIsAllowed) {
  v1::Lead lead = server.Capture("ana@example.com");
  v1::CreateOpportunityRequest open;
  open.mutable_opportunity()->set_lead(lead.name());
  open.mutable_opportunity()->set_intention("wants to buy");
  Refusal refusal = Refused([&] {
    return Call(server.opportunities(), &v1::OpportunityService::Stub::CreateOpportunity, open)
        .status;
  });
  EXPECT_EQ(refusal.code, StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(refusal.reason, "ILLEGAL_TRANSITION");
  ASSERT_EQ(refusal.preconditions.size(), 1U);
  EXPECT_EQ(refusal.preconditions[0].type(), "STAGE");
  EXPECT_EQ(refusal.preconditions[0].subject(), lead.name());
  EXPECT_THAT(refusal.preconditions[0].description(), HasSubstr("QualifyLead"));

  server.Qualify(lead.name());
  v1::Opportunity opportunity = server.Open(lead.name());
  v1::DisqualifyLeadRequest out;
  out.set_name(lead.name());
  out.set_reason("no");
  EXPECT_EQ(Refused([&] {
              return Call(server.qualification(), &v1::QualificationService::Stub::DisqualifyLead,
                          out)
                  .status;
            }).reason,
            "ILLEGAL_TRANSITION");
  v1::MoveOpportunityRequest move;
  move.set_name(opportunity.name());
  move.set_stage("negotiation");
  Refusal stage = Refused([&] {
    return Call(server.opportunities(), &v1::OpportunityService::Stub::MoveOpportunity, move)
        .status;
  });
  EXPECT_EQ(stage.reason, "STAGE_REQUIREMENTS");
  ASSERT_EQ(stage.preconditions.size(), 1U);
  EXPECT_EQ(stage.preconditions[0].subject(), "expected_close_time");
  server.Win(opportunity.name());
  v1::CloseOpportunityRequest close;
  close.set_name(opportunity.name());
  close.set_outcome(v1::CLOSE_OUTCOME_WON);
  EXPECT_EQ(Refused([&] {
              return Call(server.opportunities(), &v1::OpportunityService::Stub::CloseOpportunity,
                          close)
                  .status;
            }).reason,
            "ALREADY_CLOSED");
}

TEST_P(RefusalTest, TakenKeysNameTheirHolder) {
  v1::Lead holder = server.Capture("ana@example.com");
  v1::Lead other = server.Capture("bo@example.com");
  v1::UpdateLeadRequest update;
  update.mutable_lead()->set_name(other.name());
  update.mutable_lead()->mutable_person()->add_emails()->set_address("ana@example.com");
  update.mutable_update_mask()->add_paths("person.emails");
  Refusal refusal = Refused(
      [&] { return Call(server.leads(), &v1::LeadService::Stub::UpdateLead, update).status; });
  EXPECT_EQ(refusal.code, StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(refusal.reason, "ALREADY_EXISTS");
  EXPECT_EQ(refusal.resource_name, holder.name());
  EXPECT_THAT(refusal.message, Not(HasSubstr("ana@")));
}

TEST_P(RefusalTest, MasksThatNameOutputOrNothingAreRefused) {
  v1::Lead lead = server.Capture("ana@example.com");
  for (const char* path : {"stage", "score", "owner", "no_such_field", "acquisition.source"}) {
    v1::UpdateLeadRequest update;
    update.mutable_lead()->set_name(lead.name());
    update.mutable_update_mask()->add_paths(path);
    Refusal refusal = Refused(
        [&] { return Call(server.leads(), &v1::LeadService::Stub::UpdateLead, update).status; });
    EXPECT_EQ(refusal.code, StatusCode::INVALID_ARGUMENT) << path;
    EXPECT_THAT(refusal.fields, Not(IsEmpty())) << path;
    EXPECT_THAT(refusal.fields[0], HasSubstr("update_mask")) << path;
  }
}

TEST_P(RefusalTest, BatchesAreBounded) {
  v1::BatchCaptureLeadsRequest empty, large;
  for (int i = 0; i < 1001; ++i) *large.add_requests() = server.CaptureOf("a@example.com");
  for (const auto& batch : {empty, large}) {
    Refusal refusal = Refused([&] {
      return Call(server.leads(), &v1::LeadService::Stub::BatchCaptureLeads, batch).status;
    });
    EXPECT_THAT(refusal.fields, ElementsAre("requests"));
  }
}

TEST_P(RefusalTest, AnErrorCarriesTheIdOfItsCall) {
  auto answer = server.GetLead(kNobody);
  EXPECT_TRUE(domain::IsCanonicalUuid(answer.trailers.at("relais-call-id")));
  EXPECT_EQ(answer.trailers.count("relais-position"), 0U);
}

}  // namespace
}  // namespace relais::testing
