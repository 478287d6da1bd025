// A whole server in this process, over gRPC, with a clock and ids of the test's own, on either
// engine; and calls that keep what was answered: message, status with its details, trailers.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/sync_stream.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "relais/v1/directory_service.grpc.pb.h"
#include "relais/v1/event_service.grpc.pb.h"
#include "relais/v1/import_service.grpc.pb.h"
#include "relais/v1/insight_service.grpc.pb.h"
#include "relais/v1/lead_service.grpc.pb.h"
#include "relais/v1/operations_service.grpc.pb.h"
#include "relais/v1/opportunity_service.grpc.pb.h"
#include "relais/v1/privacy_service.grpc.pb.h"
#include "relais/v1/qualification_service.grpc.pb.h"
#include "server/domain/concat.h"
#include "server/server.h"
#include "tests/fixtures/fakes.h"
#include "tests/storage/store_fixture.h"

namespace relais::testing {

// A refusal as clients see it.
struct Refusal {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string reason, domain, message;
  std::map<std::string, std::string> metadata;
  std::vector<std::string> fields;  // of BadRequest
  std::vector<google::rpc::PreconditionFailure::Violation> preconditions;
  std::string resource_type, resource_name;
  bool has_retry = false;
  int64_t retry_millis = 0;  // of RetryInfo
};

inline Refusal ReadRefusal(const grpc::Status& status) {
  Refusal refusal;
  refusal.code = status.error_code();
  refusal.message = status.error_message();
  google::rpc::Status whole;
  if (!whole.ParseFromString(status.error_details())) return refusal;
  for (const google::protobuf::Any& any : whole.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad;
    google::rpc::PreconditionFailure precondition;
    google::rpc::ResourceInfo resource;
    google::rpc::RetryInfo retry;
    if (any.UnpackTo(&info)) {
      refusal.reason = info.reason();
      refusal.domain = info.domain();
      refusal.metadata.insert(info.metadata().begin(), info.metadata().end());
    } else if (any.UnpackTo(&bad)) {
      for (const auto& violation : bad.field_violations()) {
        refusal.fields.push_back(violation.field());
      }
    } else if (any.UnpackTo(&precondition)) {
      refusal.preconditions.assign(precondition.violations().begin(),
                                   precondition.violations().end());
    } else if (any.UnpackTo(&resource)) {
      refusal.resource_type = resource.resource_type();
      refusal.resource_name = resource.resource_name();
    } else if (any.UnpackTo(&retry)) {
      refusal.has_retry = true;
      refusal.retry_millis =
          retry.retry_delay().seconds() * 1000 + retry.retry_delay().nanos() / 1'000'000;
    }
  }
  return refusal;
}

using Trailers = std::map<std::string, std::string>;

inline Trailers TrailersOf(const grpc::ClientContext& context) {
  Trailers trailers;
  for (const auto& [key, value] : context.GetServerTrailingMetadata()) {
    trailers[std::string(key.data(), key.size())] = std::string(value.data(), value.size());
  }
  return trailers;
}

template <class Response>
struct Answer {
  Response message;
  grpc::Status status;
  Trailers trailers;

  bool ok() const { return status.ok(); }
  Refusal refusal() const { return ReadRefusal(status); }
};

// No test waits longer than this for an answer that does not come.
inline constexpr std::chrono::seconds kPatience{30};

inline void SetPatience(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
}

template <class Service, class Request, class Response>
Answer<Response> Call(Service& stub,
                      grpc::Status (Service::*method)(grpc::ClientContext*, const Request&,
                                                      Response*),
                      const Request& request) {
  Answer<Response> answer;
  grpc::ClientContext context;
  SetPatience(context);
  answer.status = (stub.*method)(&context, request, &answer.message);
  answer.trailers = TrailersOf(context);
  return answer;
}

class TestServer {
 public:
  using Adjust = std::function<void(runtime::Options&, ServerParts&)>;

