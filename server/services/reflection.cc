#include "server/services/reflection.h"

#include <algorithm>
#include <set>
#include <utility>

#include "grpc/health/v1/health.pb.h"
#include "grpc/reflection/v1/reflection.pb.h"
#include "grpc/reflection/v1alpha/reflection.pb.h"
#include "server/domain/concat.h"
#include "server/services/streams.h"

namespace relais::services {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

template <class Request, class Response>
class ReflectionStream final : public BidiStream<Request, Response> {
 public:
  ReflectionStream(const Edge& edge, const Method& method, grpc::CallbackServerContext* context,
                   const std::vector<std::string>& services)
      : BidiStream<Request, Response>(edge, method, context), services_(services) {}

 private:
  void Handle(const Request& request) override {
    Response response;
    response.set_valid_host(request.host());
    *response.mutable_original_request() = request;
    const DescriptorPool& pool = *DescriptorPool::generated_pool();
    switch (request.message_request_case()) {
      case Request::kFileByFilename:
        AddFile(pool.FindFileByName(request.file_by_filename()), response);
        break;
      case Request::kFileContainingSymbol:
        AddFile(pool.FindFileContainingSymbol(request.file_containing_symbol()), response);
        break;
      case Request::kFileContainingExtension: {
        const auto& wanted = request.file_containing_extension();
        const Descriptor* type = pool.FindMessageTypeByName(wanted.containing_type());
        const FieldDescriptor* extension =
            type == nullptr ? nullptr : pool.FindExtensionByNumber(type, wanted.extension_number());
        AddFile(extension == nullptr ? nullptr : extension->file(), response);
        break;
      }
      case Request::kAllExtensionNumbersOfType:
        AddExtensions(request.all_extension_numbers_of_type(), response);
        break;
      case Request::kListServices:
        for (const std::string& service : services_) {
          response.mutable_list_services_response()->add_service()->set_name(service);
        }
        break;
      default:
        SetError(absl::StatusCode::kInvalidArgument, "the request asks for nothing", response);
    }
    this->Answer(response);
  }

  static void SetError(absl::StatusCode code, std::string_view message, Response& response) {
    response.mutable_error_response()->set_error_code(static_cast<int>(code));
    response.mutable_error_response()->set_error_message(std::string(message));
  }

  // The file and those it needs, without what this stream has sent before.
  void AddFile(const FileDescriptor* file, Response& response) {
    if (file == nullptr) return SetError(absl::StatusCode::kNotFound, "no such file", response);
    auto* files = response.mutable_file_descriptor_response();
    std::vector<const FileDescriptor*> wanted = {file};
    std::set<const FileDescriptor*> seen = {file};
    while (!wanted.empty()) {
      const FileDescriptor* next = wanted.back();
      wanted.pop_back();
      // What was asked for by name is always answered, also a second time.
      if (sent_.insert(next).second || next == file) {
        google::protobuf::FileDescriptorProto proto;
        next->CopyTo(&proto);
        files->add_file_descriptor_proto(proto.SerializeAsString());
      }
      for (int i = 0; i < next->dependency_count(); ++i) {
        if (seen.insert(next->dependency(i)).second) wanted.push_back(next->dependency(i));
      }
    }
  }

  static void AddExtensions(const std::string& type_name, Response& response) {
    const DescriptorPool& pool = *DescriptorPool::generated_pool();
    const Descriptor* type = pool.FindMessageTypeByName(type_name);
    if (type == nullptr) return SetError(absl::StatusCode::kNotFound, "no such type", response);
    std::vector<const FieldDescriptor*> extensions;
    pool.FindAllExtensions(type, &extensions);
    std::vector<int> numbers;
    for (const FieldDescriptor* extension : extensions) numbers.push_back(extension->number());
    std::sort(numbers.begin(), numbers.end());
    auto* answer = response.mutable_all_extension_numbers_response();
    answer->set_base_type_name(type->full_name());
    for (int number : numbers) answer->add_extension_number(number);
  }

  const std::vector<std::string>& services_;
  std::set<const FileDescriptor*> sent_;
};

template <class Request, class Response>
class ReflectionService final : public Endpoint {
 public:
  ReflectionService(const Edge& edge, std::string_view name, std::vector<std::string> services)
      : Endpoint(edge, name), services_(std::move(services)) {
    using Stream = ReflectionStream<Request, Response>;
    BidiStreaming<Stream>(
        "ServerReflectionInfo", [this](const Method& method, grpc::CallbackServerContext* context) {
          return std::make_shared<Stream>(this->edge(), method, context, services_);
        });
  }

 private:
  const std::vector<std::string> services_;
};

}  // namespace

std::vector<std::unique_ptr<Endpoint>> MakeReflection(const Edge& edge,
                                                      const std::vector<std::string>& services) {
  // gRPC's own health service has no descriptor; naming the generated one keeps it in the program.
  std::vector<std::string> all = services;
  all.push_back(
      grpc::health::v1::HealthCheckRequest::descriptor()->file()->service(0)->full_name());
  constexpr std::string_view kV1 = "grpc.reflection.v1.ServerReflection";
  constexpr std::string_view kV1Alpha = "grpc.reflection.v1alpha.ServerReflection";
  all.emplace_back(kV1);
  all.emplace_back(kV1Alpha);
  std::sort(all.begin(), all.end());

  namespace v1 = grpc::reflection::v1;
  namespace v1alpha = grpc::reflection::v1alpha;
  std::vector<std::unique_ptr<Endpoint>> endpoints;
  endpoints.push_back(std::make_unique<
                      ReflectionService<v1::ServerReflectionRequest, v1::ServerReflectionResponse>>(
      edge, kV1, all));
  endpoints.push_back(
      std::make_unique<
          ReflectionService<v1alpha::ServerReflectionRequest, v1alpha::ServerReflectionResponse>>(
          edge, kV1Alpha, all));
  return endpoints;
}

}  // namespace relais::services
