#include "server/services/serve.h"

#include <cstdlib>

#include "relais/v1/options.pb.h"
#include "server/domain/concat.h"
#include "server/runtime/logging.h"

namespace relais::services {
namespace {

std::string_view TypeName(grpc::internal::RpcMethod::RpcType type) {
  switch (type) {
    case grpc::internal::RpcMethod::SERVER_STREAMING:
      return "server_stream";
    case grpc::internal::RpcMethod::BIDI_STREAMING:
      return "bidi_stream";
    default:
      return "unary";
  }
}

[[noreturn]] void Die(const std::string& message) {
  runtime::LogError(message);
  runtime::StopLogging();
  std::abort();
}

}  // namespace

Endpoint::Endpoint(const Edge& edge, std::string_view service)
    : edge_(edge),
      descriptor_(google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
          std::string(service))) {
  if (descriptor_ == nullptr) Die(Concat("no service ", service, " was compiled in"));
}

const Method& Endpoint::Add(std::string_view name, grpc::internal::RpcMethod::RpcType type,
                            std::string_view request, std::string_view response) {
  const google::protobuf::MethodDescriptor* declared =
      descriptor_->FindMethodByName(std::string(name));
  if (declared == nullptr || declared->input_type()->full_name() != request ||
      declared->output_type()->full_name() != response ||
      declared->client_streaming() != (type == grpc::internal::RpcMethod::BIDI_STREAMING) ||
      declared->server_streaming() != (type != grpc::internal::RpcMethod::NORMAL_RPC)) {
    Die(Concat(descriptor_->full_name(), " declares no such method as the handler of ", name));
  }
  auto method = std::make_unique<Method>();
  method->service = descriptor_->name();
  method->name = std::string(name);
  method->path = Concat("/", descriptor_->full_name(), "/", name);
  method->unary = type == grpc::internal::RpcMethod::NORMAL_RPC;
  method->metrics = edge_.metrics.ForCall(TypeName(type), descriptor_->full_name(), name);
  AddMethod(new grpc::internal::RpcServiceMethod(method->path.c_str(), type, nullptr));
  methods_.push_back(std::move(method));
  return *methods_.back();
}

void Endpoint::Mark(grpc::internal::MethodHandler* handler) {
  MarkMethodRawCallback(static_cast<int>(methods_.size()) - 1, handler);
}

absl::Status Endpoint::CheckComplete() const {
  for (int i = 0; i < descriptor_->method_count(); ++i) {
    bool served = false;
    for (const auto& method : methods_) {
      served = served || method->name == descriptor_->method(i)->name();
    }
    if (!served) {
      return absl::InternalError(Concat(descriptor_->method(i)->full_name(), " has no handler"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckAccess(const google::protobuf::ServiceDescriptor& service) {
  for (int i = 0; i < service.method_count(); ++i) {
    if (!service.method(i)->options().HasExtension(v1::access)) {
      return absl::FailedPreconditionError(
          Concat(service.method(i)->full_name(), " has no access option: who may make this call?"));
    }
  }
  return absl::OkStatus();
}

std::string& WireBuffer() {
  // Grows to what answers usually need, and not for ever to the largest.
  constexpr size_t kKeptBytes = 256 * 1024;
  thread_local std::string bytes;
  bytes.clear();
  if (bytes.capacity() > kKeptBytes) bytes.shrink_to_fit();
  return bytes;
}

absl::StatusOr<domain::Lead> FindLead(storage::ReadTxn& txn, const domain::LeadId& id) {
  ASSIGN_OR_RETURN(std::vector<std::optional<domain::Lead>> found, txn.GetLeads({id}));
  if (found.empty() || !found[0].has_value()) return domain::NotFound("Lead", domain::NameOf(id));
  return *std::move(found[0]);
}

}  // namespace relais::services
