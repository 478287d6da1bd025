// The server as a whole: how it starts, what it refuses, health, reflection, TLS, load, the stop.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <prometheus/text_serializer.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/server_builder.h"
#include "server/runtime/logging.h"
#include "tests/services/test_server.h"

namespace relais::testing {
namespace {

using grpc::StatusCode;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using Health = grpc::health::v1::HealthCheckResponse;

// A line a call would bury what a failed test says.
class NoLog final : public ::testing::Environment {
 public:
  void SetUp() override { ASSERT_TRUE(runtime::StartLogging("off").ok()); }
  void TearDown() override { runtime::StopLogging(); }
};
const ::testing::Environment* const kNoLog = ::testing::AddGlobalTestEnvironment(new NoLog);

class WholeServerTest : public ServiceTest {
 protected:
  Answer<Health> Check(const std::string& service) {
    auto stub = grpc::health::v1::Health::NewStub(server.channel());
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    return Call(*stub, &grpc::health::v1::Health::Stub::Check, request);
  }
};
RELAIS_ON_BOTH_ENGINES(WholeServerTest);

TEST_P(WholeServerTest, HealthKnowsEveryService) {
  for (const char* service :
       {"", "relais.v1.LeadService", "relais.v1.ImportService", "relais.v1.PrivacyService",
        "relais.v1.QualificationService", "relais.v1.OpportunityService",
        "relais.v1.DirectoryService", "relais.v1.EventService", "relais.v1.InsightService",
        "relais.v1.OperationsService", "grpc.reflection.v1.ServerReflection"}) {
    auto answer = Check(service);
    ASSERT_TRUE(answer.ok()) << service;
    EXPECT_EQ(answer.message.status(), Health::SERVING) << service;
  }
  EXPECT_EQ(Check("relais.v1.Nothing").status.error_code(), StatusCode::NOT_FOUND);
}

TEST_P(WholeServerTest, AStopLetsCallsFinishAndEndsStreams) {
  server.Capture("first@example.com");
  auto stub = grpc::health::v1::Health::NewStub(server.channel());
  grpc::ClientContext health_context, watch_context, import_context;
  for (auto* context : {&health_context, &watch_context, &import_context}) SetPatience(*context);
  auto health = stub->Watch(&health_context, {});
  Health status;
  ASSERT_TRUE(health->Read(&status));
  ASSERT_EQ(status.status(), Health::SERVING);
  auto watch = server.events().Watch(&watch_context, {});
  v1::WatchResponse response;
  ASSERT_TRUE(watch->Read(&response));
  auto import = server.imports().ImportLeads(&import_context);
  v1::ImportRowsRequest check;
  check.set_name("imports/0190aaaa-0000-7000-8000-0000000000ff");
  check.set_validate_only(true);
  *check.add_rows()->mutable_capture()->mutable_lead() = server.CaptureOf("x@example.com").lead();
  check.mutable_rows(0)->set_row(1);
  v1::ImportRowsResponse imported;
  ASSERT_TRUE(import->Write(check));
  ASSERT_TRUE(import->Read(&imported));

  server.server().store().PauseWrites();
  Answer<v1::CaptureLeadResponse> late;
  std::thread caller([&] {
    late = Call(server.leads(), &v1::LeadService::Stub::CaptureLead,
                server.CaptureOf("late@example.com"));
  });
  auto started = [this] {
    return prometheus::TextSerializer().Serialize(server.server().metrics().registry().Collect());
  };
  const std::string two_begun =
      "grpc_server_started_total{grpc_method=\"CaptureLead\","
      "grpc_service=\"relais.v1.LeadService\",grpc_type=\"unary\"} 2";
  while (started().find(two_begun) == std::string::npos) std::this_thread::yield();

  std::thread stopper([this] { server.server().Shutdown(); });
  while (health->Read(&status) && status.status() == Health::SERVING) {
  }
  EXPECT_EQ(status.status(), Health::NOT_SERVING);
  health_context.TryCancel();
  while (watch->Read(&response)) {
  }
  Refusal ended = ReadRefusal(watch->Finish());
  EXPECT_EQ(ended.code, StatusCode::UNAVAILABLE);
  EXPECT_EQ(ended.reason, "SHUTTING_DOWN");
  EXPECT_FALSE(import->Read(&imported));
  EXPECT_EQ(ReadRefusal(import->Finish()).reason, "SHUTTING_DOWN");

  server.server().store().ResumeWrites();
  caller.join();
  EXPECT_TRUE(late.ok()) << late.status.error_message();
  stopper.join();
  server.server().Wait();
  health->Finish();
  server.Restart();
  EXPECT_EQ(server.GetLead(late.message.lead().name()).message.DebugString(),
            late.message.lead().DebugString());
}

TEST_P(WholeServerTest, WhatExpiredInTheQueueIsNeverWritten) {
  server.server().store().PauseWrites();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(30));
  v1::CaptureLeadResponse response;
  EXPECT_EQ(server.leads()
                .CaptureLead(&context, server.CaptureOf("late@example.com"), &response)
                .error_code(),
            StatusCode::DEADLINE_EXCEEDED);
  // The server counts the call's time from its arrival, which may be a little later than the client
  // does; reads, which are not held up, pass the time until it has run out there too.
  const auto surely_over = context.deadline() + std::chrono::milliseconds(300);
  while (std::chrono::system_clock::now() < surely_over) {
    Call(server.leads(), &v1::LeadService::Stub::ListLeads, {});
  }
  server.server().store().ResumeWrites();
  server.Capture("next@example.com");
  EXPECT_EQ(Call(server.leads(), &v1::LeadService::Stub::ListLeads, {}).message.leads_size(), 1);
}

TEST(ServerLimitTest, AFullQueueShedsAtOnceAndSaysWhenToComeBack) {
  TestServer server(Engine::kSqlite,
                    [](runtime::Options& options, ServerParts&) { options.max_queued = 1; });
  server.server().store().PauseWrites();
  // Until it has the place: one of those below may have been quicker.
  std::thread held([&] {
    while (Call(server.leads(), &v1::LeadService::Stub::CaptureLead,
                server.CaptureOf("held@example.com"))
               .status.error_code() == StatusCode::RESOURCE_EXHAUSTED) {
    }
  });
  // Until the first one waits, others may take its place; theirs expire there.
  grpc::Status status;
  Trailers trailers;
  while (status.error_code() != StatusCode::RESOURCE_EXHAUSTED) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
    v1::CaptureLeadResponse response;
    status = server.leads().CaptureLead(&context, server.CaptureOf("more@example.com"), &response);
    trailers = TrailersOf(context);
  }
  Refusal refusal = ReadRefusal(status);
  EXPECT_EQ(refusal.reason, "OVERLOADED");
  EXPECT_TRUE(refusal.has_retry);
  EXPECT_GT(refusal.retry_millis, 0);
  // gRPC's own retries know the trailer only, callers that decode details the other: both say one.
  EXPECT_EQ(trailers.at("grpc-retry-pushback-ms"), std::to_string(refusal.retry_millis));
  server.server().store().ResumeWrites();
  held.join();
}

