// relais_vectors SERVER FOLDER: tells every story of FOLDER to the server and counts those that end
// as they should. Every call of the contract must occur in one. Exit code 1 when a story fails or a
// call is missing, 2 for a file that cannot be read.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <set>
#include <thread>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "relais/v1/directory_service.pb.h"
#include "relais/v1/event_service.pb.h"
#include "relais/v1/import_service.pb.h"
#include "relais/v1/insight_service.pb.h"
#include "relais/v1/lead_service.pb.h"
#include "relais/v1/operations_service.pb.h"
#include "relais/v1/opportunity_service.pb.h"
#include "relais/v1/privacy_service.pb.h"
#include "relais/v1/qualification_service.pb.h"
#include "tests/vectors/story.h"

namespace relais::vectors {
namespace {

namespace pb = google::protobuf;

// No story waits longer than this for one answer.
constexpr std::chrono::seconds kPatience{30};

constexpr const char* kCodes[] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

// Every service of the package; its files are linked because their messages are used above.
std::vector<const pb::ServiceDescriptor*> Services() {
  std::set<const pb::FileDescriptor*> files = {v1::CreateUserRequest::descriptor()->file(),
                                               v1::WatchRequest::descriptor()->file(),
                                               v1::ImportRowsRequest::descriptor()->file(),
                                               v1::GetFunnelRequest::descriptor()->file(),
                                               v1::CaptureLeadRequest::descriptor()->file(),
                                               v1::GetOperationRequest::descriptor()->file(),
                                               v1::GetOpportunityRequest::descriptor()->file(),
                                               v1::SetConsentRequest::descriptor()->file(),
                                               v1::QualifyLeadRequest::descriptor()->file()};
  std::vector<const pb::ServiceDescriptor*> services;
  for (const pb::FileDescriptor* file : files) {
    for (int i = 0; i < file->service_count(); ++i) services.push_back(file->service(i));
  }
  return services;
}

const pb::MethodDescriptor& FindMethod(const std::string& call) {
  size_t slash = call.find('/');
  std::string full = "relais.v1." + call.substr(0, slash) + "." + call.substr(slash + 1);
  const pb::MethodDescriptor* method = pb::DescriptorPool::generated_pool()->FindMethodByName(full);
  if (method == nullptr) throw std::runtime_error(call + ": no such call");
  return *method;
}

std::unique_ptr<pb::Message> NewMessage(const pb::Descriptor* type) {
  return std::unique_ptr<pb::Message>(
      pb::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

grpc::ByteBuffer BytesOf(const pb::Descriptor* type, const Json& json) {
  std::unique_ptr<pb::Message> message = NewMessage(type);
  auto status = pb::util::JsonStringToMessage(json.dump(), message.get());
  if (!status.ok())
    throw std::runtime_error("not a " + type->full_name() + ": " + status.ToString());
  grpc::Slice slice(message->SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

Json JsonOf(const pb::Descriptor* type, grpc::ByteBuffer& bytes) {
  grpc::Slice slice;
  std::unique_ptr<pb::Message> message = NewMessage(type);
  if (!bytes.DumpToSingleSlice(&slice).ok() ||
      !message->ParseFromArray(slice.begin(), static_cast<int>(slice.size()))) {
    throw Mismatch("the answer is no " + type->full_name());
  }
  std::string text;
  auto status = pb::util::MessageToJsonString(*message, &text);
  if (!status.ok()) throw Mismatch("the answer has no JSON form: " + status.ToString());
  return Json::parse(text);
}

Json RefusalOf(const grpc::Status& status) {
  Json seen = {{"code", kCodes[status.error_code()]},
               {"message", status.error_message()},
               {"fields", Json::array()},
               {"preconditions", Json::array()},
               {"metadata", Json::object()}};
  google::rpc::Status whole;
  whole.ParseFromString(status.error_details());
  for (const pb::Any& any : whole.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad;
    google::rpc::PreconditionFailure precondition;
    google::rpc::ResourceInfo resource;
    if (any.UnpackTo(&info)) {
      seen["reason"] = info.reason();
      for (const auto& [key, value] : info.metadata()) seen["metadata"][key] = value;
    } else if (any.UnpackTo(&bad)) {
      for (const auto& violation : bad.field_violations()) {
        seen["fields"].push_back(violation.field());
      }
    } else if (any.UnpackTo(&precondition)) {
      for (const auto& violation : precondition.violations()) {
        seen["preconditions"].push_back(violation.subject());
      }
    } else if (any.UnpackTo(&resource)) {
      seen["resource"] = {{"type", resource.resource_type()}, {"name", resource.resource_name()}};
    }
  }
  return seen;
}

class Caller {
 public:
  explicit Caller(const std::string& server)
      : stub_(grpc::CreateChannel(server, grpc::InsecureChannelCredentials())) {}

  // What the server answered to `requests`: a message, or the list of those of a stream.
  Json operator()(const std::string& call, const Json& requests) {
    const pb::MethodDescriptor& method = FindMethod(call);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    grpc::CompletionQueue queue;
    // Every kind of call is a stream on the wire, so one way of calling serves all.
    auto stream = stub_.PrepareCall(&context, "/relais.v1." + call, &queue);
    stream->StartCall(this);
    bool good = Next(queue);
    for (size_t i = 0; good && i < requests.size(); ++i) {
      stream->Write(BytesOf(method.input_type(), requests[i]), this);
      good = Next(queue);
    }
    if (good) {
      stream->WritesDone(this);
      Next(queue);
    }
    Json answers = Json::array();
    for (grpc::ByteBuffer bytes; good; bytes.Clear()) {
      stream->Read(&bytes, this);
      good = Next(queue);
      if (good) answers.push_back(JsonOf(method.output_type(), bytes));
    }
    grpc::Status status;
    stream->Finish(&status, this);
    Next(queue);
    queue.Shutdown();
    while (Next(queue)) {
    }
    if (!status.ok()) return RefusalOf(status);
    Json seen = {{"code", "OK"}, {"trailers", Json::object()}};
    bool streams = method.client_streaming() || method.server_streaming();
    seen["answer"] = streams ? answers : answers.at(0);
    for (const auto& [key, value] : context.GetServerTrailingMetadata()) {
      seen["trailers"][std::string(key.data(), key.size())] =
          std::string(value.data(), value.size());
    }
    return seen;
  }

 private:
  static bool Next(grpc::CompletionQueue& queue) {
    void* tag = nullptr;
    bool good = false;
    return queue.Next(&tag, &good) && good;
  }
  grpc::GenericStub stub_;
};

void Tell(Caller& call, const Story& story) {
  Scope scope;
  for (const Step& step : story.steps) {
    auto end =
        std::chrono::steady_clock::now() + std::chrono::duration<double>(step.within_seconds);
    for (;;) {
      try {
        Json seen = call(step.call, scope.Fill(step.requests));
        Judge(scope.Fill(step.expect), seen);
        scope.Capture(step.capture, seen.value("answer", Json::object()));
        break;
      } catch (const Mismatch& mismatch) {
        if (std::chrono::steady_clock::now() >= end) {
          throw Mismatch(step.call + ": " + mismatch.what());
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    }
  }
}

int Run(const std::string& server, const std::string& folder) {
  std::vector<Story> stories = Load(folder);
  Caller call(server);
  int failed = 0;
  std::set<std::string> told;
  for (const Story& story : stories) {
    for (const Step& step : story.steps) told.insert(step.call);
    try {
      Tell(call, story);
    } catch (const std::exception& error) {
      ++failed;
      std::cout << "FAILED: " << story.name << ": " << error.what() << std::endl;
    }
  }
  for (const pb::ServiceDescriptor* service : Services()) {
    for (int i = 0; i < service->method_count(); ++i) {
      std::string name = service->name() + "/" + service->method(i)->name();
      if (told.count(name) != 0) continue;
      ++failed;
      std::cout << "FAILED: no story calls " << name << std::endl;
    }
  }
  std::cout << stories.size() << " stories, " << failed << " failures" << std::endl;
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace relais::vectors

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: relais_vectors SERVER FOLDER" << std::endl;
    return 2;
  }
  try {
    return relais::vectors::Run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 2;
  }
}
