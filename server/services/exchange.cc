#include "server/services/exchange.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/security/auth_context.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "server/convert/rpc_status.h"
#include "server/convert/wire.h"
#include "server/domain/concat.h"
#include "server/domain/faults.h"
#include "server/domain/status_macros.h"
#include "server/runtime/logging.h"

namespace relais::services {
namespace {

// gRPC writes peers as "ipv4:127.0.0.1:5", "ipv6:%5B::1%5D:5" and "unix:/path" ("unix:" alone for a
// client's unnamed socket).
bool IsLocalPeer(std::string_view peer) {
  return peer.starts_with("unix:") || peer.starts_with("unix-abstract:") ||
         peer.starts_with("ipv4:127.") || peer.starts_with("ipv6:%5B::1%5D:") ||
         peer.starts_with("ipv6:[::1]:") || peer.starts_with("ipv6:%5B::ffff:127.") ||
         peer.starts_with("ipv6:[::ffff:127.");
}

std::string HeaderOf(const grpc::CallbackServerContext& context, const char* key) {
  const auto& metadata = context.client_metadata();
  auto it = metadata.find(key);
  return it == metadata.end() ? std::string() : std::string(it->second.data(), it->second.size());
}

// The trace id of a W3C traceparent ("00-<32 hex>-<16 hex>-<2 hex>"); empty when it is none.
std::string TraceIdOf(std::string_view header) {
  if (header.size() != 55 || header[2] != '-' || header[35] != '-' || header[52] != '-') return {};
  std::string_view id = header.substr(3, 32);
  for (char c : id) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c)) || absl::ascii_isupper(c)) return {};
  }
  return std::string(id);
}

std::string CertificateOf(const grpc::CallbackServerContext& context) {
  std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  if (auth == nullptr || !auth->IsPeerAuthenticated()) return {};
  std::vector<grpc::string_ref> type =
      auth->FindPropertyValues(GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
  if (type.empty() || (type[0] != GRPC_SSL_TRANSPORT_SECURITY_TYPE &&
                       type[0] != GRPC_TLS_TRANSPORT_SECURITY_TYPE)) {
    return {};
  }
  std::vector<grpc::string_ref> name = auth->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
  return name.empty() ? std::string() : std::string(name[0].data(), name[0].size());
}

std::chrono::steady_clock::time_point DeadlineOf(const grpc::CallbackServerContext& context,
                                                 bool unary) {
  auto now = std::chrono::steady_clock::now();
  auto given = context.deadline();
  if (given == std::chrono::system_clock::time_point::max()) {
    return unary ? now + kUnaryDeadline : std::chrono::steady_clock::time_point::max();
  }
  // A year is far enough, and adding it does not overflow.
  constexpr std::chrono::hours kLongest{24 * 365};
  auto left = given - std::chrono::system_clock::now();
  return now + std::min<std::chrono::system_clock::duration>(left, kLongest);
}

// "2026-01-31T09:30:00.000000Z", for the years 0 to 9999. By hand, since every write tells it.
std::string Rfc3339(domain::Timestamp time) {
  const int64_t days = domain::DayOf(time);
  const std::chrono::year_month_day date{
      std::chrono::sys_days{std::chrono::days{static_cast<int>(days)}}};
  const int64_t micros = time.micros - days * domain::kMicrosPerDay;
  const int64_t seconds = micros / domain::kMicrosPerSecond;
  std::string out = "0000-00-00T00:00:00.000000Z";
  auto put = [&out](size_t end, int64_t number, int digits) {
    for (; digits > 0; --digits, number /= 10) out[--end] = static_cast<char>('0' + number % 10);
  };
  put(4, static_cast<int>(date.year()), 4);
  put(7, static_cast<unsigned>(date.month()), 2);
  put(10, static_cast<unsigned>(date.day()), 2);
  put(13, seconds / 3600, 2);
  put(16, seconds / 60 % 60, 2);
  put(19, seconds % 60, 2);
  put(26, micros % domain::kMicrosPerSecond, 6);
  return out;
}

}  // namespace

Exchange::Exchange(const Edge& edge, const Method& method, grpc::CallbackServerContext* context)
    : edge_(edge), method_(method), context_(context) {
  method_.metrics->Started();
  call_.method = method.name;
  call_.deadline = DeadlineOf(*context, method.unary);
  call_.cancelled = std::make_shared<std::atomic<bool>>(false);
}