TEST(ServerDatabaseTest, HealthFollowsTheDatabase) {
  TestServer server(Engine::kPostgres);
  server.Capture("ana@example.com");
  auto stub = grpc::health::v1::Health::NewStub(server.channel());
  grpc::ClientContext context;
  SetPatience(context);
  grpc::health::v1::HealthCheckRequest request;
  request.set_service("relais.v1.LeadService");
  auto health = stub->Watch(&context, request);
  Health status;
  ASSERT_TRUE(health->Read(&status));
  ASSERT_EQ(status.status(), Health::SERVING);
  PgCluster::Shared().Stop();
  auto away = Call(server.leads(), &v1::LeadService::Stub::ListLeads, {});
  EXPECT_EQ(away.refusal().code, StatusCode::UNAVAILABLE);
  EXPECT_EQ(away.refusal().reason, "STORAGE_UNAVAILABLE");
  ASSERT_TRUE(health->Read(&status));
  EXPECT_EQ(status.status(), Health::NOT_SERVING);
  PgCluster::Shared().Start();
  ASSERT_TRUE(health->Read(&status));
  EXPECT_EQ(status.status(), Health::SERVING);
  EXPECT_TRUE(Call(server.leads(), &v1::LeadService::Stub::ListLeads, {}).ok());
  context.TryCancel();
  health->Finish();
}