  explicit TestServer(Engine engine, Adjust adjust = nullptr)
      : database_(std::make_shared<TestDatabase>(engine)), adjust_(std::move(adjust)) {
    std::string pattern = (std::filesystem::temp_directory_path() / "relais-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    Start();
  }
  ~TestServer() {
    channel_.reset();
    server_.reset();
    std::filesystem::remove_all(folder_);
  }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  // A new server on the same database, by the same clock.
  void Restart() {
    server_.reset();
    Start();
  }

  Server& server() { return *server_; }
  FakeClock& clock() { return clock_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  std::string folder() const { return folder_.string(); }

  v1::LeadService::Stub& leads() { return *leads_; }
  v1::ImportService::Stub& imports() { return *imports_; }
  v1::PrivacyService::Stub& privacy() { return *privacy_; }
  v1::QualificationService::Stub& qualification() { return *qualification_; }
  v1::OpportunityService::Stub& opportunities() { return *opportunities_; }
  v1::DirectoryService::Stub& directory() { return *directory_; }
  v1::EventService::Stub& events() { return *events_; }
  v1::InsightService::Stub& insight() { return *insight_; }
  v1::OperationsService::Stub& operations() { return *operations_; }

  // ---- what most tests begin with ---------------------------------------------------------------

  static v1::CaptureLeadRequest CaptureOf(std::string_view email) {
    v1::CaptureLeadRequest request;
    request.mutable_lead()->mutable_person()->set_given_name("Ana");
    request.mutable_lead()->mutable_person()->set_family_name("Durand");
    request.mutable_lead()->mutable_person()->add_emails()->set_address(std::string(email));
    request.mutable_lead()->mutable_organization()->set_display_name("Atelier Nord");
    request.mutable_lead()->mutable_acquisition()->set_channel(v1::CHANNEL_WEBINAR);
    return request;
  }
  v1::Lead Capture(std::string_view email) {
    auto answer = Call(leads(), &v1::LeadService::Stub::CaptureLead, CaptureOf(email));
    EXPECT_TRUE(answer.ok()) << answer.status.error_message();
    return answer.message.lead();
  }
  // All of BANT, met.
  v1::AssessLeadRequest AssessmentOf(const std::string& lead) {
    v1::AssessLeadRequest request;
    request.set_parent(lead);
    auto add = [&request](const char* criterion) {
      v1::CriterionAnswer* answer = request.mutable_assessment()->add_answers();
      answer->set_criterion(criterion);
      answer->set_state(v1::CRITERION_STATE_MET);
      return answer;
    };
    auto* budget = add("budget")->mutable_budget();
    budget->mutable_minimum()->set_currency_code("EUR");
    budget->mutable_minimum()->set_units(10'000);
    add("authority")->set_authority_role(v1::AUTHORITY_ROLE_DECISION_MAKER);
    auto* need = add("need");
    need->set_need("fewer lost leads");
    need->set_need_severity(v1::NEED_SEVERITY_HIGH);
    add("timeline")->mutable_target_time()->set_seconds(1'800'000'000);
    return request;
  }
  v1::Lead Qualify(const std::string& lead) {
    auto assessed =
        Call(qualification(), &v1::QualificationService::Stub::AssessLead, AssessmentOf(lead));
    EXPECT_TRUE(assessed.ok()) << assessed.status.error_message();
    v1::QualifyLeadRequest request;
    request.set_name(lead);
    auto answer = Call(qualification(), &v1::QualificationService::Stub::QualifyLead, request);
    EXPECT_TRUE(answer.ok()) << answer.status.error_message();
    return answer.message;
  }
  v1::Opportunity Open(const std::string& lead) {
    v1::CreateOpportunityRequest request;
    request.mutable_opportunity()->set_lead(lead);
    request.mutable_opportunity()->set_display_name("Rollout");
    request.mutable_opportunity()->set_intention("asked for an offer");
    request.mutable_opportunity()->mutable_amount()->set_currency_code("EUR");
    request.mutable_opportunity()->mutable_amount()->set_units(12'000);
    auto answer = Call(opportunities(), &v1::OpportunityService::Stub::CreateOpportunity, request);
    EXPECT_TRUE(answer.ok()) << answer.status.error_message();
    return answer.message;
  }
  v1::Opportunity Win(const std::string& opportunity) {
    v1::CloseOpportunityRequest request;
    request.set_name(opportunity);
    request.set_outcome(v1::CLOSE_OUTCOME_WON);
    auto answer = Call(opportunities(), &v1::OpportunityService::Stub::CloseOpportunity, request);
    EXPECT_TRUE(answer.ok()) << answer.status.error_message();
    return answer.message;
  }
  Answer<v1::Lead> GetLead(const std::string& name,
                           std::optional<google::protobuf::Timestamp> at = std::nullopt) {
    v1::GetLeadRequest request;
    request.set_name(name);
    if (at.has_value()) *request.mutable_read_time() = *at;
    return Call(leads(), &v1::LeadService::Stub::GetLead, request);
  }
  // Every event there is.
  std::vector<v1::Event> AllEvents() {
    v1::WatchRequest request;
    request.set_until_now(true);
    grpc::ClientContext context;
    SetPatience(context);
    auto reader = events().Watch(&context, request);
    std::vector<v1::Event> all;
    v1::WatchResponse response;
    while (reader->Read(&response)) {
      if (response.has_event()) all.push_back(response.event());
    }
    grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return all;
  }
  // The database, as far as anything in it can be read: equal texts, equal databases.
  std::string Contents() {
    std::string text;
    for (const v1::Event& event : AllEvents()) Append(text, event.ShortDebugString(), "\n");
    grpc::ClientContext context;
    SetPatience(context);
    auto reader = imports().ExportLeads(&context, {});
    v1::ExportLeadsResponse page;
    while (reader->Read(&page)) Append(text, page.ShortDebugString(), "\n");
    EXPECT_TRUE(reader->Finish().ok());
    Append(text,
           Call(opportunities(), &v1::OpportunityService::Stub::ListOpportunities, {})
               .message.ShortDebugString(),
           Call(directory(), &v1::DirectoryService::Stub::ListUsers, {}).message.ShortDebugString(),
           Call(directory(), &v1::DirectoryService::Stub::ListTeams, {}).message.ShortDebugString(),
           Call(imports(), &v1::ImportService::Stub::ListImports, {}).message.ShortDebugString(),
           Call(operations(), &v1::OperationsService::Stub::ListOperations, {})
               .message.ShortDebugString());
    return text;
  }

  runtime::Options options;  // as of the last start

 private:
  void Start() {
    options = runtime::Options();
    options.listen = {"127.0.0.1:0"};
    options.database = database_->url();
    options.key_file = (folder_ / "key").string();
    options.shutdown_grace = std::chrono::seconds(2);
    ServerParts parts;
    parts.clock = &clock_;
    parts.ids = &ids_;
    parts.strict_store = true;
    parts.feed.poll = std::chrono::milliseconds(10);
    parts.health_poll = std::chrono::milliseconds(10);
    parts.score_poll = std::chrono::hours(1);  // only when a test asks for it
    if (adjust_ != nullptr) adjust_(options, parts);
    absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options, parts);
    if (!server.ok()) {
      ADD_FAILURE() << server.status();
      std::abort();
    }
    server_ = *std::move(server);
    Connect(Concat("127.0.0.1:", server_->ports()[0]), grpc::InsecureChannelCredentials());
  }
  void Connect(const std::string& address,
               const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    // A channel of its own for each server, also when a port is used again.
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel_ = grpc::CreateCustomChannel(address, credentials, arguments);
    leads_ = v1::LeadService::NewStub(channel_);
    imports_ = v1::ImportService::NewStub(channel_);
    privacy_ = v1::PrivacyService::NewStub(channel_);
    qualification_ = v1::QualificationService::NewStub(channel_);
    opportunities_ = v1::OpportunityService::NewStub(channel_);
    directory_ = v1::DirectoryService::NewStub(channel_);
    events_ = v1::EventService::NewStub(channel_);
    insight_ = v1::InsightService::NewStub(channel_);
    operations_ = v1::OperationsService::NewStub(channel_);
  }

  FakeClock clock_;
  CountingIds ids_;
  std::shared_ptr<TestDatabase> database_;
  Adjust adjust_;
  std::filesystem::path folder_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::LeadService::Stub> leads_;
  std::unique_ptr<v1::ImportService::Stub> imports_;
  std::unique_ptr<v1::PrivacyService::Stub> privacy_;
  std::unique_ptr<v1::QualificationService::Stub> qualification_;
  std::unique_ptr<v1::OpportunityService::Stub> opportunities_;
  std::unique_ptr<v1::DirectoryService::Stub> directory_;
  std::unique_ptr<v1::EventService::Stub> events_;
  std::unique_ptr<v1::InsightService::Stub> insight_;
  std::unique_ptr<v1::OperationsService::Stub> operations_;
};

// One suite, both engines.
class ServiceTest : public ::testing::TestWithParam<Engine> {
 public:
  ServiceTest() : server(GetParam()) {}
  TestServer server;
};

#define RELAIS_ON_BOTH_ENGINES(suite)                                                              \
  INSTANTIATE_TEST_SUITE_P(                                                                        \
      Engines, suite,                                                                              \
      ::testing::Values(::relais::testing::Engine::kSqlite, ::relais::testing::Engine::kPostgres), \
      ::relais::testing::EngineName)

}  // namespace relais::testing