const std::string& Exchange::id() const {
  if (id_.empty()) id_ = edge_.call_ids.NewId();
  return id_;
}

absl::Status Exchange::Admit() {
  runtime::Caller caller;
  caller.local = IsLocalPeer(context_->peer());
  caller.certificate = CertificateOf(*context_);
  if (edge_.authenticator.ReadsAuthorization()) {
    caller.authorization = HeaderOf(*context_, "authorization");
  }
  ASSIGN_OR_RETURN(runtime::Identity identity, edge_.authenticator.Authenticate(caller));
  call_.tenant = std::move(identity.tenant);
  call_.principal = std::move(identity.principal);
  return absl::OkStatus();
}

convert::DecodeContext Exchange::decoding() const {
  return {edge_.clock.Now(), &edge_.digester, &edge_.pages, call_.tenant.value};
}

void Exchange::AddCommitted(const storage::Committed& committed, bool replayed) {
  context_->AddTrailingMetadata("relais-position", Concat(committed.position));
  context_->AddTrailingMetadata("relais-record-time", Rfc3339(committed.record_time));
  if (replayed) context_->AddTrailingMetadata("relais-replayed", "1");
}

grpc::Status Exchange::Close(const absl::Status& status) {
  auto taken = std::chrono::steady_clock::now() - begin_;
  std::string reason;
  grpc::Status answer;
  absl::StatusCode code = absl::StatusCode::kOk;
  if (!status.ok()) {
    google::rpc::Status detail = convert::ToRpcStatus(status, id());
    code = static_cast<absl::StatusCode>(detail.code());
    answer = grpc::Status(static_cast<grpc::StatusCode>(detail.code()), detail.message(),
                          detail.SerializeAsString());
    context_->AddTrailingMetadata("relais-call-id", id());
    std::optional<domain::Fault> fault = domain::FaultOf(status);
    if (fault.has_value()) reason = fault->reason;
    if (code == absl::StatusCode::kResourceExhausted && fault.has_value() &&
        fault->retry_after_millis.has_value()) {
      context_->AddTrailingMetadata("grpc-retry-pushback-ms", Concat(*fault->retry_after_millis));
    }
    if (code == absl::StatusCode::kInternal || code == absl::StatusCode::kUnknown) {
      runtime::LogError(Concat("call ", id(), " failed inside: ", FromAbsl(status.message())));
    }
  }
  method_.metrics->Handled(code, taken);
  if (std::string_view name = runtime::CodeName(code); runtime::LogsCall(name)) {
    runtime::LogCall({method_.service, method_.name, name,
                      std::chrono::duration_cast<std::chrono::microseconds>(taken), id(),
                      TraceIdOf(HeaderOf(*context_, "traceparent")), call_.tenant.value,
                      call_.principal, reason});
  }
  return answer;
}

absl::Status FromBytes(const grpc::ByteBuffer& in, google::protobuf::Message* out) {
  grpc::Slice whole;
  // One slice in nearly every case: then nothing is copied.
  if (!in.TrySingleSlice(&whole).ok() && !in.DumpToSingleSlice(&whole).ok()) {
    return domain::InternalFault("the request's bytes cannot be read");
  }
  return convert::ParseMessage(
      std::string_view(reinterpret_cast<const char*>(whole.begin()), whole.size()), out);
}

void ToBytes(const google::protobuf::Message& in, grpc::ByteBuffer* out) {
  bool own_buffer = false;
  grpc::Status status =
      grpc::SerializationTraits<google::protobuf::Message>::Serialize(in, out, &own_buffer);
  (void)status;  // only a message of 2 GiB fails, and answers stop at 3 MiB
}

void BytesToBuffer(std::string_view in, grpc::ByteBuffer* out) {
  const grpc::Slice slice(in.data(), in.size());
  *out = grpc::ByteBuffer(&slice, 1);
}

absl::Status CaughtException() {
  std::string kind = "an unknown exception";
  try {
    throw;
  } catch (const std::exception& e) {
    kind = typeid(e).name();
  } catch (...) {
  }
  return domain::InternalFault(Concat("exception in a handler: ", kind));
}

}  // namespace relais::services