// ---- reflection ---------------------------------------------------------------------------------

template <class Service, class Request, class Response>
void ExpectReflection(const std::shared_ptr<grpc::Channel>& channel) {
  auto stub = Service::NewStub(channel);
  grpc::ClientContext context;
  SetPatience(context);
  auto stream = stub->ServerReflectionInfo(&context);
  auto ask = [&](const Request& request) {
    Response response;
    EXPECT_TRUE(stream->Write(request));
    EXPECT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.original_request().SerializeAsString(), request.SerializeAsString());
    return response;
  };
  Request request;
  request.set_host("here");
  request.set_list_services("");
  Response listed = ask(request);
  EXPECT_EQ(listed.valid_host(), "here");
  std::vector<std::string> names;
  for (const auto& service : listed.list_services_response().service()) {
    names.push_back(service.name());
  }
  EXPECT_THAT(names, Contains("relais.v1.LeadService"));
  EXPECT_THAT(names, Contains("grpc.health.v1.Health"));
  EXPECT_THAT(names, Contains("grpc.reflection.v1.ServerReflection"));

  // Every file that a symbol needs comes with it, and only once in a stream.
  request.set_file_containing_symbol("relais.v1.LeadService.CaptureLead");
  std::vector<std::string> files;
  Response needed = ask(request);
  for (const std::string& bytes : needed.file_descriptor_response().file_descriptor_proto()) {
    google::protobuf::FileDescriptorProto file;
    ASSERT_TRUE(file.ParseFromString(bytes));
    files.push_back(file.name());
  }
  EXPECT_EQ(files.front(), "relais/v1/lead_service.proto");
  EXPECT_THAT(files, Contains("relais/v1/lead.proto"));
  EXPECT_THAT(files, Contains("google/type/money.proto"));
  request.set_file_by_filename("relais/v1/lead.proto");
  EXPECT_EQ(ask(request).file_descriptor_response().file_descriptor_proto_size(), 1);
  request.set_file_containing_symbol("grpc.health.v1.Health");
  EXPECT_GE(ask(request).file_descriptor_response().file_descriptor_proto_size(), 1);

  request.mutable_file_containing_extension()->set_containing_type("google.protobuf.MethodOptions");
  request.mutable_file_containing_extension()->set_extension_number(50102);
  EXPECT_GE(ask(request).file_descriptor_response().file_descriptor_proto_size(), 1);
  request.set_all_extension_numbers_of_type("google.protobuf.FieldOptions");
  EXPECT_THAT(ask(request).all_extension_numbers_response().extension_number(), Contains(50101));

  request.set_file_containing_symbol("relais.v1.Nothing");
  EXPECT_EQ(ask(request).error_response().error_code(), 5);
  request.set_file_by_filename("nothing.proto");
  EXPECT_EQ(ask(request).error_response().error_code(), 5);
  request.mutable_file_containing_extension()->set_containing_type("relais.v1.Lead");
  EXPECT_EQ(ask(request).error_response().error_code(), 5);
  request.set_all_extension_numbers_of_type("relais.v1.Nothing");
  EXPECT_EQ(ask(request).error_response().error_code(), 5);
  EXPECT_EQ(ask(Request()).error_response().error_code(), 3);
  EXPECT_TRUE(stream->WritesDone());
  EXPECT_TRUE(stream->Finish().ok());
}

TEST(ReflectionTest, BothVersionsDescribeTheContract) {
  TestServer server(Engine::kSqlite);
  ExpectReflection<grpc::reflection::v1::ServerReflection,
                   grpc::reflection::v1::ServerReflectionRequest,
                   grpc::reflection::v1::ServerReflectionResponse>(server.channel());
  ExpectReflection<grpc::reflection::v1alpha::ServerReflection,
                   grpc::reflection::v1alpha::ServerReflectionRequest,
                   grpc::reflection::v1alpha::ServerReflectionResponse>(server.channel());
}

TEST(ReflectionTest, ItCanBeSwitchedOff) {
  TestServer server(Engine::kSqlite,
                    [](runtime::Options& options, ServerParts&) { options.reflection = false; });
  auto stub = grpc::reflection::v1::ServerReflection::NewStub(server.channel());
  grpc::ClientContext context;
  SetPatience(context);
  EXPECT_EQ(stub->ServerReflectionInfo(&context)->Finish().error_code(), StatusCode::UNIMPLEMENTED);
}

