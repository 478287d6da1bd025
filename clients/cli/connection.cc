#include "clients/cli/connection.h"

#include <google/rpc/error_details.pb.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"

namespace relais::cli {

bool IsLocalServer(const std::string& server) {
  std::string_view text = server;
  for (std::string_view prefix : {"dns:///", "ipv4:", "ipv6:"}) {
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  }
  return text.starts_with("unix:") || text.starts_with("127.") || text.starts_with("localhost:") ||
         text == "localhost" || text.starts_with("[::1]");
}

absl::StatusOr<Connection> Connection::Open(const ConnectionOptions& options) {
  Connection out;
  out.token_ = options.token;
  out.timeout_seconds_ = options.timeout_seconds;
  bool tls = !options.plaintext && (!options.ca_file.empty() || !IsLocalServer(options.server));
  if (options.plaintext && !options.token.empty() && !IsLocalServer(options.server)) {
    return absl::InvalidArgumentError(
        "--plaintext would send the token in the clear to another machine");
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(16 * 1024 * 1024);
  // A dead peer of a silent stream is noticed; the server accepts a ping every 30 seconds.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (tls) {
    grpc::SslCredentialsOptions ssl;
    if (!options.ca_file.empty()) {
      std::ifstream in(options.ca_file, std::ios::binary);
      ssl.pem_root_certs.assign(std::istreambuf_iterator<char>(in),
                                std::istreambuf_iterator<char>());
      if (!in || ssl.pem_root_certs.empty()) {
        return absl::InvalidArgumentError(absl::StrCat(options.ca_file, ": cannot be read"));
      }
    }
    credentials = grpc::SslCredentials(ssl);
  } else {
    credentials = grpc::InsecureChannelCredentials();
  }
  out.channel_ = grpc::CreateCustomChannel(options.server, credentials, arguments);
  return out;
}

std::unique_ptr<grpc::ClientContext> Connection::Unary() const {
  std::unique_ptr<grpc::ClientContext> context = Stream();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(timeout_seconds_));
  return context;
}

std::unique_ptr<grpc::ClientContext> Connection::Stream() const {
  auto context = std::make_unique<grpc::ClientContext>();
  if (!token_.empty()) context->AddMetadata("authorization", absl::StrCat("Bearer ", token_));
  return context;
}

google::rpc::Status DetailsOf(const grpc::Status& status) {
  google::rpc::Status out;
  if (!out.ParseFromString(status.error_details())) out.Clear();
  out.set_code(status.error_code());
  if (out.message().empty()) out.set_message(status.error_message());
  return out;
}

std::string ReasonOf(const google::rpc::Status& status) {
  for (const google::protobuf::Any& any : status.details()) {
    google::rpc::ErrorInfo info;
    if (any.UnpackTo(&info)) return info.reason();
  }
  return "";
}

std::vector<Complaint> ComplaintsOf(const google::rpc::Status& status) {
  std::vector<Complaint> out;
  for (const google::protobuf::Any& any : status.details()) {
    google::rpc::BadRequest bad;
    google::rpc::PreconditionFailure unmet;
    google::rpc::QuotaFailure quota;
    google::rpc::ResourceInfo resource;
    if (any.UnpackTo(&bad)) {
      for (const auto& violation : bad.field_violations()) {
        out.push_back({violation.field(), violation.description()});
      }
    } else if (any.UnpackTo(&unmet)) {
      for (const auto& violation : unmet.violations()) {
        out.push_back({violation.subject(),
                       absl::StrCat(violation.type(), violation.type().empty() ? "" : ": ",
                                    violation.description())});
      }
    } else if (any.UnpackTo(&quota)) {
      for (const auto& violation : quota.violations()) {
        out.push_back({violation.subject(), violation.description()});
      }
    } else if (any.UnpackTo(&resource)) {
      out.push_back(
          {resource.resource_name(),
           absl::StrCat(resource.resource_type(), resource.description().empty() ? "" : ": ",
                        resource.description())});
    }
  }
  return out;
}

std::string CodeName(int code) {
  static constexpr const char* kNames[] = {"OK",
                                           "CANCELLED",
                                           "UNKNOWN",
                                           "INVALID_ARGUMENT",
                                           "DEADLINE_EXCEEDED",
                                           "NOT_FOUND",
                                           "ALREADY_EXISTS",
                                           "PERMISSION_DENIED",
                                           "RESOURCE_EXHAUSTED",
                                           "FAILED_PRECONDITION",
                                           "ABORTED",
                                           "OUT_OF_RANGE",
                                           "UNIMPLEMENTED",
                                           "INTERNAL",
                                           "UNAVAILABLE",
                                           "DATA_LOSS",
                                           "UNAUTHENTICATED"};
  return code >= 0 && static_cast<size_t>(code) < std::size(kNames) ? kNames[code]
                                                                    : std::to_string(code);
}

int Report(const grpc::Status& status, const std::string& what) {
  google::rpc::Status details = DetailsOf(status);
  std::string reason = ReasonOf(details);
  std::fprintf(stderr, "relais: %s: %s%s%s: %s\n", what.c_str(),
               CodeName(status.error_code()).c_str(), reason.empty() ? "" : " ", reason.c_str(),
               status.error_message().c_str());
  for (const Complaint& complaint : ComplaintsOf(details)) {
    std::fprintf(stderr, "  %s%s%s\n", complaint.field.c_str(), complaint.field.empty() ? "" : ": ",
                 complaint.text.c_str());
  }
  return status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                 status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED
             ? kExitUnreachable
             : kExitRefused;
}

int Report(const absl::Status& status) {
  std::fprintf(stderr, "relais: %s\n", std::string(status.message()).c_str());
  return kExitUsage;
}

}  // namespace relais::cli