// ---- start --------------------------------------------------------------------------------------

class StartTest : public ::testing::Test {
 public:
  StartTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "relais-XXXXXX").string();
    folder = mkdtemp(pattern.data());
    options.listen = {"127.0.0.1:0"};
    options.database = Concat("sqlite:", folder, "/relais.db");
  }
  ~StartTest() override { std::filesystem::remove_all(folder); }

  absl::Status Start() {
    absl::StatusOr<std::unique_ptr<Server>> started = Server::Start(options);
    if (!started.ok()) return started.status();
    server = *std::move(started);
    return absl::OkStatus();
  }
  grpc::Status Try(const std::string& address,
                   const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto stub =
        v1::LeadService::NewStub(grpc::CreateCustomChannel(address, credentials, arguments));
    return Call(*stub, &v1::LeadService::Stub::ListLeads, {}).status;
  }
  std::string Write(const std::string& name, const std::string& text) {
    std::string path = Concat(folder, "/", name);
    std::ofstream(path) << text;
    return path;
  }

  std::string folder;
  runtime::Options options;
  std::unique_ptr<Server> server;
};

// Key and certificate for `name`, signed by `issuer` or by itself, as PEM.
struct Identity {
  std::string key, certificate;
  std::shared_ptr<EVP_PKEY> private_key;
  std::shared_ptr<X509> x509;
};
Identity MakeIdentity(const std::string& name, const Identity* issuer = nullptr) {
  Identity identity;
  identity.private_key.reset(EVP_EC_gen("P-256"), EVP_PKEY_free);
  identity.x509.reset(X509_new(), X509_free);
  X509* x509 = identity.x509.get();
  X509_set_version(x509, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), issuer == nullptr ? 1 : 2);
  X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
  X509_set_pubkey(x509, identity.private_key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509* signer = issuer == nullptr ? x509 : issuer->x509.get();
  X509_set_issuer_name(x509, X509_get_subject_name(signer));
  X509V3_CTX context;
  X509V3_set_ctx(&context, signer, x509, nullptr, nullptr, 0);
  for (auto [id, value] :
       {std::pair(NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1"),
        std::pair(NID_basic_constraints, issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE")}) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
  }
  EVP_PKEY* key = issuer == nullptr ? identity.private_key.get() : issuer->private_key.get();
  X509_sign(x509, key, EVP_sha256());
  auto text = [](const std::function<void(BIO*)>& write) {
    BIO* memory = BIO_new(BIO_s_mem());
    write(memory);
    char* data = nullptr;
    long size = BIO_get_mem_data(memory, &data);
    std::string out(data, static_cast<size_t>(size));
    BIO_free(memory);
    return out;
  };
  identity.key = text([&](BIO* out) {
    PEM_write_bio_PrivateKey(out, identity.private_key.get(), nullptr, nullptr, 0, nullptr,
                             nullptr);
  });
  identity.certificate = text([&](BIO* out) { PEM_write_bio_X509(out, x509); });
  return identity;
}

TEST_F(StartTest, PlaintextIsRefusedWhereOtherMachinesCanReachIt) {
  for (const char* address : {"0.0.0.0:0", "[::]:0", "192.0.2.1:50061", "example.com:443"}) {
    options.listen = {"127.0.0.1:0", address};
    absl::Status status = Start();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << address;
    EXPECT_THAT(std::string(status.message()), HasSubstr("--tls_cert")) << address;
  }
  EXPECT_FALSE(std::filesystem::exists(folder + "/relais.db")) << "nothing was touched";
}

TEST_F(StartTest, AUnixSocketServes) {
  options.listen = {Concat("unix:", folder, "/relais.sock")};
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(server->ports(), std::vector<int>{0});
  EXPECT_TRUE(Try(options.listen[0], grpc::InsecureChannelCredentials()).ok());
}

TEST_F(StartTest, TlsServesWithACertificateAndOnlySo) {
  Identity identity = MakeIdentity("localhost");
  options.tls_cert = Write("cert.pem", identity.certificate);
  options.tls_key = Write("key.pem", identity.key);
  options.listen = {"0.0.0.0:0"};
  absl::Status started = Start();
  ASSERT_TRUE(started.ok()) << started;
  std::string address = Concat("localhost:", server->ports()[0]);
  grpc::Status status =
      Try(address, grpc::SslCredentials({.pem_root_certs = identity.certificate}));
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(Try(address, grpc::SslCredentials({.pem_root_certs = MakeIdentity("x").certificate}))
                .error_code(),
            StatusCode::UNAVAILABLE);
  EXPECT_EQ(Try(address, grpc::InsecureChannelCredentials()).error_code(), StatusCode::UNAVAILABLE);
  // Reflection is off where others can look.
  auto stub = grpc::reflection::v1::ServerReflection::NewStub(
      grpc::CreateChannel(address, grpc::SslCredentials({.pem_root_certs = identity.certificate})));
  grpc::ClientContext context;
  SetPatience(context);
  EXPECT_EQ(stub->ServerReflectionInfo(&context)->Finish().error_code(), StatusCode::UNIMPLEMENTED);
}

TEST_F(StartTest, AClientCaDemandsCertificatesAndNamesTheActor) {
  Identity authority = MakeIdentity("authority");
  Identity machine = MakeIdentity("localhost", &authority);
  Identity client = MakeIdentity("crm-sync", &authority);
  options.tls_cert = Write("cert.pem", machine.certificate);
  options.tls_key = Write("key.pem", machine.key);
  options.tls_client_ca = Write("ca.pem", authority.certificate);
  ASSERT_TRUE(Start().ok());
  std::string address = Concat("localhost:", server->ports()[0]);
  EXPECT_FALSE(Try(address, grpc::SslCredentials({.pem_root_certs = authority.certificate})).ok());
  auto credentials = grpc::SslCredentials({.pem_root_certs = authority.certificate,
                                           .pem_private_key = client.key,
                                           .pem_cert_chain = client.certificate});
  auto stub = v1::LeadService::NewStub(grpc::CreateChannel(address, credentials));
  auto captured =
      Call(*stub, &v1::LeadService::Stub::CaptureLead, TestServer::CaptureOf("ana@example.com"));
  ASSERT_TRUE(captured.ok()) << captured.status.error_message();
  EXPECT_EQ(captured.message.touchpoint().actor(), "certificates/crm-sync");
}

TEST_F(StartTest, TlsFilesThatDoNotFitAreRefusedByFlag) {
  Identity one = MakeIdentity("one"), two = MakeIdentity("two");
  options.tls_cert = Write("cert.pem", one.certificate);
  options.tls_key = Write("key.pem", two.key);
  EXPECT_THAT(std::string(Start().message()), HasSubstr("--tls_key"));
  options.tls_key = Write("key.pem", one.key);
  options.tls_cert = folder + "/nothing.pem";
  EXPECT_THAT(std::string(Start().message()), HasSubstr("--tls_cert"));
  options.tls_cert = "";
  EXPECT_THAT(std::string(Start().message()), HasSubstr("--tls_cert"));
}

TEST_F(StartTest, APortInUseIsRefused) {
  ASSERT_TRUE(Start().ok());
  options.listen = {Concat("127.0.0.1:", server->ports()[0])};
  options.database = Concat("sqlite:", folder, "/other.db");
  absl::StatusOr<std::unique_ptr<Server>> second = Server::Start(options);
  EXPECT_TRUE(absl::IsInvalidArgument(second.status())) << second.status();
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("--listen"));
}

TEST_F(StartTest, TheKeyIsMadeOnceAndNeverReplaced) {
  ASSERT_TRUE(Start().ok());
  std::string key = folder + "/relais.db.key";
  struct stat info {};
  ASSERT_EQ(stat(key.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  server.reset();
  ASSERT_TRUE(Start().ok());
  server.reset();
  chmod(key.c_str(), 0644);
  EXPECT_TRUE(absl::IsFailedPrecondition(Start()));
  std::filesystem::remove(key);
  absl::Status lost = Start();
  EXPECT_TRUE(absl::IsFailedPrecondition(lost)) << lost;
  EXPECT_FALSE(std::filesystem::exists(key));
}

TEST_F(StartTest, MetricsAreServedUnderTheNamesThatDashboardsKnow) {
  options.metrics_listen = "127.0.0.1:0";
  ASSERT_TRUE(Start().ok());
  ASSERT_TRUE(
      Try(Concat("127.0.0.1:", server->ports()[0]), grpc::InsecureChannelCredentials()).ok());
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(server->metrics().port()));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const std::string get = "GET /metrics HTTP/1.0\r\n\r\n";
  ASSERT_EQ(write(fd, get.data(), get.size()), static_cast<ssize_t>(get.size()));
  std::string page;
  char buffer[4096];
  for (ssize_t n = read(fd, buffer, sizeof buffer); n > 0; n = read(fd, buffer, sizeof buffer)) {
    page.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  EXPECT_THAT(page, HasSubstr("grpc_server_started_total{grpc_method=\"ListLeads\","
                              "grpc_service=\"relais.v1.LeadService\",grpc_type=\"unary\"} 1"));
  EXPECT_THAT(page, HasSubstr("grpc_server_handled_total{grpc_code=\"OK\""));
  EXPECT_THAT(page, HasSubstr("grpc_server_handling_seconds_count"));
  EXPECT_THAT(page, HasSubstr("relais_feed_lag_seconds{reaction=\"search\"}"));
}

// ---- the wrapper --------------------------------------------------------------------------------

TEST(AccessTest, ACallWithoutTheOptionStopsTheStart) {
  google::protobuf::FileDescriptorProto file;
  file.set_name("bare.proto");
  file.add_message_type()->set_name("Nothing");
  auto* service = file.add_service();
  service->set_name("Bare");
  auto* method = service->add_method();
  method->set_name("Do");
  method->set_input_type(".Nothing");
  method->set_output_type(".Nothing");
  google::protobuf::DescriptorPool pool;
  absl::Status status = services::CheckAccess(*pool.BuildFile(file)->service(0));
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("Bare.Do"));
  EXPECT_TRUE(services::CheckAccess(
                  *v1::GetLeadRequest::descriptor()->file()->FindServiceByName("LeadService"))
                  .ok());
}

// A service whose handlers misbehave, under a descriptor that is at hand.
class FaultyEndpoint final : public services::Endpoint {
 public:
  explicit FaultyEndpoint(const services::Edge& edge) : Endpoint(edge, "grpc.health.v1.Health") {
    Unary("Check", &FaultyEndpoint::Check);
  }

 private:
  absl::Status Check(services::Reply<Health>&,
                     const grpc::health::v1::HealthCheckRequest& request) {
    if (request.service() == "throw") throw std::runtime_error("secret");
    return absl::InvalidArgumentError("secret");
  }
};

TEST(WrapperTest, WhatIsNotAFaultIsInternalAndTellsOnlyItsCall) {
  TestServer server(Engine::kSqlite);
  runtime::Metrics metrics;
  runtime::SystemClock clock;
  runtime::Uuid7Source ids(clock);
  runtime::LoopbackAuthenticator authenticator;
  convert::Digester digester("k");
  convert::PageTokens pages("k");
  services::Streams streams(1);
  services::FeedHub feed(server.server().store(), {});
  services::Edge edge{
      server.server().store(), clock, authenticator, metrics, ids, digester, pages, feed, streams};
  FaultyEndpoint faulty(edge);
  EXPECT_FALSE(faulty.CheckComplete().ok()) << "Watch has no handler";
  grpc::EnableDefaultHealthCheckService(false);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&faulty);
  std::unique_ptr<grpc::Server> grpc_server = builder.BuildAndStart();
  grpc::EnableDefaultHealthCheckService(true);
  auto stub = grpc::health::v1::Health::NewStub(
      grpc::CreateChannel(Concat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  for (const char* how : {"throw", "status"}) {
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(how);
    auto answer = Call(*stub, &grpc::health::v1::Health::Stub::Check, request);
    Refusal refusal = answer.refusal();
    EXPECT_EQ(refusal.code, StatusCode::INTERNAL) << how;
    EXPECT_THAT(refusal.message, Not(HasSubstr("secret"))) << how;
    EXPECT_THAT(refusal.message, HasSubstr(answer.trailers.at("relais-call-id"))) << how;
  }
  grpc_server->Shutdown();
}

}  // namespace
}  // namespace relais::testing
